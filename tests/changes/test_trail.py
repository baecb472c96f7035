"""The audit log: who, from where, what; filtered, searched and paged, whatever its length."""

import re
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from stoa.changes.rendering import render_changes
from stoa.db import embedded
from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.events.actions import emit, emit_batch, number_entries
from stoa.events.model import Event
from stoa.events.queries import read_events
from stoa.events.trail import CATALOGUE, TrailAsk, TrailLine, TrailPage, trail_entry, trail_page
from stoa.kernel.cursors import BadCursor, Position
from stoa.kernel.filters import check, parse
from stoa.kernel.ids import RunId, TenantId, new_id
from stoa.people.actions import assert_record, provision
from stoa.people.model import Asserted, Provisioned
from stoa.people.queries import record_by_resource
from tests.people import making

ADA = Origin("operator:ada", "console", "aaaa", "192.0.2.1")
OKTA = Origin("scim:okta", "scim", "bbbb", "2001:db8::1")


async def write(database: Database, tenant_id: TenantId, origin: Origin, *events: Event) -> None:
    async with database.tenant(tenant_id, origin) as tx:
        for event in events:
            emit(tx, event)


async def page(database: Database, tenant_id: TenantId, text: str = "", **asked: Any) -> TrailPage:
    looked_through = asked.pop("looked_through", 20_000)
    where = check(parse(text), CATALOGUE) if text else None
    async with database.tenant(tenant_id, read_only=True) as tx:
        return await trail_page(tx, TrailAsk(where=where, **asked), looked_through=looked_through)


def told(found: TrailPage) -> list[str | None]:
    return [line.type for line in found.lines]


@pytest.fixture
async def log(database: Database, tenant_id: TenantId) -> RunId:
    """Five entries after those of the new tenant; gives the run of the bulk one."""
    await write(database, tenant_id, ADA, Event("run.approved", "run:1", {"before": {"state": "held"}}))
    await write(database, tenant_id, OKTA, Event("person.created", "p1", {}), Event("person.updated", "p2", {}))
    run_id = RunId(new_id())
    async with database.tenant(tenant_id, Origin("job:changes.source", "worker", "cccc")) as tx:
        emit_batch(tx, run_id=run_id, ord_from=1, ord_to=40, n=40)
    await write(database, tenant_id, ADA, Event("person.updated", "p1", {"after": {"title": "Chief"}}))
    return run_id


async def test_lines_say_who_from_where_what_and_when_the_newest_first(
    database: Database, tenant_id: TenantId, log: RunId
) -> None:
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
    found = await page(database, tenant_id)
    assert told(found)[:5] == ["person.updated", None, "person.updated", "person.created", "run.approved"]
    newest, bulk, second = found.lines[0], found.lines[1], found.lines[2]
    assert (newest.actor, newest.via, newest.request_id, newest.address) == (
        "operator:ada",
        "console",
        "aaaa",
        "192.0.2.1",
    )
    assert (newest.subject, newest.body) == ("p1", {"after": {"title": "Chief"}})
    assert (bulk.bulk, bulk.erased, bulk.n, bulk.run_id, bulk.address) == (True, False, 40, log, None)
    # Numbers are those of events: a bulk entry has as many as it stands for.
    assert bulk.seq is not None
    assert newest.seq == bulk.seq + 40
    assert second.seq == bulk.seq - 1
    assert (await page(database, tenant_id, descending=False)).lines == list(reversed(found.lines))


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ('subject eq "p1"', ["person.updated", "person.created"]),
        ('type eq "run.approved"', ["run.approved"]),
        ('type eq "person.updated"', ["person.updated", "person.updated"]),
        ('type sw "person."', ["person.updated", "person.updated", "person.created"]),
        ('actor eq "operator:ada"', ["person.updated", "run.approved"]),
        ('actor eq "operator:ada" and type sw "run."', ["run.approved"]),
        ('via eq "scim"', ["person.updated", "person.created"]),
        ('address eq "2001:db8::1" and subject eq "p2"', ["person.updated"]),
        ('request_id eq "aaaa"', ["person.updated", "run.approved"]),
        ("run_id pr", [None]),
        ("not (type pr)", [None]),
        ('at gt "2020-01-01T00:00:00Z" and actor eq "scim:okta"', ["person.updated", "person.created"]),
        ('at lt "2020-01-01T00:00:00Z"', []),
        ('at gt "2999-01-01T00:00:00Z"', []),
        ('at lt "0001-01-01T00:00:00Z"', []),
        ('subject eq "nobody"', []),
    ],
)
async def test_it_is_filtered(
    database: Database, tenant_id: TenantId, log: RunId, text: str, types: list[str | None]
) -> None:
    assert told(await page(database, tenant_id, text)) == types
    assert sorted(map(str, told(await page(database, tenant_id, text, descending=False)))) == sorted(map(str, types))


@pytest.mark.parametrize(
    ("search", "types"),
    [
        ("APPROVED", ["run.approved"]),
        ("192.0.2", ["person.updated", "run.approved"]),
        ("bbbb", ["person.updated", "person.created"]),
        ("p2", ["person.updated"]),
        ("nothing like it", []),
        ("\0", None),
    ],
)
async def test_it_is_searched(
    database: Database, tenant_id: TenantId, log: RunId, search: str, types: list[str] | None
) -> None:
    found = told(await page(database, tenant_id, search=search))
    assert found == types if types is not None else len(found) > 3


async def test_a_search_finds_the_lines_of_whoever_bears_the_name(
    database: Database, tenant_id: TenantId, log: RunId
) -> None:
    found = await page(database, tenant_id, search="ada byron", actors=("operator:ada",))
    assert told(found) == ["person.updated", "run.approved"]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize(("limit", "looked_through"), [(1, 20_000), (2, 20_000), (3, 2), (50, 1)])
@pytest.mark.parametrize("text", ["", 'type sw "person."', 'subject eq "p1"', 'actor eq "operator:ada"'])
async def test_pages_show_every_line_once_however_short_they_are(
    database: Database, tenant_id: TenantId, log: RunId, text: str, limit: int, looked_through: int, descending: bool
) -> None:
    whole = (await page(database, tenant_id, text, descending=descending)).lines
    found: list[TrailLine] = []
    after: Position | None = None
    for _ in range(40):
        one = await page(
            database, tenant_id, text, descending=descending, limit=limit, after=after, looked_through=looked_through
        )
        assert len(one.lines) <= limit
        found += one.lines
        after = one.next
        if after is None:
            break
    assert found == list(whole)


async def test_a_page_that_ends_early_says_how_far_it_looked(
    database: Database, tenant_id: TenantId, log: RunId
) -> None:
    one = await page(database, tenant_id, 'via eq "nowhere"', looked_through=2)
    assert (one.lines, one.looked_until is not None, one.next is not None) == ([], True, True)
    last = await page(database, tenant_id, 'via eq "nowhere"')
    assert (last.looked_until, last.next) == (None, None)


@pytest.mark.parametrize("after", [(1,), ("x", 1), (-1, 0), (1, 2**62 + 1), (1, 1, 1)])
async def test_a_position_that_is_none_is_refused(database: Database, tenant_id: TenantId, after: Position) -> None:
    with pytest.raises(BadCursor):
        await page(database, tenant_id, after=after)


async def test_one_entry_is_shown_whole_and_only_to_its_tenant(
    database: Database, tenant_id: TenantId, make_tenant: Any, log: RunId
) -> None:
    entry_no = (await page(database, tenant_id, 'via eq "scim"')).lines[0].entry_no
    async with database.tenant(tenant_id) as tx:
        assert [line.subject for line in await trail_entry(tx, entry_no)] == ["p1", "p2"]
        assert len(await trail_entry(tx, entry_no, limit=1)) == 1
        assert await trail_entry(tx, 2**62) == []
    async with database.tenant(await make_tenant()) as tx:
        assert await trail_entry(tx, entry_no) == []


async def test_times_are_found_however_long_the_log(database: Database, tenant_id: TenantId) -> None:
    await fill(database, tenant_id, 3_000)
    async with database.tenant(tenant_id) as tx:
        now = tx.now
    text = (
        f'at ge "{(now - timedelta(hours=2000)).isoformat()}" and at lt "{(now - timedelta(hours=1990)).isoformat()}"'
    )
    found = await page(database, tenant_id, text, looked_through=30)
    assert len(found.lines) == 10
    assert found.next is None


# ------------------------------------------------------------------ plans


async def fill(database: Database, tenant_id: TenantId, entries: int) -> None:
    """An entry of one person's change for each of the last hours, and some by an operator."""
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            """INSERT INTO entry (tenant_id, entry_no, at, actor, via, n, salt, digest)
               SELECT $1, nextval('entry_no_seq'), $2::timestamptz - (i || ' hours')::interval,
                 CASE WHEN i % 500 = 0 THEN 'operator:ada' ELSE 'scim:okta' END, 'scim', 1, '', ''
               FROM generate_series($3::integer, 1, -1) AS i""",
            tenant_id, tx.now, entries,
        )  # fmt: skip
        await tx.execute(
            """INSERT INTO event (tenant_id, entry_no, ord, type, subject, body)
               SELECT $1, entry_no, 0, CASE WHEN entry_no % 500 = 0 THEN 'run.approved' ELSE 'person.updated' END,
                 'p' || entry_no % 700, '{}' FROM entry WHERE tenant_id = $1 AND salt = ''""",
            tenant_id,
        )


class Explained(TenantTx):
    """Explains what it is asked to fetch."""

    plans: list[str]

    async def fetch(self, sql: str, *params: object) -> list[Any]:
        rows = await super().fetch(f"EXPLAIN (COSTS OFF) {sql}", *params)
        self.plans.append("\n".join(row[0] for row in rows))
        return await super().fetch(sql, *params)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("", "entry_pkey"),
        ('subject eq "p7"', "event_subject"),
        ('subject eq "01a208a0-d029-768c-94f3-19aff44199f5"', "change_person"),
        ('subject eq "01a208a0-d029-768c-94f3-19aff44199f5"', "entry_run"),
        ('type eq "run.approved"', "event_type"),
        ('actor eq "operator:ada"', "entry_actor"),
        ('at lt "2020-01-01T00:00:00Z"', "entry_at"),
        ('via eq "scim"', "entry_pkey"),
    ],
)
async def test_each_question_uses_its_index(
    server: embedded.Server, database: Database, tenant_id: TenantId, text: str, index: str
) -> None:
    await fill(database, tenant_id, 5_000)
    admin = await asyncpg.connect(server.admin_dsn.replace("/postgres?", "/stoa?"))
    try:
        await admin.execute("ANALYZE entry, event, change, run")
    finally:
        await admin.close()
    async with database.tenant(tenant_id) as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        explained = Explained(tx.connection, tx.now, print, tenant_id)
        explained.plans = []
        await trail_page(explained, TrailAsk(where=check(parse(text), CATALOGUE) if text else None))
    [plan] = explained.plans
    assert re.search(rf"(Index (Only )?Scan( Backward)? using|Bitmap Index Scan on) {index}\b", plan), plan
    assert "Seq Scan" not in plan
    # A condition without an index is not looked for in the whole log: each candidate is read by its key.
    assert re.search(r"Scan using entry_pkey on entry s\n +Index Cond: .*entry_no = ", plan), plan


# ------------------------------------------------------------------ changes of people


async def test_what_a_request_changed_of_a_person_is_told_like_any_event(
    database: Database, tenant_id: TenantId
) -> None:
    okta = await making.source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id, OKTA) as tx:
        made = await provision(tx, okta, asserted(display_name="Ada Byron", title="Clerk"))
        assert isinstance(made, Provisioned)
    async with database.tenant(tenant_id, OKTA) as tx:
        record = await record_by_resource(tx, okta, made.record.resource_id)
        assert record is not None
        await assert_record(tx, record, asserted(display_name="Ada Byron", title="Chief"))
    person = str(made.record.person_id)
    found = await page(database, tenant_id, f'subject eq "{person}"')
    assert told(found) == ["person.updated", "person_record.updated", "person.created", "person_record.created"]
    assert {(line.actor, line.address, line.subject, line.bulk) for line in found.lines} == {
        ("scim:okta", "2001:db8::1", person, False)
    }
    changed, change, created, _ = found.lines
    assert changed.body is not None
    assert (changed.body["before"], changed.body["after"]) == ({"title": "Clerk"}, {"title": "Chief"})
    assert change.body is not None
    assert change.body["after"] == {"title": "Chief"}
    assert created.body is not None
    assert created.body["after"]["display_name"] == "Ada Byron"
    assert told(await page(database, tenant_id, 'type eq "person.updated" and via eq "scim"')) == ["person.updated"]
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
        stream = {one.seq: (one.type, one.body) for one in await read_events(tx, 0, 100, render_changes)}
    numbered = await page(database, tenant_id, f'subject eq "{person}"')
    assert {line.seq: (line.type, line.body) for line in numbered.lines}.items() <= stream.items()


async def test_a_persons_lines_are_found_in_bulk_entries_too(database: Database, tenant_id: TenantId) -> None:
    hr = await making.source(database, tenant_id)
    await making.sync(database, tenant_id, hr, making.report(making.worker(n) for n in range(5)))
    async with database.tenant(tenant_id) as tx:
        person = await tx.fetchval("SELECT person_id FROM change WHERE tenant_id = $1 ORDER BY ord LIMIT 1", tenant_id)
    assert [line.n for line in (await page(database, tenant_id, "run_id pr")).lines if line.bulk] == [5, 5]
    found = await page(database, tenant_id, f'subject eq "{person}"')
    [line] = found.lines
    assert (line.type, line.subject, line.n, line.bulk) == ("person_record.created", str(person), 1, False)
    # Which of the bulk entry's numbers is its own, the event stream tells.
    assert line.seq is None
    assert line.body is not None
    assert line.body["after"]["given_name"]
    assert line.body.keys().isdisjoint({"raw", "row_hash"})


async def test_a_change_whose_content_was_erased_keeps_its_line(database: Database, tenant_id: TenantId) -> None:
    hr = await making.source(database, tenant_id)
    await making.sync(database, tenant_id, hr, making.report([making.worker(1)]))
    async with database.tenant(tenant_id) as tx:
        await tx.execute("DELETE FROM effect WHERE tenant_id = $1", tenant_id)
        await tx.execute("DELETE FROM change WHERE tenant_id = $1", tenant_id)
    bare = await page(database, tenant_id, "run_id pr and not (type pr)")
    assert [line.erased for line in bare.lines] == [True, True]


def asserted(**values: Any) -> Asserted:
    """What an identity provider says of one user."""
    return Asserted({"user_name": "ada", **values}, active=True)
