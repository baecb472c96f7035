"""The audit chain: it verifies, and a row that was touched is found."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.db import embedded
from stoa.db.database import Database
from stoa.db.transactions import Origin
from stoa.events.actions import emit, emit_batch, number_entries
from stoa.events.model import Broken, Event
from stoa.events.rules import Head, Heading, Numbered, Unnumbered, comparable, entry_digest, link, number
from stoa.events.verifying import verify_chain
from stoa.kernel.ids import RunId, TenantId, new_id

HARD_BODY: dict[str, Any] = {
    "whole float": 1.0,
    "large": 1.5e18,
    "huge": 1e100,
    "beyond 64 bits": 1.2345678901234567e19,
    "small": 1e-7,
    "minus nothing": -0.0,
    "tenth": 0.1,
    "id": new_id(),
    "text": 'ü "quoted" \\ \u2028 🜁',
    "nested": {"b": [1, None, True], "a": {}},
}


async def write_log(database: Database, tenant_id: TenantId) -> int:
    """Three entries after those of the new tenant; gives the number of the first of their five events."""
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
        start = await tx.fetchval("SELECT next_seq FROM event_head WHERE tenant_id = $1", tenant_id)
    for body in (HARD_BODY, {"plain": 1}):
        async with database.tenant(tenant_id) as tx:
            emit(tx, Event("thing.changed", "subject", body))
    async with database.tenant(tenant_id, Origin("operator:ada", "console", "trace", "2001:db8::7")) as tx:
        emit_batch(tx, run_id=RunId(new_id()), ord_from=1, ord_to=3, n=3)
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
    return start


async def broken(database: Database, tenant_id: TenantId) -> Broken | None:
    async with database.tenant(tenant_id, read_only=True) as tx:
        return await verify_chain(tx)


async def tamper(server: embedded.Server, sql: str, *params: object) -> None:
    """Changes rows as only the owner of the machine could."""
    connection = await asyncpg.connect(server.admin_dsn.replace("/postgres?", "/stoa?"))
    try:
        assert (await connection.execute(sql, *params)).rsplit(" ", 1)[1] == "1"
    finally:
        await connection.close()


async def test_the_chain_of_an_untouched_log_verifies(database: Database, tenant_id: TenantId) -> None:
    await write_log(database, tenant_id)
    assert await broken(database, tenant_id) is None


@pytest.mark.parametrize(
    ("sql", "offset", "reason"),
    [
        ("UPDATE event SET body = '{\"plain\": 2}' WHERE tenant_id = $1 AND entry_no = $2", 1, "digest"),
        ("DELETE FROM event WHERE tenant_id = $1 AND entry_no = $2", 1, "digest"),
        ("UPDATE entry SET actor = 'nobody' WHERE tenant_id = $1 AND entry_no = $2", 1, "digest"),
        ("UPDATE entry SET at = at - interval '1 s' WHERE tenant_id = $1 AND entry_no = $2", 1, "digest"),
        ("UPDATE entry SET digest = '\\x00' WHERE tenant_id = $1 AND entry_no = $2", 1, "chain"),
        ("UPDATE entry SET chain = '\\x00' WHERE tenant_id = $1 AND entry_no = $2", 0, "chain"),
        ("UPDATE entry SET address = '2001:db8::8' WHERE tenant_id = $1 AND entry_no = $2", 2, "digest"),
        ("UPDATE entry SET address = NULL WHERE tenant_id = $1 AND entry_no = $2", 2, "digest"),
        ("UPDATE entry SET address = '2001:db8::7' WHERE tenant_id = $1 AND entry_no = $2", 1, "digest"),
        ("UPDATE entry SET ord_to = 4 WHERE tenant_id = $1 AND entry_no = $2", 2, "digest"),
        ("DELETE FROM entry WHERE tenant_id = $1 AND entry_no = $2", 0, "gap"),
    ],
)
async def test_a_tampered_row_is_found(
    database: Database, tenant_id: TenantId, server: embedded.Server, sql: str, offset: int, reason: str
) -> None:
    seq = await write_log(database, tenant_id) + offset
    async with database.tenant(tenant_id) as tx:
        entry_no = await tx.fetchval(
            "SELECT entry_no FROM entry WHERE tenant_id = $1 AND first_seq = $2", tenant_id, seq
        )
    await tamper(server, sql, tenant_id, entry_no)
    found = await broken(database, tenant_id)
    assert found is not None
    assert (found.seq, found.reason) == (seq, reason)


async def test_a_log_that_was_cut_off_at_its_end_is_found(
    database: Database, tenant_id: TenantId, server: embedded.Server
) -> None:
    seq = await write_log(database, tenant_id) + 2
    await tamper(server, "DELETE FROM entry WHERE tenant_id = $1 AND first_seq = $2", tenant_id, seq)
    assert await broken(database, tenant_id) == Broken(seq, None, "head")


async def test_an_erased_entry_keeps_its_place_in_the_chain(
    database: Database, tenant_id: TenantId, server: embedded.Server
) -> None:
    seq = await write_log(database, tenant_id)
    sql = "UPDATE entry SET salt = '', actor = 'erased' WHERE tenant_id = $1 AND first_seq = $2"
    await tamper(server, sql, tenant_id, seq)
    assert await broken(database, tenant_id) is None


@given(st.lists(st.tuples(st.integers(1, 50), st.binary(min_size=32, max_size=32)), max_size=20), st.integers(0, 20))
def test_numbering_in_parts_gives_what_numbering_at_once_gives(entries: list[tuple[int, bytes]], cut: int) -> None:
    waiting = [Unnumbered(entry_no, n, digest) for entry_no, (n, digest) in enumerate(entries, start=1)]
    first, early = number(Head(1, b""), waiting[:cut])
    last, late = number(first, waiting[cut:])
    assert (last, early + late) == number(Head(1, b""), waiting)
    assert last.next_seq == 1 + sum(n for n, _ in entries)


def test_the_chain_depends_on_place_and_content() -> None:
    _, [entry] = number(Head(5, b"before"), [Unnumbered(9, 2, b"digest")])
    assert entry == Numbered(9, 5, link(b"before", b"digest", 9, 5))
    variants = {link(b"x", b"d", 1, 1), link(b"", b"d", 1, 1), link(b"", b"e", 1, 1), link(b"", b"d", 2, 1)}
    assert len(variants | {link(b"", b"d", 1, 2)}) == 5


@pytest.mark.parametrize(
    ("sent", "stored"), [("1.0", "1"), ("1e3", "1000"), ("-0.0", "0"), ("1e-7", "0.0000001"), ("1.10", "1.1")]
)
def test_a_number_compares_equal_after_jsonb_rewrote_it(sent: str, stored: str) -> None:
    assert comparable(sent) == comparable(stored)
    assert type(comparable(sent)) is type(comparable(stored))


def test_an_entry_without_an_address_has_the_digest_that_it_had_before_there_were_addresses() -> None:
    heading = Heading(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "system", "worker", None, None, None, None, 1)
    said = (
        '{"actor":"system","at":"2026-01-02T03:04:05.000006+00:00","events":[["thing.made","x",{}]],"n":1,'
        '"ords":[null,null],"request":null,"run":null,"via":"worker"}'
    )
    assert entry_digest(b"salt", heading, [("thing.made", "x", {})]) == sha256(b"salt" + said.encode()).digest()


async def test_an_address_of_any_length_is_written_down_as_far_as_there_is_room(
    database: Database, tenant_id: TenantId
) -> None:
    for address in ("fe80::1%" + "x" * 500, ""):
        async with database.tenant(tenant_id, Origin("operator:ada", "console", None, address)) as tx:
            emit(tx, Event("thing.done", address[:10], {}))
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
        rows = await tx.fetch(
            "SELECT address FROM entry WHERE tenant_id = $1 AND actor = 'operator:ada' ORDER BY entry_no", tenant_id
        )
    assert [row["address"] for row in rows] == ["fe80::1%" + "x" * 92, None]
    assert await broken(database, tenant_id) is None
