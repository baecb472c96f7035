"""Checks that write groups: how Okta and Entra push them. They run where those that write users do."""

from typing import Any, Final

from stoa.identity.scim.conformance.bench import Bench
from stoa.identity.scim.conformance.model import Check, found, require
from stoa.identity.scim.conformance.reads import GROUP_SCHEMA, is_error
from stoa.identity.scim.conformance.writes import make_user
from stoa.identity.scim.dialects import entra, okta
from stoa.identity.scim.model import PATCH_SCHEMA
from stoa.kernel.ids import new_id

_ENTRA: Final = entra.CLIENT.pages[0]
_OKTA: Final = okta.CLIENT.pages[0]
_ENTRA_GROUPS: Final = "Entra ID: groups"
_OKTA_PUSH: Final = "Okta: group push"


async def _group(bench: Bench, **more: Any) -> str:
    body = {"schemas": [GROUP_SCHEMA], "displayName": f"Conformance {new_id()}", "members": [], **more}
    made = await bench("POST", "/Groups", body)
    require(made.status == 201, f"The status of the POST was {made.status}.")
    require(bool(found(made.body, "id")), "The group has no id.")
    return str(made.body["id"])


async def _users(bench: Bench, count: int) -> list[str]:
    return [str((await make_user(bench))["id"]) for _ in range(count)]


async def _patch(bench: Bench, group: str, *operations: dict[str, Any]) -> None:
    message = {"schemas": [PATCH_SCHEMA], "Operations": list(operations)}
    changed = await bench("PATCH", f"/Groups/{group}", message)
    require(changed.status in {200, 204}, f"The status of the PATCH was {changed.status}.")


async def _has(bench: Bench, group: str, members: list[str]) -> None:
    now = await bench("GET", f"/Groups/{group}")
    listed: list[Any] = found(now.body, "members") or []
    there = sorted(str(found(one, "value")) for one in listed)
    require(there == sorted(members), f"The group has {len(there)} members; it should have {len(members)}.")


def _named(ids: list[str]) -> list[dict[str, Any]]:
    return [{"$ref": None, "value": one} for one in ids]


async def _entra_members(bench: Bench) -> None:
    users, group = await _users(bench, 3), await _group(bench, externalId=str(new_id()))
    for _ in range(2):
        await _patch(bench, group, {"op": "Add", "path": "members", "value": _named(users)})
        await _has(bench, group, users)
    without = await bench("GET", f"/Groups/{group}?excludedAttributes=members")
    require(found(without.body, "members") is None, "The group came with its members.")
    for _ in range(2):
        await _patch(bench, group, {"op": "Remove", "path": "members", "value": _named(users[:2])})
        await _has(bench, group, users[2:])
    await _patch(bench, group, {"op": "remove", "path": f'members[value eq "{users[2]}"]'})
    await _has(bench, group, [])


async def _push_now(bench: Bench) -> None:
    users, group = await _users(bench, 3), await _group(bench)
    for members in (users, users[1:], users[1:], []):
        await _patch(bench, group, {"op": "replace", "path": "members", "value": [{"value": one} for one in members]})
        await _has(bench, group, members)


async def _rename(bench: Bench) -> None:
    users, group = await _users(bench, 1), await _group(bench)
    await _patch(bench, group, {"op": "add", "path": "members", "value": _named(users)})
    name = f"Renamed {new_id()}"
    await _patch(bench, group, {"op": "replace", "value": {"id": group, "displayName": name}})
    now = await bench("GET", f"/Groups/{group}")
    require(found(now.body, "displayName") == name, "The name was not changed.")
    await _has(bench, group, users)


async def _put(bench: Bench) -> None:
    users, group = await _users(bench, 2), await _group(bench)
    for members in (users, users[:1], []):
        body = {
            "schemas": [GROUP_SCHEMA],
            "id": group,
            "displayName": f"Put {group}",
            "members": [{"value": one, "display": "Test User"} for one in members],
        }
        put = await bench("PUT", f"/Groups/{group}", body)
        require(put.status == 200, f"The status of the PUT was {put.status}.")
        await _has(bench, group, members)


async def _unknown_member(bench: Bench) -> None:
    users, group = await _users(bench, 1), await _group(bench)
    message = {
        "schemas": [PATCH_SCHEMA],
        "Operations": [{"op": "add", "path": "members", "value": _named([*users, str(new_id())])}],
    }
    refused = await bench("PATCH", f"/Groups/{group}", message)
    require(400 <= refused.status < 500, f"The status was {refused.status}.")
    await _has(bench, group, [])


async def _deleted(bench: Bench) -> None:
    users, group = await _users(bench, 1), await _group(bench)
    await _patch(bench, group, {"op": "add", "path": "members", "value": _named(users)})
    gone = await bench("DELETE", f"/Groups/{group}")
    require(gone.status == 204, f"The status of the DELETE was {gone.status}.")
    is_error(await bench("GET", f"/Groups/{group}"), 404)
    require((await bench("GET", f"/Users/{users[0]}")).status == 200, "Its member is gone too.")


def _check(code: str, expectation: str, stands_for: str, page: str, look: Any) -> Check:
    return Check(code, expectation, stands_for, page, writes=True, look=look)


GROUP_WRITES: Final = (
    _check(
        "entra_members",
        "Members are added and removed by value or filter, once or twice, and left out when excluded.",
        *(_ENTRA_GROUPS, _ENTRA, _entra_members),
    ),
    _check("okta_push_now", "Members are replaced by a list, an empty one too.", _OKTA_PUSH, _OKTA, _push_now),
    _check("okta_group_rename", "A rename ignores the id and leaves the members.", _OKTA_PUSH, _OKTA, _rename),
    _check("okta_group_put", "PUT of a group replaces its members.", _OKTA_PUSH, _OKTA, _put),
    _check(
        "rfc_unknown_member",
        "An unknown member is refused and nothing is written.",
        *("RFC 7644, 3.5.2", "https://www.rfc-editor.org/rfc/rfc7644#section-3.5.2", _unknown_member),
    ),
    _check("entra_group_deleted", "A deleted group is gone; its members stay.", _ENTRA_GROUPS, _ENTRA, _deleted),
)
