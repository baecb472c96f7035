"""Every request that writes, sent twice: the second changes nothing at all (RFC 9110, 9.2.2, and the retries of real
clients, which repeat a POST too when its answer was lost).
"""

from typing import Any

import pytest

from stoa.changes.rendering import render_changes
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.events.model import StoredEvent
from stoa.events.queries import read_events
from stoa.identity.scim.bulk.model import BULK_REQUEST
from stoa.identity.scim.model import ENTERPRISE_SCHEMA
from stoa.people.roles_actions import add_rule
from stoa.people.roles_model import Role
from tests.conftest import MakeTenant
from tests.identity.conftest import MakeScim, Scim, patch_body

from .invariants import check_tenant

# All that a request may leave behind in the tenant. A refusal that is repeated is told once more, by its alert, and
# counted at its decision; it changes nobody.
_TABLES = (
    *("source_record", "person", "person_group", "group_member", "person_role", "due_change", "hold"),
    *("run", "change", "effect", "person_merge"),
)
ADA = {"userName": "ada", "externalId": "A", "emails": [{"value": "ada@acme.example", "type": "work"}]}
NEW = {"userName": "new", "externalId": "N", ENTERPRISE_SCHEMA: {"employeeNumber": "E9", "manager": {"value": "{ada}"}}}


def patch(*operations: tuple[str, str | None, Any]) -> dict[str, Any]:
    """A PatchOp message of (op, path, value)."""
    told = [{"op": op} | ({} if path is None else {"path": path}) | {"value": value} for op, path, value in operations]
    return patch_body(*told)


REQUESTS: list[tuple[str, str, Any]] = [
    ("POST", "/Users", NEW),
    ("POST", "/Users", ADA),
    ("POST", "/Users", ADA | {"userName": "ADA", "title": "Dr"}),
    ("POST", "/Users", {"userName": "off", "active": False}),
    ("POST", "/Users", {"userName": "gone", "title": "Back"}),
    ("POST", "/Users", {"userName": "eve", ENTERPRISE_SCHEMA: {"employeeNumber": "E1"}}),
    ("POST", "/Users", {"userName": ""}),
    ("PUT", "/Users/{ada}", {"userName": "ada.l", "title": "Dr", "emails": []}),
    ("PUT", "/Users/{ada}", {"userName": "bob"}),
    ("PUT", "/Users/{off}", {"userName": "off", "active": True}),
    ("PATCH", "/Users/{ada}", patch(("replace", "active", False))),
    ("PATCH", "/Users/{ada}", patch(("Replace", "active", "False"), ("Add", "title", "Dr"))),
    ("PATCH", "/Users/{ada}", patch(("add", "emails", [{"value": "b@acme.example", "primary": True}]))),
    ("PATCH", "/Users/{ada}", patch(("add", None, {"name.givenName": "Ada", "nickName": "A"}))),
    ("PATCH", "/Users/{ada}", patch(("replace", 'emails[type eq "home"].value', "h@acme.example"))),
    ("PATCH", "/Users/{ada}", patch(("remove", 'emails[type eq "work"]', None), ("remove", "title", None))),
    ("PATCH", "/Users/{ada}", patch(("replace", "userName", "bob"))),
    ("PATCH", "/Users/{ada}", patch(("replace", f"{ENTERPRISE_SCHEMA}:employeeNumber", "E7"))),
    ("DELETE", "/Users/{ada}", None),
    ("DELETE", "/Users/{gone}", None),
    ("POST", "/Groups", {"displayName": "New", "externalId": "n", "members": [{"value": "{ada}"}]}),
    ("POST", "/Groups", {"displayName": "Team"}),
    ("POST", "/Groups", {"displayName": "Odd", "members": [{"value": "{gone}"}]}),
    ("PUT", "/Groups/{team}", {"displayName": "Crew", "members": [{"value": "{bob}"}]}),
    ("PUT", "/Groups/{team}", {"displayName": "Crew"}),
    ("PATCH", "/Groups/{team}", patch(("add", "members", [{"value": "{bob}"}]))),
    ("PATCH", "/Groups/{team}", patch(("remove", 'members[value eq "{ada}"]', None))),
    ("PATCH", "/Groups/{team}", patch(("remove", "members", [{"value": "{ada}"}]))),
    ("PATCH", "/Groups/{team}", patch(("replace", "members", []), ("replace", "displayName", "Crew"))),
    ("PATCH", "/Groups/{team}", patch(("replace", None, {"id": "{team}", "displayName": "Crew"}))),
    ("PATCH", "/Groups/{team}", patch(("add", "members", [{"value": "{gone}"}]))),
    ("DELETE", "/Groups/{team}", None),
    (
        "POST",
        "/Bulk",
        {
            "schemas": [BULK_REQUEST],
            "Operations": [
                {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"userName": "bulk"}},
                {"method": "POST", "path": "/Users", "bulkId": "g", "data": {"userName": "gone", "active": False}},
                {"method": "PATCH", "path": "/Users/{ada}", "data": patch(("replace", "active", False))},
                {"method": "DELETE", "path": "/Users/{bob}"},
                {"method": "PUT", "path": "/Groups/{team}", "data": {"displayName": "Crew", "members": []}},
            ],
        },
    ),
    (
        "POST",
        "/Bulk",
        {
            "schemas": [BULK_REQUEST],
            "Operations": [
                {"method": "POST", "path": "/Users", "bulkId": one, "data": {"userName": one, "externalId": one}}
                for one in map(str, range(14))
            ],
        },
    ),
]  # fmt: skip


@pytest.fixture
async def peopled(make_scim: MakeScim, make_tenant: MakeTenant, database: Database) -> tuple[Scim, dict[str, str]]:
    """A tenant with users, one inactive and one deleted, another source's user, and a group that gives a role."""
    tenant_id = await make_tenant(domains=("acme.example",))
    scim, other = await make_scim(tenant_id), await make_scim(tenant_id, source="Entra")
    ids = {"ada": (await scim.make(**_named(ADA)))["id"], "bob": (await scim.make("bob"))["id"]}
    ids["off"] = (await scim.make("off", active=False))["id"]
    ids["gone"] = (await scim.make("gone"))["id"]
    await scim("DELETE", f"/Users/{ids['gone']}")
    for name in ("eva", "evi"):
        made = await other.make(name)
        said = patch(("add", f"{ENTERPRISE_SCHEMA}:employeeNumber", "E1"))
        await other("PATCH", f"/Users/{made['id']}", said)
    body = {"displayName": "Team", "members": [{"value": ids["ada"]}]}
    ids["team"] = (await scim("POST", "/Groups", body)).json()["id"]
    async with database.tenant(tenant_id) as tx:
        group = await tx.fetchval("SELECT group_id FROM person_group WHERE tenant_id = $1", tenant_id)
        await add_rule(tx, group, Role.AUTHOR)
    return scim, ids


def _named(body: dict[str, Any]) -> dict[str, Any]:
    return {"user_name": body["userName"]} | {name: value for name, value in body.items() if name != "userName"}


def _filled(part: Any, ids: dict[str, str]) -> Any:
    """The same with ids for their names in braces."""
    match part:
        case str():
            for name, identity in ids.items():
                part = part.replace(f"{{{name}}}", identity)
            return part
        case dict():
            return {name: _filled(value, ids) for name, value in part.items()}
        case list():
            return [_filled(one, ids) for one in part]
        case _:
            return part


async def _state(tx: TenantTx) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for table in _TABLES:
        rows = await tx.fetch(f"SELECT to_jsonb(t) AS row FROM {table} t WHERE tenant_id = $1", tx.tenant_id)
        found[table] = sorted((row["row"] for row in rows), key=repr)
    found["event"] = [event.seq for event in await _events(tx)]
    return found


async def _events(tx: TenantTx) -> list[StoredEvent]:
    """What consumers were told of people and of groups."""
    events = await read_events(tx, 0, 1_000, render_changes)
    return [event for event in events if event.type.startswith(("person.", "group."))]


@pytest.mark.parametrize("index", range(len(REQUESTS)))
async def test_a_request_repeated_changes_nothing(
    peopled: tuple[Scim, dict[str, str]], database: Database, index: int
) -> None:
    scim, ids = peopled
    method, path, body = (_filled(part, ids) for part in REQUESTS[index])
    first = await scim(method, path, body)
    async with database.tenant(scim.tenant_id, read_only=True) as tx:
        before = await _state(tx)
    for _ in range(2):
        again = await scim(method, path, body)
        assert again.status_code < 500, again.text
        async with database.tenant(scim.tenant_id, read_only=True) as tx:
            assert await _state(tx) == before
    if method in {"PUT", "PATCH"}:
        # What is answered is the same as well, down to the version.
        assert again.status_code == first.status_code
        assert again.content == first.content or again.json() == first.json()
    await check_tenant(database, scim.tenant_id, twins=True)
