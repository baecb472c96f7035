"""Records of before family names were keyed: they are filled in by a worker, and what was planned or journalled without
keys can still be applied and undone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from stoa.changes.model import Run
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.jobs.model import LeaseLost
from stoa.jobs.run import JobRun
from stoa.kernel.fold import fold
from stoa.kernel.ids import SourceId, TenantId, new_id
from stoa.people import queries
from stoa.people.keys import KEYS_JOB, fill_keys

from .making import apply, plan, report, rollback, source, sync, worker

PEOPLE = 60


@dataclass(frozen=True, slots=True)
class Job(JobRun):
    """An attempt that is ended from outside before the nth of its transactions."""

    killed_at: int = 10**6
    fenced: list[int] = field(default_factory=list[int])

    async def fence(self, tx: TenantTx) -> None:
        self.fenced.append(1)
        if len(self.fenced) == self.killed_at:
            raise LeaseLost("The lease is lost.")


@dataclass(frozen=True, slots=True)
class Company:
    database: Database
    tenant_id: TenantId
    hr: SourceId

    async def fetch(self, sql: str, *params: object) -> list[dict[str, Any]]:
        async with self.database.tenant(self.tenant_id) as tx:
            return [dict(row) for row in await tx.fetch(sql, *params)]

    async def forget_keys(self, changes: bool = True) -> None:
        """As if the rows, and what was planned and journalled, had been written before there was the key."""
        async with self.database.tenant(self.tenant_id) as tx:
            await tx.execute("UPDATE source_record SET family_name_key = NULL")
            await tx.execute("UPDATE person SET family_name_key = NULL")
            if changes:
                await tx.execute(
                    "UPDATE change SET before = before - 'family_name_key', after = after - 'family_name_key'"
                )

    async def fill(self, killed_at: int = 10**6) -> None:
        ids = (self.database, self.tenant_id, new_id(), KEYS_JOB, "all", dict[str, Any](), 1, 1, "0" * 32)
        await fill_keys(Job(*ids, killed_at=killed_at), limit=25)

    async def wrong(self) -> list[str]:
        """Whose key is not that of the family name."""
        rows = await self.fetch(
            """SELECT external_id AS id, family_name, family_name_key FROM source_record
            UNION ALL SELECT person_id::text, family_name, family_name_key FROM person"""
        )
        assert rows
        return [row["id"] for row in rows if row["family_name_key"] != fold_or_none(row["family_name"])]

    async def written(self) -> dict[str, Any]:
        """Which transaction wrote each row, with its version."""
        rows = await self.fetch(
            """SELECT external_id AS id, xmin::text, version, updated_at FROM source_record
            UNION ALL SELECT person_id::text, xmin::text, version, updated_at FROM person"""
        )
        return {row["id"]: row for row in rows}

    async def asked(self) -> int:
        return len(await self.fetch("SELECT FROM job WHERE kind = $1", KEYS_JOB))

    async def family_of(self, key: str) -> tuple[str | None, str | None]:
        async with self.database.tenant(self.tenant_id) as tx:
            record = await queries.record_by_key(tx, self.hr, key)
            assert record is not None
            person = await queries.person_by_id(tx, record.person_id)
        assert person is not None
        return record.values["family_name"], person.keys["family_name_key"]  # pyright: ignore[reportReturnType] - a text


def fold_or_none(name: str | None) -> str | None:
    return None if name is None else fold(name)


Rows = Callable[..., list[dict[str, Any]]]


def rows(**first: Any) -> list[dict[str, Any]]:
    """A report; `first` is what differs of the first worker."""
    return [worker(n, **({"family_name": None} if n == 7 else {}) | (first if n == 0 else {})) for n in range(PEOPLE)]


@pytest.fixture
async def company(database: Database, tenant_id: TenantId) -> Company:
    return Company(database, tenant_id, await source(database, tenant_id))


async def load(company: Company, **first: Any) -> Run:
    return await sync(company.database, company.tenant_id, company.hr, report(rows(**first)))


async def test_keys_are_filled_in_once(company: Company) -> None:
    await load(company)
    before = await company.written()
    await company.forget_keys()
    assert len(await company.wrong()) == 2 * PEOPLE - 2
    await company.fill()
    assert await company.wrong() == []
    filled = await company.written()
    assert {k: (r["version"], r["updated_at"]) for k, r in filled.items()} == {
        k: (r["version"], r["updated_at"]) for k, r in before.items()
    }
    await company.fill()
    assert await company.written() == filled


async def test_who_was_killed_in_the_middle_goes_on(company: Company) -> None:
    await load(company)
    await company.forget_keys()
    for killed_at, left in ((2, 2 * PEOPLE - 2 - 24), (5, PEOPLE - 1 - 24)):
        with pytest.raises(LeaseLost):
            await company.fill(killed_at)
        assert len(await company.wrong()) == left
    done = await company.written()
    await company.fill()
    assert await company.wrong() == []
    again = await company.written()
    assert sum(again[key] == row for key, row in done.items()) == PEOPLE + 25


async def test_a_key_that_does_not_fit_is_set_right(company: Company) -> None:
    await load(company)
    async with company.database.tenant(company.tenant_id) as tx:
        await tx.execute("UPDATE source_record SET family_name_key = 'other' WHERE external_id < 'E00020'")
        await tx.execute("UPDATE person SET family_name_key = 'other' WHERE employee_id < 'E00010'")
    await company.fill()
    assert await company.wrong() == []


async def test_the_same_report_changes_nobody(company: Company) -> None:
    await load(company)
    await company.forget_keys()
    assert (await load(company)).counts == {}
    async with company.database.tenant(company.tenant_id) as tx:
        # What somebody else has touched is compared field by field.
        await tx.execute("UPDATE source_record SET row_hash = 0")
    assert (await load(company)).counts == {}


async def test_a_change_of_something_else_tells_nothing_of_the_key(company: Company) -> None:
    await load(company)
    await company.forget_keys()
    run = await load(company, title="Chief")
    (told,) = await company.fetch("SELECT before, after FROM change WHERE run_id = $1", run.run_id)
    assert {*told["before"]} == {*told["after"]} == {"title", "row_hash"}


async def test_a_plan_of_before_the_filling_is_applied_after_it(company: Company) -> None:
    await load(company)
    await company.forget_keys()
    planned = await plan(company.database, company.tenant_id, company.hr, report(rows(family_name="Byron")))
    await company.fill()
    await apply(company.database, company.tenant_id, planned)
    assert await company.family_of("E00000") == ("Byron", "byron")
    assert await company.wrong() == []


async def test_a_plan_of_before_the_migration_is_applied_after_it(company: Company) -> None:
    await load(company)
    renamed = rows(family_name="Byron")
    new = worker(PEOPLE)
    planned = await plan(company.database, company.tenant_id, company.hr, report([*renamed, new]))
    await company.forget_keys()
    await company.fill()
    assert not await company.asked()
    await apply(company.database, company.tenant_id, planned)
    # A name without its key takes the key of the old name away, until a worker comes to it.
    assert await company.family_of("E00000") == ("Byron", None)
    assert await company.asked()
    await company.fill()
    assert await company.wrong() == []
    assert await company.family_of(new["external_id"]) == (new["family_name"], fold(new["family_name"]))


async def test_a_run_of_before_the_migration_is_undone_after_it(company: Company) -> None:
    made = await load(company)
    renamed = await load(company, family_name="Byron")
    await company.forget_keys()
    await company.fill()
    undo = await rollback(company.database, company.tenant_id, renamed.run_id)
    assert (undo.counts, undo.figures) == ({"update": 1}, {"conflicts": 0})
    assert await company.family_of("E00000") == ("Ó Súilleabháin", None)
    assert await company.asked()
    await company.fill()
    assert await company.wrong() == []
    undo = await rollback(company.database, company.tenant_id, made.run_id)
    assert (undo.counts, undo.figures) == ({"remove": PEOPLE}, {"conflicts": 0})


async def test_nobody_asks_for_keys_that_are_there(company: Company) -> None:
    await load(company)
    await load(company, family_name="Byron")
    await load(company, family_name=None)
    assert not await company.asked()
