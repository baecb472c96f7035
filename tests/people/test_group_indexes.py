"""Look-ups of groups and members at size: each by an index of its own, and none that reads a large group to change a
little of it.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, cast
from uuid import uuid4

import asyncpg
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.identity.scim.groups.endpoint import LISTED
from stoa.identity.scim.lists.searching import compiled
from stoa.kernel.filters import sql
from stoa.kernel.ids import SourceId, TenantId
from stoa.people import groups_queries as queries
from stoa.people.groups_actions import change_group
from stoa.people.groups_awaited import awaited_of, groups_awaiting, users_bearing
from stoa.people.groups_members import Turn, turn_of, write_turn
from stoa.people.groups_model import Delta, Group, GroupChanged, MemberName, Replaced

from .grouping import make_group
from .making import report, source, sync, worker

PEOPLE = 3_000
Place = tuple[Database, TenantId, SourceId, Group]


@pytest.fixture
async def place(database: Database, tenant_id: TenantId, server: embedded.Server, database_url: str) -> Place:
    """A source with some people, a large group and many small ones."""
    idp = await source(database, tenant_id, "idp", "Okta")
    await sync(database, tenant_id, idp, report([worker(n, user_name=f"user{n}") for n in range(PEOPLE)]))
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch("SELECT resource_id FROM source_record ORDER BY resource_id")
        ids = [row["resource_id"] for row in rows]
        large = await make_group(tx, idp, "Everybody", ids[100:])
        for number in range(200):
            await make_group(tx, idp, f"Group {number}", ids[number : number + 3])
        group = await queries.group_by_id(tx, idp, large)
        assert group is not None
    name = database_url.split("?")[0].rsplit("/", 1)[-1]
    admin = await asyncpg.connect(server.admin_dsn.replace("/postgres?", f"/{name}?"))
    await admin.execute("ANALYZE source_record, person_group, group_member")
    await admin.close()
    return database, tenant_id, idp, group


async def told(place: Place, look_up: Callable[[TenantTx], Awaitable[Any]]) -> tuple[set[str], int]:
    """The indexes that a look-up's statements used, with `seq:` before a table that was read whole, and how many rows
    of records and memberships they went through.
    """
    database, tenant_id, _, _ = place
    sent: list[tuple[str, tuple[object, ...]]] = []
    found: set[str] = set()
    rows = 0
    async with database.tenant(tenant_id) as tx:
        with tx.connection.query_logger(lambda record: sent.append((record.query, tuple(record.args)))):
            await look_up(tx)
        await tx.fetchval("SELECT 1")
        for text, params in ((text, params) for text, params in sent if "pg_catalog" not in text):
            if text.lstrip()[:6] not in {"SELECT", "WITH m"}:
                continue
            plan = json.loads(await tx.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", *params))
            for node in _nodes(plan[0]["Plan"]):
                found |= {_index(node) or ""}
                rows += _read(node)
    return found, rows


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _index(node: dict[str, Any]) -> str | None:
    return f"seq:{node['Relation Name']}" if node["Node Type"] == "Seq Scan" else node.get("Index Name")


def _read(node: dict[str, Any]) -> int:
    if node.get("Relation Name") not in {"source_record", "group_member"}:
        return 0
    each: float = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return int(each * node["Actual Loops"])


async def test_a_large_group_is_changed_without_being_read(place: Place) -> None:
    database, tenant_id, _, group = place
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch("SELECT resource_id FROM source_record ORDER BY resource_id LIMIT 200")
    ids = [row["resource_id"] for row in rows]
    wanted = Delta(add=frozenset(ids[:100]), remove=frozenset(ids[100:]))

    async def change(tx: TenantTx) -> None:
        assert isinstance(await turn_of(tx, group, wanted, weighed=False), Turn)

    found, read = await told(place, change)
    assert "source_record_tenant_id_resource_id_key" in found
    assert not any(one.startswith("seq:") for one in found)
    assert read <= 100 + 2 * 100 + 100
    async with database.tenant(tenant_id) as tx:
        turn = await turn_of(tx, group, wanted, weighed=False)
        assert isinstance(turn, Turn)
        await write_turn(tx, group, turn)
        there = await tx.fetchval("SELECT count(*) FROM group_member WHERE group_id = $1", group.group_id)
        assert there == PEOPLE - 100
        nothing = await turn_of(tx, group, Replaced(frozenset(ids[:100]) | set(await _rest(tx))))
        assert isinstance(nothing, Turn)
        assert nothing.empty


async def _rest(tx: TenantTx) -> list[Any]:
    rows = await tx.fetch("SELECT resource_id FROM source_record ORDER BY resource_id OFFSET 200")
    return [row["resource_id"] for row in rows]


async def test_who_is_awaited_is_found_by_name_and_by_group(place: Place) -> None:
    database, tenant_id, idp, group = place
    async with database.tenant(tenant_id) as tx:
        some = frozenset({*(f"e-{n}" for n in range(2_000)), *(uuid4() for _ in range(100))})
        assert isinstance(await change_group(tx, group, None, Delta(some), awaits=True), GroupChanged)
        names: dict[MemberName, str] = {f"user{n}": f"user{n}" for n in range(100)}
        record = await tx.fetchval("SELECT resource_id FROM source_record LIMIT 1")
    found, _ = await told(place, lambda tx: groups_awaiting(tx, idp, record, "e-7"))
    assert found & {"group_awaited_value", "group_awaited_pkey"}
    assert not any(one.startswith("seq:") for one in found)
    found, read = await told(place, lambda tx: users_bearing(tx, idp, names))
    assert "source_record_scim_external_id" in found
    assert read <= 100
    found, _ = await told(place, lambda tx: awaited_of(tx, [group.group_id]))
    assert "group_awaited_pkey" in found


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ('displayName eq "group 7"', "person_group_"),
        ('externalId eq "x"', "person_group_external_id"),
        ('members.value eq "{member}"', "group_member_of"),
    ],
)
async def test_filters_over_groups_have_an_index(place: Place, text: str, index: str) -> None:
    database, tenant_id, idp, _ = place
    async with database.tenant(tenant_id) as tx:
        member = await tx.fetchval("SELECT resource_id FROM source_record ORDER BY resource_id LIMIT 1")
    where = sql(compiled(LISTED.catalogue, text.format(member=member)), LISTED.binding, first_param=3)
    found, read = await told(place, lambda tx: queries.groups_page(tx, idp, where, limit=10))
    assert any(one.startswith(index) for one in found)
    assert read <= 1_000


async def test_the_groups_of_a_page_of_users_are_one_statement_by_an_index(place: Place) -> None:
    database, tenant_id, idp, group = place
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch("SELECT resource_id FROM source_record ORDER BY resource_id LIMIT 100")
    ids = [row["resource_id"] for row in rows]
    found, read = await told(place, lambda tx: queries.groups_of(tx, ids))
    assert "group_member_of" in found
    assert read <= 400
    found, read = await told(place, lambda tx: queries.members_page(tx, group.group_id, after=ids[-1], limit=50))
    assert "group_member_pkey" in found
    assert read <= 200
    found, read = await told(place, lambda tx: queries.groups_named(tx, idp, "everybody", "x"))
    assert any(one.startswith("person_group_") for one in found)
    assert not any(one.startswith("seq:") for one in found)


def _written(value: object) -> str:
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(_written, cast('list[object]', value)))}]"
    return f"'{value}'::uuid"


async def test_taking_back_what_waits_reads_each_row_of_the_plan_once(place: Place) -> None:
    database, tenant_id, idp, group = place
    sent: list[tuple[str, tuple[object, ...]]] = []
    async with database.tenant(tenant_id) as tx:
        members = await queries.members_page(tx, group.group_id, limit=PEOPLE)
        leaving = frozenset(one.resource_id for one in members[: PEOPLE // 2])
        held = await change_group(tx, group, None, Delta(frozenset(), leaving))
        assert isinstance(held, GroupChanged)
        assert held.held is not None
    async with database.tenant(tenant_id, one_plan=True) as tx:
        again = await queries.group_by_id(tx, idp, group.group_id, lock=True)
        assert again is not None
        with suppress(ZeroDivisionError):
            async with tx.savepoint():
                with tx.connection.query_logger(lambda record: sent.append((record.query, tuple(record.args)))):
                    await change_group(tx, again, None, Delta(leaving, frozenset()))
                # Undone, to be looked at once more.
                raise ZeroDivisionError
        (withdrawal,) = [one for one in sent if "withdrawn" in one[0]]
        # The plan that is kept for any parameters, as it is used: EXPLAIN of the statement itself would make another.
        await tx.connection.execute(f"PREPARE withdrawal AS {withdrawal[0]}")
        given = ", ".join(map(_written, withdrawal[1]))
        plan = json.loads(await tx.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE withdrawal({given})"))
        await tx.connection.execute("DEALLOCATE withdrawal")
        # The plan was written a moment ago: there are no statistics of its run.
        nodes = [node for node in _nodes(plan[0]["Plan"]) if node.get("Relation Name") in {"change", "group_member"}]
        read = [(node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in nodes]
        assert sum(read) < 10 * len(leaving)
        assert sum(read) >= len(leaving)
