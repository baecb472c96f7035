"""Orders and cursors at a hundred thousand users, as the application: which index answers, and how much is read."""

import asyncio
import re
from typing import Final
from uuid import UUID

import asyncpg
import pytest

from stoa.db import embedded
from stoa.db.database import Database, open_database
from stoa.identity.scim.catalogue import BINDING, CATALOGUE
from stoa.identity.scim.lists.listed import After, Branch, Part, keys_page, keys_query
from stoa.identity.scim.lists.ordering import order_of
from stoa.identity.scim.lists.searching import compiled
from stoa.identity.scim.own.offered import PLAIN
from stoa.identity.scim.users import listed
from stoa.kernel.filters import sql
from stoa.kernel.ids import SourceId, TenantId, new_id
from stoa.tenants.actions import create_tenant, ensure_source
from stoa.tenants.model import NewTenant
from tests.conftest import ConnectArgs

USERS: Final = 100_000
_PERSONS: Final = """
INSERT INTO person (tenant_id, person_id, active, created_run, created_at, updated_at)
SELECT $1, md5('p' || n)::uuid, true, $2, $3, $3 FROM generate_series(1, $4) AS n"""
_RECORDS: Final = """
INSERT INTO source_record (tenant_id, source_id, external_id, resource_id, person_id, present, asserted_active, active,
  last_run, created_at, updated_at, user_name, user_name_key, raw)
SELECT $1, $2, md5('p' || n)::uuid::text, md5('p' || n)::uuid, md5('p' || n)::uuid, true, true, true, $3, $4, $4, u, u,
  jsonb_build_object('userName', u, 'title', 'T' || n % 977, '~', jsonb_build_object('title', 't' || n % 977))
FROM (SELECT n, CASE WHEN n % 1000 > 0 THEN 'user' || md5(n::text) END AS u FROM generate_series(1, $5) AS n) AS made"""
Filled = tuple[TenantId, SourceId]


@pytest.fixture(scope="module")
def filled(connect_args: ConnectArgs, server: embedded.Server, database_url: str) -> Filled:
    async def fill() -> Filled:
        database = await open_database(connect_args)
        try:
            tenant_id = (await create_tenant(database, NewTenant(slug=f"many-{new_id()}"[:60], name="Many"))).tenant_id
            async with database.tenant(tenant_id) as tx:
                source_id = (await ensure_source(tx, "idp", "Okta")).source_id
                await tx.execute(_PERSONS, tenant_id, new_id(), tx.now, USERS)
                await tx.execute(_RECORDS, tenant_id, source_id, new_id(), tx.now, USERS)
        finally:
            await database.close()
        name = database_url.split("?")[0].rsplit("/", 1)[-1]
        admin = await asyncpg.connect(server.admin_dsn.replace("/postgres?", f"/{name}?"))
        await admin.execute("ANALYZE person, source_record")
        await admin.close()
        return tenant_id, source_id

    return asyncio.run(fill())


MIDDLE: Final = UUID("80000000-0000-0000-0000-000000000000")
_NAMES: Final = {"source_record_user_name", "source_record_one_user_name"}
_IDS: Final = {"source_record_tenant_id_resource_id_key"}


@pytest.mark.all
@pytest.mark.parametrize(
    ("by", "descending", "after", "expected"),
    [
        ("userName", False, None, _NAMES),
        ("userName", True, None, _NAMES),
        ("userName", False, After(0, "user8", MIDDLE), _NAMES),
        ("userName", True, After(0, "user8", MIDDLE), _NAMES),
        (None, False, None, _IDS),
        (None, False, After(0, None, MIDDLE), _IDS),
        ("id", True, After(0, MIDDLE, MIDDLE), _IDS),
    ],
)
async def test_a_page_by_cursor_reads_a_page(
    filled: Filled, database: Database, by: str | None, descending: bool, after: After | None, expected: set[str]
) -> None:
    tenant_id, source_id = filled
    order = order_of(CATALOGUE, by, "descending" if descending else None)
    async with database.tenant(tenant_id) as tx:
        branches = (Branch(listed(PLAIN), None),)
        part = Part.ALL if by is None or descending else Part.WITH_VALUE
        query = keys_query(tx, source_id, branches, order, after=after, limit=101, part=part)
        rows = await tx.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {query.text}", *query.params)
        plan = "\n".join(row[0] for row in rows)
        assert any(name in plan for name in expected), plan
        if after is not None or not descending:
            # Those without a name, who come first from the other end, have no index.
            assert "Seq Scan" not in plan, plan
            removed = [int(number) for number in re.findall(r"Rows Removed by Filter: (\d+)", plan)]
            assert sum(removed) < 10, plan
        assert len(await keys_page(tx, source_id, branches, order, after=after, limit=101)) == 101


@pytest.mark.all
async def test_an_order_without_an_index_is_within_its_time(filled: Filled, database: Database) -> None:
    tenant_id, source_id = filled
    async with database.tenant(tenant_id) as tx:
        branches = (Branch(listed(PLAIN), None),)
        order = order_of(CATALOGUE, "title", "descending")
        await tx.execute("SET LOCAL statement_timeout = 5000")
        page = await keys_page(tx, source_id, branches, order, after=None, limit=101)
    assert [key.value for key in page] == ["t99"] * 101


@pytest.mark.all
async def test_a_user_name_is_looked_up_by_an_index(filled: Filled, database: Database) -> None:
    tenant_id, source_id = filled
    where = sql(compiled(CATALOGUE, 'userName eq "User5"'), BINDING, first_param=3)
    async with database.tenant(tenant_id) as tx:
        asked = (
            f"SELECT FROM source_record r WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.present AND {where.text}"
        )
        rows = await tx.fetch(f"EXPLAIN {asked}", tenant_id, source_id, *where.params)
    plan = "\n".join(row[0] for row in rows)
    assert any(name in plan for name in _NAMES), plan
    assert "user_name_key =" in plan.split("Index Cond")[1].splitlines()[0]
