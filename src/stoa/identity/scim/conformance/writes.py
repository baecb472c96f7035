"""Checks that write: conversations of Okta, Entra and OneLogin about users who are nobody, in a source that was made
for them. They run in sandbox tenants alone, and what they wrote is undone.
"""

from typing import Any, Final

from stoa.identity.scim.conformance.bench import Bench
from stoa.identity.scim.conformance.model import Check, found, require
from stoa.identity.scim.conformance.reads import is_empty, is_error
from stoa.identity.scim.dialects import entra, okta, onelogin
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, PATCH_SCHEMA, USER_SCHEMA
from stoa.kernel.ids import new_id

_OKTA: Final = okta.CLIENT.pages[0]
_SPEC: Final = "Okta: SCIM 2.0 specification test"
_CATALOGUE: Final = "Okta: integrations of the catalogue"
_WIZARD: Final = "Okta: integrations of the wizard"
_ENTRA: Final = entra.CLIENT.pages[0]
_COMPATIBILITY: Final = entra.CLIENT.pages[1]
_DEFAULT: Final = "Entra ID: default dialect"
_FLAGGED: Final = "Entra ID: aadOptscim062020"
_WORK_MAIL: Final = 'emails[type eq "work"].value'


def somebody() -> dict[str, Any]:
    """A user as Okta sends one; nobody has the name."""
    name = f"conformance-{new_id()}@stoa.invalid"
    return {
        "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
        "userName": name,
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": True, "value": name, "type": "work"}],
        "displayName": "Test User",
        "externalId": str(new_id()),
        "groups": [],
        "password": "not kept",
        "active": True,
    }


async def make_user(bench: Bench, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A user by POST. Raises Unmet."""
    made = await bench("POST", "/Users", body or somebody())
    require(made.status == 201, f"The status of the POST was {made.status}.")
    return made.body


async def _patch(bench: Bench, identity: str, *operations: dict[str, Any]) -> Any:
    changed = await bench("PATCH", f"/Users/{identity}", {"schemas": [PATCH_SCHEMA], "Operations": list(operations)})
    require(changed.status in {200, 204}, f"The status of the PATCH was {changed.status}.")
    return (await bench("GET", f"/Users/{identity}")).body


# ------------------------------------------------------------------ Okta


async def _create(bench: Bench) -> None:
    body = somebody()
    made = await bench("POST", "/Users", body)
    require(made.status == 201, f"The status was {made.status}.")
    require(found(made.body, "id") not in {None, ""}, "The user has no id.")
    require(found(made.body, "active") is True, "The user is not active.")
    require(found(made.body, "password") is None, "The password came back.")
    location = found(made.body, "meta", "location")
    require(made.headers.get("location") == location, "Location and meta.location differ.")
    upper = await bench.find("Users", f'userName eq "{body["userName"].upper()}"', more="&startIndex=1&count=100")
    require(found(upper.body, "Resources", 0, "id") == made.body["id"], "The name in capitals did not find the user.")


async def _duplicate(bench: Bench) -> None:
    body = somebody()
    await make_user(bench, body)
    again = await bench("POST", "/Users", body)
    is_error(again, 409)
    require(found(again.body, "scimType") == "uniqueness", "The error does not say uniqueness.")


async def _catalogue(bench: Bench) -> None:
    made = await make_user(bench)
    for active in (False, False, True):
        now = await _patch(bench, made["id"], {"op": "replace", "value": {"active": active}})
        require(found(now, "active") is active, f"active was {found(now, 'active')} after {active} was sent.")


async def _wizard(bench: Bench) -> None:
    made = await make_user(bench)
    path = f"/Users/{made['id']}"
    for change in ({"title": "Tester"}, {"active": False}, {"active": True}):
        present = (await bench("GET", path)).body
        put = await bench("PUT", path, {**present, **change})
        require(put.status == 200, f"The status of the PUT was {put.status}.")
        name, value = next(iter(change.items()))
        require(found(put.body, name) == value, f'"{name}" was not as it was put.')
    require(found((await bench("GET", path)).body, "title") == "Tester", "A later PUT lost the title.")


async def _assigned_again(bench: Bench) -> None:
    body = somebody()
    made = await make_user(bench, body)
    await _patch(bench, made["id"], {"op": "replace", "value": {"active": False}})
    back = await bench("POST", "/Users", body)
    require(back.status == 201, f"The status of the second POST was {back.status}.")
    require(found(back.body, "id") == made["id"], "The user came back under another id.")
    require(found(back.body, "active") is True, "The user who came back is not active.")


async def _read_only_passed_over(bench: Bench) -> None:
    made = await make_user(bench)
    now = await _patch(bench, made["id"], {"op": "replace", "value": {"id": str(new_id()), "displayName": "Other"}})
    require(found(now, "id") == made["id"], "The id was changed.")
    require(found(now, "displayName") == "Other", "The name was not changed.")


# ------------------------------------------------------------------ Entra


async def _nulls(bench: Bench) -> None:
    body = somebody()
    body |= {"addresses": None, "title": None, "roles": [], "meta": {"resourceType": "User"}}
    body[ENTERPRISE_SCHEMA] = {"employeeNumber": None, "manager": None}
    made = await make_user(bench, body)
    require(not {"addresses", "title"} & made.keys(), "What was sent as null came back.")


async def _text_booleans(bench: Bench) -> None:
    made = await make_user(bench)
    for text, active in (("False", False), ("True", True), ("false", False)):
        now = await _patch(bench, made["id"], {"op": "Replace", "path": "active", "value": text})
        require(found(now, "active") is active, f'active was {found(now, "active")} after "{text}" was sent.')
    refused = await bench(
        "PATCH",
        f"/Users/{made['id']}",
        {"schemas": [PATCH_SCHEMA], "Operations": [{"op": "Replace", "path": "active", "value": "maybe"}]},
    )
    is_error(refused, 400)
    require(found(refused.body, "scimType") == "invalidValue", "The error does not say invalidValue.")


async def _dotted_keys(bench: Bench) -> None:
    made = await make_user(bench)
    together = {"name.givenName": "Other", f"{ENTERPRISE_SCHEMA}:department": "Testing", "active": False}
    apart = {"op": "replace", "path": _WORK_MAIL, "value": "other@stoa.invalid"}
    now = await _patch(bench, made["id"], apart, {"op": "replace", "value": together})
    require(found(now, "name", "givenName") == "Other", "name.givenName was not changed.")
    require(found(now, "name", "familyName") == "User", "name.familyName was lost.")
    require(found(now, ENTERPRISE_SCHEMA, "department") == "Testing", "The department was not set.")
    require(found(now, "emails", 0, "value") == "other@stoa.invalid", "The work e-mail was not changed.")
    require(found(now, "active") is False, "active was not changed.")


async def _made_with_its_type(bench: Bench) -> None:
    made = await make_user(bench, {"schemas": [USER_SCHEMA], "userName": somebody()["userName"]})
    for verb in ("Add", "Replace"):
        now = await _patch(bench, made["id"], {"op": verb, "path": _WORK_MAIL, "value": f"{verb}@stoa.invalid".lower()})
        expected = [{"type": "work", "value": f"{verb}@stoa.invalid".lower()}]
        require(found(now, "emails") == expected, "The e-mail is not there with its type.")


async def _manager(bench: Bench) -> None:
    boss, made = await make_user(bench), await make_user(bench)
    path = f"{ENTERPRISE_SCHEMA}:manager"
    for value in (boss["id"], [{"$ref": None, "value": boss["id"]}], str(new_id())):
        now = await _patch(bench, made["id"], {"op": "Add", "path": path, "value": value})
        expected = value if isinstance(value, str) else boss["id"]
        require(found(now, ENTERPRISE_SCHEMA, "manager", "value") == expected, "The manager was not set.")


async def _deleted(bench: Bench) -> None:
    body = somebody()
    made = await make_user(bench, body)
    off = await _patch(bench, made["id"], {"op": "Replace", "path": "active", "value": "False"})
    require(found(off, "id") == made["id"], "The inactive user is not readable.")
    gone = await bench("DELETE", f"/Users/{made['id']}")
    require(gone.status == 204, f"The status of the DELETE was {gone.status}.")
    is_error(await bench("GET", f"/Users/{made['id']}"), 404)
    is_empty(await bench.find("Users", f'userName eq "{body["userName"]}"'))


# ------------------------------------------------------------------ OneLogin


async def _template(bench: Bench) -> None:
    body = somebody()
    body |= {"id": None, "active": "true", "emails": {"value": body["userName"], "primary": True}}
    body[ENTERPRISE_SCHEMA] = {"department": "Testing", "manager": {"managerId": "7", "displayName": "Boss"}}
    made = await make_user(bench, body)
    require(found(made, "active") is True, "active as text was not understood.")
    require(found(made, "emails", 0, "value") == body["userName"], "The e-mail that stood alone was lost.")
    require(found(made, ENTERPRISE_SCHEMA, "manager", "value") == "7", "The manager was lost.")


def _check(code: str, expectation: str, stands_for: str, page: str, look: Any) -> Check:
    return Check(code, expectation, stands_for, page, writes=True, look=look)


USER_WRITES: Final = (
    _check(
        "okta_create",
        "A user is made with 201, found in any case, and the password never comes back.",
        *(_SPEC, _OKTA, _create),
    ),
    _check("okta_duplicate", "A second user of the same name is answered 409.", _SPEC, _OKTA, _duplicate),
    _check(
        "okta_catalogue",
        "PATCH without a path deactivates and activates, once or twice.",
        *(_CATALOGUE, _OKTA, _catalogue),
    ),
    _check(
        "okta_wizard",
        "PUT of the whole user changes what it says and keeps the rest.",
        *(_WIZARD, _OKTA, _wizard),
    ),
    _check(
        "okta_assigned_again",
        "A POST for an inactive user brings the same id back.",
        *("Okta: assigning again", okta.CLIENT.pages[1], _assigned_again),
    ),
    _check(
        "okta_read_only",
        "An id that comes along in a PATCH is passed over.",
        *(_CATALOGUE, _OKTA, _read_only_passed_over),
    ),
    _check("entra_nulls", "A user is made although attributes are null.", _DEFAULT, _ENTRA, _nulls),
    _check(
        "entra_text_booleans",
        "active is understood as text, and another word is refused.",
        *(_DEFAULT, _COMPATIBILITY, _text_booleans),
    ),
    _check(
        "entra_dotted_keys",
        "Several attributes in one operation, under dotted and URN keys, are all changed.",
        *(_FLAGGED, _COMPATIBILITY, _dotted_keys),
    ),
    _check(
        "entra_made_with_type",
        "A filtered path that fits nothing makes the value with its type.",
        *("Entra ID: SCIM validator", _ENTRA, _made_with_its_type),
    ),
    _check(
        "entra_manager",
        "A manager is set by id or list, even before the manager was pushed.",
        *(_DEFAULT, _ENTRA, _manager),
    ),
    _check(
        "entra_deleted",
        "A deactivated user stays readable; a deleted one is gone from reads and look-ups.",
        *("Entra ID: deletion after 30 days", _ENTRA, _deleted),
    ),
    _check(
        "onelogin_template",
        "The texts of OneLogin's template are understood.",
        *("OneLogin: JSON template", onelogin.CLIENT.pages[0], _template),
    ),
)
