"""PATCH of groups over HTTP against plain sets: whatever mixture of operations, the same group, or nothing changed."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.identity.scim.model import GROUP_SCHEMA
from tests.identity.conftest import Scim, patch_body

PEOPLE = 5
STRANGER = "00000000-0000-4000-8000-000000000000"
_SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
_ids = st.lists(st.integers(0, PEOPLE - 1), max_size=3)


@dataclass(frozen=True)
class Op:
    """One operation. what: `members`, `where` (members by a filter), `displayName`, `externalId`, or `whole`.

    people: whom it names, by their numbers; PEOPLE is a stranger. form: how members are spelt.
    """

    verb: Literal["add", "replace", "remove"]
    what: str
    people: tuple[int, ...] = ()
    value: Any = None
    form: int = 0


@dataclass
class Group:
    """The plain model."""

    name: str
    external_id: str | None
    members: set[str]


class Refused(Exception):
    """The whole request is refused."""


def after(group: Group, ops: list[Op], ids: list[str]) -> Group:
    """The group when all operations are done. Raises Refused."""
    now = Group(group.name, group.external_id, set(group.members))
    for op in ops:
        _one(now, op, {ids[n] for n in op.people})
    if not now.name.strip() or STRANGER in now.members:
        raise Refused
    return now


def _one(now: Group, op: Op, named: set[str]) -> None:
    if op.what == "members":
        _members(now, op.verb, named, everybody=op.form == 3)
    elif op.what == "where":
        # An `or` of ids, or whoever is not the one.
        chosen = named if op.form % 2 else now.members - named
        now.members -= chosen
    elif op.what == "displayName":
        if op.verb == "remove" or op.value is None:
            raise Refused
        now.name = op.value
    elif op.what == "externalId":
        now.external_id = None if op.verb == "remove" else op.value
    else:
        if op.value is not None:
            now.name = op.value
        if op.form != 3:
            _members(now, op.verb, named, everybody=False)


def _members(now: Group, verb: str, named: set[str], *, everybody: bool) -> None:
    if verb == "add":
        now.members |= named
    elif verb == "replace":
        now.members = named
    else:
        now.members = set() if everybody else now.members - named


def sent(op: Op, ids: list[str]) -> dict[str, Any]:
    """The operation as one of a PATCH body, in one of the spellings that clients have."""
    named = [ids[n] for n in op.people]
    members: list[Any] = [_member(one, op.form) for one in named]
    told: dict[str, Any] = {"op": op.verb.capitalize() if op.form % 2 else op.verb}
    if op.what == "members":
        prefix = f"{GROUP_SCHEMA}:" if op.form == 2 else ""
        told |= {"path": f"{prefix}members"}
        return told if op.verb == "remove" and op.form == 3 else told | {"value": members}
    if op.what == "where":
        text = " or ".join(f'value eq "{one}"' for one in named)
        text = text if op.form % 2 else " and ".join(f'value ne "{one}"' for one in named)
        return told | {"path": f"members[{text}]"}
    if op.what == "whole":
        value = {} if op.value is None else {"displayName": op.value}
        return told | {"value": value | {"id": "x"} | ({} if op.form == 3 else {"members": members})}
    return told | {"path": op.what, "value": op.value}


def _member(identity: str, form: int) -> Any:
    return (
        {"value": identity},
        identity,
        {"$ref": f"https://x/Users/{identity}"},
        {"value": identity, "display": "?"},
    )[form]


_names = st.sampled_from(["Team", "Crew", "", None])
_forms = st.integers(0, 3)
_verbs = st.sampled_from(["add", "replace", "remove"])
_setting = st.sampled_from(["add", "replace"])
_some = st.lists(st.sampled_from([*range(PEOPLE), PEOPLE - 1, PEOPLE]), max_size=3).map(tuple)
_known = st.lists(st.integers(0, PEOPLE - 1), min_size=1, max_size=3).map(tuple)
ops = st.one_of(
    st.builds(Op, _verbs, st.just("members"), _known, form=_forms),
    st.builds(Op, _verbs, st.just("members"), _some, form=_forms),
    st.builds(Op, st.just("remove"), st.just("where"), _known, form=_forms),
    st.builds(Op, _setting, st.just("whole"), _known, _names.filter(lambda one: one != ""), _forms),
    st.builds(Op, _verbs, st.just("displayName"), value=_names),
    st.builds(Op, _verbs, st.just("externalId"), value=st.sampled_from(["x", "y", None])),
)


@pytest.fixture
async def people(scim: Scim) -> list[str]:
    """The ids of some users, and at the end that of nobody."""
    return [*[(await scim.make(f"u{n}"))["id"] for n in range(PEOPLE)], STRANGER]


async def _shown(scim: Scim, identity: str) -> Group:
    found = (await scim("GET", f"/Groups/{identity}")).json()
    members = [one["value"] for one in found["members"]]
    assert len(members) == len(set(members))
    return Group(found["displayName"], found.get("externalId"), set(members))


async def check(scim: Scim, ids: list[str], begin: list[int], wanted: list[Op]) -> None:
    """A fresh group, patched, is as the model has it; and patched so again, it is still."""
    body = {"displayName": "Team", "members": [{"value": ids[n]} for n in begin]}
    made = (await scim("POST", "/Groups", body)).json()["id"]
    group = Group("Team", None, {ids[n] for n in begin})
    request = patch_body(*(sent(op, ids) for op in wanted))
    for _ in range(2):
        answer = await scim("PATCH", f"/Groups/{made}", request)
        try:
            group = after(group, wanted, ids)
            status = 204
        except Refused:
            status = 400
        assert answer.status_code == status, (answer.text, request)
        assert await _shown(scim, made) == group, request
    user = (await scim("GET", f"/Users/{ids[0]}")).json()
    assert (made in {one["value"] for one in user.get("groups", [])}) is (ids[0] in group.members)
    assert (await scim("DELETE", f"/Groups/{made}")).status_code == 204


@settings(_SETTINGS, max_examples=25)
@given(begin=_ids, wanted=st.lists(ops, min_size=1, max_size=4))
async def test_patches_of_groups(scim: Scim, people: list[str], begin: list[int], wanted: list[Op]) -> None:
    await check(scim, people, begin, wanted)


@pytest.mark.all
@settings(_SETTINGS, max_examples=800)
@given(begin=_ids, wanted=st.lists(ops, min_size=1, max_size=5))
async def test_many_patches_of_groups(scim: Scim, people: list[str], begin: list[int], wanted: list[Op]) -> None:
    await check(scim, people, begin, wanted)
