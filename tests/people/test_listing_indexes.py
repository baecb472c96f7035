"""The list of people, its search and its filters at a hundred thousand people, as the application: which index answers
each, and that nothing reads the whole table where an index is claimed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import md5
from uuid import UUID

import asyncpg
import pytest

from stoa.api.lists import ListAsk
from stoa.db import embedded
from stoa.db.database import Database, open_database
from stoa.db.transactions import TenantTx
from stoa.kernel.filters import Cost, check, parse
from stoa.kernel.ids import PersonId, RunId, SourceId, TenantId, new_id
from stoa.people.catalogue import CATALOGUE
from stoa.people.listing import PeopleAsk, people_page
from stoa.people.profile import profile
from stoa.people.roles_groups import CATALOGUE as GROUP_CATALOGUE
from stoa.people.roles_groups import group_line, group_lines, group_timeline, member_lines
from stoa.people.roles_model import AddRule, Role
from stoa.people.roles_preview import preview
from stoa.people.roles_queries import belonging
from stoa.people.timeline import timeline
from stoa.tenants.actions import create_tenant
from stoa.tenants.model import NewTenant

from ..conftest import ConnectArgs
from .making import source
from .test_indexes import indexes_of

# One group of half the company, and groups of ten; every twentieth leads something, and three are admins.
_GROUPS = """
INSERT INTO person_group (tenant_id, group_id, source_id, display_name, display_name_key, present, member_count,
  last_run, created_at, updated_at)
SELECT $1, md5('g' || n)::uuid, $2, 'Team ' || n, 'team ' || n, true, 10, $3, $4, $4
FROM generate_series(0, $5 / 10) AS n"""
_MEMBERS = """
INSERT INTO group_member (tenant_id, group_id, resource_id, asserted, in_force, since)
SELECT DISTINCT $1::uuid, md5('g' || x.of)::uuid, md5('p' || n)::uuid, true, true, $2::timestamptz
FROM generate_series(1, $3) AS n CROSS JOIN LATERAL (VALUES (n / 10), (0)) AS x (of)
  WHERE x.of > 0 OR n % 2 = 1"""
_ROLES = """
INSERT INTO person_role (tenant_id, person_id, role, since)
SELECT $1, md5('p' || n)::uuid, x.role, $2 FROM generate_series(1, $3) AS n
CROSS JOIN LATERAL (VALUES ('manager', n % 20 = 0), ('admin', n < 4)) AS x (role, has) WHERE x.has"""
NOBODY = RunId(new_id())
# Names of ASCII letters, which lower() folds as kernel.fold does.
_PERSONS = """
INSERT INTO person (tenant_id, person_id, active, created_run, created_at, updated_at, display_name, display_name_key,
  given_name, family_name, family_name_key, user_name, user_name_key, email, email_key, employee_id, employee_id_key,
  department, manager_id)
SELECT $1, md5('p' || n)::uuid, n % 20 > 0, $2, $3, $3::timestamptz - n * interval '1 minute', g || ' ' || f,
  lower(g || ' ' || f), g, f, lower(f), 'user' || n, 'user' || n, 'person' || n || '@acme.example',
  'person' || n || '@acme.example', 'E' || n, 'e' || n, CASE WHEN n % 5000 = 0 THEN 'Rare' ELSE 'D' || n % 20 END,
  md5('p' || n / 10)::uuid
FROM (SELECT n, (ARRAY['Ann', 'Bob', 'Cid', 'Dora', 'Eve'])[1 + n % 5] AS g,
  (ARRAY['Smith', 'Small', 'Jones', 'Berg'])[1 + n % 4] || n % 997 AS f FROM generate_series(1, $4) AS n) AS made"""
_RECORDS = """
INSERT INTO source_record (tenant_id, source_id, external_id, resource_id, person_id, present, asserted_active, active,
  last_run, created_at, updated_at)
SELECT tenant_id, $2, employee_id, person_id, person_id, true, active, active, created_run, created_at, created_at
FROM person WHERE tenant_id = $1"""
_CHANGES = """
INSERT INTO change (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, after, state, at)
SELECT tenant_id, $2, 'create', 'nobody_matches', external_id, source_id, resource_id, person_id,
  '{"title": "x"}', 'applied', created_at FROM source_record WHERE tenant_id = $1"""
GROUP = UUID(md5(b"g7", usedforsecurity=False).hexdigest())
Filled = tuple[TenantId, SourceId]


@pytest.fixture(scope="module", params=[15_000, pytest.param(100_000, marks=pytest.mark.all)])
def filled(
    request: pytest.FixtureRequest, connect_args: ConnectArgs, server: embedded.Server, database_url: str
) -> Filled:
    """A large company, and what the planner knows of it."""

    async def fill() -> Filled:
        database = await open_database(connect_args)
        try:
            tenant_id = (await create_tenant(database, NewTenant(slug=f"huge-{new_id()}"[:60], name="Huge"))).tenant_id
            hr = await source(database, tenant_id)
            async with database.tenant(tenant_id) as tx:
                await tx.execute(_PERSONS, tenant_id, NOBODY, tx.now, request.param)
                await tx.execute(_RECORDS, tenant_id, hr)
                await tx.execute(
                    """INSERT INTO run (tenant_id, run_id, kind, state, target, source_id, actor, created_at)
                    VALUES ($1, $2, 'sync', 'applied', 'person', $3, 'test', $4)""",
                    *(tenant_id, NOBODY, hr, tx.now),
                )
                await tx.execute(_CHANGES, tenant_id, NOBODY)
                await tx.execute(_GROUPS, tenant_id, hr, NOBODY, tx.now, request.param)
                await tx.execute(_MEMBERS, tenant_id, tx.now, request.param)
                await tx.execute(_ROLES, tenant_id, tx.now, request.param)
        finally:
            await database.close()
        name = database_url.split("?")[0].rsplit("/", 1)[-1]
        admin = await asyncpg.connect(server.admin_dsn.replace("/postgres?", f"/{name}?"))
        await admin.execute("ANALYZE person, source_record, change, run, hold, due_change, person_group")
        await admin.execute("ANALYZE group_member, person_role")
        await admin.close()
        return tenant_id, hr

    return asyncio.run(fill())


# What a page asks of the sources of its people.
LINES = {"source_record_person", "source_pkey", "source_tenant_id_name_key_key", "seq:source"}
SEARCHED = {"person_display_name", "person_family_name", "person_user_name", "person_email", "person_employee_id"}
FOUND = {"person_pkey"}
# A page that is not full is filled up with those who have no display name, by this index or by that of the filter.
NAMELESS = {"person_display_name"}


def filtered(where: str, **more: object) -> PeopleAsk:
    return replace(PeopleAsk(where=check(parse(where), CATALOGUE)), **more)  # pyright: ignore[reportArgumentType] - fields


ASKED: dict[str, tuple[PeopleAsk, set[str]]] = {
    "first page": (PeopleAsk(), {"person_display_name"}),
    "from the end": (PeopleAsk(descending=True), {"person_display_name"}),
    "by change": (PeopleAsk(sort="updated_at", descending=True), {"person_updated"}),
    "search": (PeopleAsk(search="ann"), SEARCHED | FOUND),
    "search of one letter": (PeopleAsk(search="e"), SEARCHED | FOUND),
    "search of two words": (PeopleAsk(search="ann smi"), SEARCHED | FOUND),
    "search of an address": (PeopleAsk(search="person77@acme.example"), SEARCHED | FOUND),
    "search, filtered": (filtered('department eq "Rare"', search="smith1"), SEARCHED | FOUND),
    "department": (filtered('department eq "D7"'), {"person_display_name"}),
    "display_name": (filtered('display_name sw "ann smith1"'), {"person_display_name"}),
    "family_name": (filtered('family_name eq "smith77"'), {"person_family_name"}),
    "user_name": (filtered('user_name eq "user77"'), {"person_user_name"}),
    "email": (filtered('email eq "person77@acme.example"'), {"person_email"}),
    "employee_id": (filtered('employee_id eq "e77"'), {"person_employee_id"}),
    "manager_id": (filtered('manager_id eq "00000000-0000-0000-0000-000000000001"'), {"person_manager"}),
    "roles": (filtered('roles eq "admin"'), {"person_role_role", "person_pkey"}),
    "roles that many have": (filtered('roles eq "manager"'), set()),
    "groups": (filtered(f'groups.value eq "{GROUP}"'), {"group_member_pkey", "person_pkey"}),
    "groups.display": (filtered('groups.display eq "TEAM 7"'), {"person_group_listed", "person_pkey"}),
    "groups.display, large": (filtered('groups.display eq "team 0"'), set()),
    "id": (filtered('id eq "00000000-0000-0000-0000-000000000001"'), {"person_pkey"}),
    "updated_at": (filtered('updated_at ge "2999-01-01T00:00:00Z"', sort="updated_at"), {"person_updated"}),
}


@pytest.mark.parametrize("name", ASKED)
async def test_a_list_uses_its_index(database: Database, filled: Filled, name: str) -> None:
    tenant_id, hr = filled
    ask, wanted = ASKED[name]
    company = (database, tenant_id, hr, NOBODY)
    found = await indexes_of(company, lambda tx: people_page(tx, ask))
    # What else it uses depends on what the planner believes of the tables, which other tests fill meanwhile.
    assert wanted <= found
    assert "seq:person" not in found


@pytest.mark.parametrize("sort", ["display_name", "updated_at"])
async def test_a_later_page_begins_where_the_last_ended(database: Database, filled: Filled, sort: str) -> None:
    tenant_id, hr = filled
    ask = PeopleAsk(sort=sort)  # pyright: ignore[reportArgumentType] - one of the two
    async with database.tenant(tenant_id, read_only=True) as tx:
        for _ in range(3):
            page = await people_page(tx, ask)
            ask = replace(ask, after=page.next)
    found = await indexes_of((database, tenant_id, hr, NOBODY), lambda tx: people_page(tx, ask))
    assert ("person_updated" if sort == "updated_at" else "person_display_name") in found
    assert "seq:person" not in found


def test_every_attribute_that_claims_an_index_is_looked_at() -> None:
    claimed = {attribute.name for attribute in CATALOGUE.attributes if attribute.cost is Cost.INDEXED}
    assert claimed <= ASKED.keys()


async def used(database: Database, filled: Filled, look: Callable[[TenantTx], Awaitable[object]]) -> set[str]:
    """The indexes of a look-up, without the little that is read whole."""
    tenant_id, hr = filled
    return await indexes_of((database, tenant_id, hr, NOBODY), look) - {"seq:source", "seq:role_rule", "seq:run"}


def of_groups(where: str | None = None, sort: str = "display_name") -> ListAsk:
    typed = None if where is None else check(parse(where), GROUP_CATALOGUE)
    return ListAsk(typed, sort, False, None, 50, None, None, "")


async def test_lists_of_groups_use_indexes_alone(database: Database, filled: Filled) -> None:
    async with database.tenant(filled[0], read_only=True) as tx:
        group = await group_line(tx, GROUP)
        person_id = await tx.fetchval("SELECT person_id FROM person WHERE employee_id = 'E77'")
    looks: tuple[tuple[str, Callable[[TenantTx], Awaitable[object]]], ...] = (
        ("person_group_listed", lambda tx: group_lines(tx, of_groups())),
        ("person_group_", lambda tx: group_lines(tx, of_groups(), "team 7")),
        ("person_group_", lambda tx: group_lines(tx, of_groups('display_name eq "team 7"'))),
        ("person_group_updated", lambda tx: group_lines(tx, of_groups(sort="updated_at"))),
        ("person_group_pkey", lambda tx: group_line(tx, GROUP)),
        ("group_member_pkey", lambda tx: member_lines(tx, GROUP, limit=50)),
        ("change_subject", lambda tx: group_timeline(tx, group)),
        ("group_member_of", lambda tx: belonging(tx, person_id)),
        ("group_member_pkey", lambda tx: preview(tx, AddRule(group.group_id, Role.AUTHOR))),
    )
    for index, look in looks:
        found = await used(database, filled, look)
        # Which of the two that have the name first is no matter.
        assert any(name.startswith(index) for name in found), (index, found)
        assert not {name for name in found if name.startswith("seq:")}, (index, found)


async def test_a_profile_and_its_timeline_use_indexes_alone(database: Database, filled: Filled) -> None:
    tenant_id, hr = filled
    async with database.tenant(tenant_id) as tx:
        person_id = PersonId(await tx.fetchval("SELECT person_id FROM person WHERE employee_id = 'E77'"))
    company = (database, tenant_id, hr, NOBODY)
    small = {
        f"seq:{table}"
        for table in (
            *("tenant", "freshness", "run", "hold", "due_change", "authority", "authority_version", "source"),
            "role_rule",
        )
    }
    used = await indexes_of(company, lambda tx: profile(tx, person_id)) - small - LINES
    assert {"person_pkey", "source_record_pkey", "change_person", "person_manager"} <= used
    assert not {name for name in used if name.startswith("seq:")}
    assert await indexes_of(company, lambda tx: timeline(tx, person_id)) - small >= {"change_person"}
