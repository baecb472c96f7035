"""Whatever happens, in whatever order: effective values follow from what is asserted, and undo brings back what was."""

from datetime import date
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.db.transactions import TenantTx
from stoa.kernel.fold import fold
from stoa.kernel.ids import RunId
from stoa.people.authority import authority
from stoa.people.dates import tenant_today
from stoa.people.fields import KEYED, PERSON_FIELDS
from stoa.people.recompute import linked_records
from stoa.people.rules import due_changes, effective, in_force

from .conftest import EXAMPLES, World
from .histories import REPORTED, Company, HourPasses, changes, reported_rows, steps, undoable_steps
from .making import report, state, sync

few = settings(
    deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


async def check(company: Company) -> None:
    """Every person is what the pure function says, and every record's dates are noted."""
    async with company.world.database.tenant(company.tenant_id) as tx:
        ranking = (await authority(tx)).ranking
        survivors = {row["merged_into"] for row in await tx.fetch("SELECT merged_into FROM person")}
        for person in await tx.fetch("SELECT * FROM person WHERE merged_into IS NULL"):
            records = await linked_records(tx, person["person_id"])
            # Nobody is left without a record, but for whoever took somebody in.
            assert records or person["person_id"] in survivors
            wanted = effective(records, ranking)
            assert {name: person[name] for name in PERSON_FIELDS} == wanted.values
            assert {f"{name}_key": person[f"{name}_key"] for name in KEYED} == wanted.keys
            assert (person["active"], person["manager_id"]) == (wanted.active, wanted.manager_id)
        orphaned = await tx.fetchval(
            """SELECT count(*) FROM source_record r LEFT JOIN person p ON p.tenant_id = r.tenant_id
              AND p.person_id = r.person_id WHERE p.person_id IS NULL OR p.merged_into IS NOT NULL"""
        )
        assert orphaned == 0
        await _check_dates(tx)


async def _check_dates(tx: TenantTx) -> None:
    today = await tenant_today(tx)
    noted = {(r["source_id"], r["external_id"], r["due_on"], r["active"]) for r in await tx.fetch(
        "SELECT source_id, external_id, due_on, active FROM due_change WHERE due_on > $1", today
    )}  # fmt: skip
    wanted: set[tuple[Any, ...]] = set()
    for r in await tx.fetch("SELECT * FROM source_record"):
        coming = due_changes(r["asserted_active"], dict(r), today)
        wanted |= {(r["source_id"], r["external_id"], day, active) for day, active in coming}
        assert all(r[f"{name}_key"] == (None if r[name] is None else fold(r[name])) for name in KEYED)
    assert noted == wanted


@few
@given(history=st.lists(steps, min_size=3, max_size=10))
def test_effective_values_follow_from_assertions_links_authority_and_holds(world: World, history: list[object]) -> None:
    async def live() -> None:
        company = await Company.found(world)
        for step in history:
            await company.happen(step)
        await check(company)

    world.run(live())


@few
@given(history=st.lists(undoable_steps, max_size=6), rows=reported_rows, source=st.sampled_from(REPORTED))
def test_the_same_report_twice_changes_nothing(
    world: World, history: list[object], rows: dict[str, Any], source: int
) -> None:
    async def live() -> None:
        company = await Company.found(world)
        for step in history:
            await company.happen(step)
        await company.report(company.sources[source], rows)
        before = await state(world.database, company.tenant_id)
        refused = await _refused(company)
        again = report(reversed([{"external_id": key} | dict(row) for key, row in rows.items()]))
        run = await sync(world.database, company.tenant_id, company.sources[source], again)
        assert run.counts == {}
        assert await state(world.database, company.tenant_id) == before
        assert await _refused(company, run.run_id) == refused

    world.run(live())


async def _refused(company: Company, run_id: object = None) -> int:
    async with company.world.database.tenant(company.tenant_id) as tx:
        return await tx.fetchval(
            """SELECT count(*) FROM decision WHERE run_id = coalesce($1, (SELECT run_id FROM run
              WHERE kind = 'sync' ORDER BY created_at DESC, run_id DESC LIMIT 1))""",
            run_id,
        )


@few
@given(history=st.lists(undoable_steps, max_size=7), work=st.lists(changes, min_size=1, max_size=5))
def test_undo_brings_back_what_was_and_its_undo_what_came(
    world: World, history: list[object], work: list[object]
) -> None:
    async def live() -> None:
        company = await Company.found(world)
        for step in history:
            await company.happen(step)
        # A run of requests is an hour long: what is undone is an hour of its own.
        await company.happen(HourPasses())
        before = await state(world.database, company.tenant_id)
        known = len(company.applied)
        for step in work:
            await company.happen(step)
        after = await state(world.database, company.tenant_id)
        runs = company.applied[known:]
        undoing = [await company.undo(run_id) for run_id in reversed(runs)]
        assert not any(run.figures.get("conflicts") for run in undoing)
        assert await state(world.database, company.tenant_id) == before
        await check(company)
        for run in reversed(undoing):
            redone = await company.undo(run.run_id)
            if redone.figures.get("conflicts"):
                # Two people whom the resolver would have taken for one had come to be; it is not done a second time.
                assert await _codes(company, redone.run_id) == {"person_exists_since"}
                return
        assert await state(world.database, company.tenant_id) == after
        await check(company)

    world.run(live())


async def _codes(company: Company, run_id: RunId) -> set[str]:
    async with company.world.database.tenant(company.tenant_id) as tx:
        rows = await tx.fetch("SELECT note FROM change WHERE run_id = $1 AND state = 'conflict'", run_id)
        return {row["note"]["code"] for row in rows}


_COLUMNS_KEPT = frozenset({"row_hash"})


@few
@given(history=st.lists(undoable_steps, max_size=4), first=reported_rows, second=reported_rows)
def test_what_was_asserted_since_is_never_undone(
    world: World, history: list[object], first: dict[str, Any], second: dict[str, Any]
) -> None:
    async def live() -> None:
        company = await Company.found(world)
        for step in history:
            await company.happen(step)
        before = await _records(company)
        run_id = (await company.report(company.sources[0], first)).run_id
        middle = await _records(company)
        await company.report(company.sources[0], second)
        after = await _records(company)
        await company.undo(run_id)
        found = await _records(company)
        wanted: dict[Any, Any] = {}
        for key, row in after.items():
            if key in before:
                wanted[key] = _undone(before[key], middle[key], row, world.now.date())
            elif middle.get(key) != row:
                wanted[key] = row
        assert found == wanted
        await check(company)
        await _check_notes(company, run_id)

    world.run(live())


_STATE = ("present", "asserted_active", "hire_date", "termination_date")


def _undone(was: dict[str, Any], then: dict[str, Any], now: dict[str, Any], today: date) -> dict[str, Any]:
    """What is left of a record after the change from `was` to `then` is undone, when it says `now`."""
    left = {k: (was[k] if then[k] == v and was[k] != then[k] else v) for k, v in now.items()}
    left |= {f"{name}_key": None if left[name] is None else fold(left[name]) for name in KEYED}
    state_changed = any(was[k] != then[k] for k in (*_STATE, "active"))
    if state_changed and any(then[k] != now[k] for k in (*_STATE, "active")):
        left["active"] = left["present"] and in_force(left["asserted_active"], left, today)
    return left


async def _records(company: Company) -> dict[Any, dict[str, Any]]:
    found = await state(company.world.database, company.tenant_id)
    left_out = _COLUMNS_KEPT | {"tenant_id"}
    return {
        (r["source_id"], r["external_id"]): {k: v for k, v in r.items() if k not in left_out} for r in found["records"]
    }


async def _check_notes(company: Company, run_id: Any) -> None:
    """What was left alone is listed: in each case with the value that stands there."""
    async with company.world.database.tenant(company.tenant_id) as tx:
        rows = await tx.fetch(
            """SELECT c.*, to_jsonb(r) AS doc FROM change c
            JOIN run u ON u.tenant_id = c.tenant_id AND u.run_id = c.run_id
            LEFT JOIN source_record r ON r.tenant_id = c.tenant_id AND r.source_id = c.source_id
              AND r.external_id = c.subject
            WHERE u.of_run = $1 AND (c.state = 'conflict' OR c.note ? 'conflicts')""",
            run_id,
        )
        for row in rows:
            assert row["note"].get("conflicts") or row["note"].get("code")
            for conflict in row["note"].get("conflicts", ()):
                assert row["doc"][conflict["field"]] == conflict.get("now")


@few
@given(history=st.lists(undoable_steps, max_size=5), rows=reported_rows, source=st.sampled_from(REPORTED))
def test_one_report_is_many_reports_one_row_at_a_time(
    world: World, history: list[object], rows: dict[str, Any], source: int
) -> None:
    async def live() -> None:
        company = await Company.found(world)
        for step in history:
            await company.happen(step)
        before = await state(world.database, company.tenant_id)
        known = {r["external_id"]: r for r in before["records"] if r["source_id"] == company.sources[source]}
        run = await company.report(company.sources[source], rows)
        at_once = _without_ids(await state(world.database, company.tenant_id))
        if run.counts:
            assert (await company.undo(run.run_id)).figures.get("conflicts", 0) == 0
        assert await state(world.database, company.tenant_id) == before
        standing = {key: _as_row(r) for key, r in known.items() if r["present"]}
        # Whoever left goes first, then whoever changed, then whoever is new: in the order of a run's plan.
        for key in sorted(standing.keys() - rows.keys()):
            del standing[key]
            await company.report(company.sources[source], standing)
        for key in sorted(rows, key=lambda key: (key not in known, key)):
            standing[key] = rows[key]
            await company.report(company.sources[source], standing)
        assert _without_ids(await state(world.database, company.tenant_id)) == at_once

    world.run(live())


def _as_row(record: dict[str, Any]) -> dict[str, Any]:
    names = {f for f in record if not f.endswith("_key")} & {*PERSON_FIELDS, "manager_ref"}
    return {name: record[name] for name in names} | {"active": record["asserted_active"]}


def _without_ids(found: dict[str, list[dict[str, Any]]]) -> list[Any]:
    """Records and persons, each person named by the records that are theirs."""
    names: dict[Any, list[Any]] = {}
    for record in found["records"]:
        names.setdefault(record["person_id"], []).append((str(record["source_id"]), record["external_id"]))
    records = [r | {"person_id": names[r["person_id"]], "resource_id": None} for r in found["records"]]
    persons = [
        p | {"person_id": names[p["person_id"]], "manager_id": names.get(p["manager_id"])} for p in found["persons"]
    ]
    return [records, sorted(persons, key=lambda p: p["person_id"]), found["due"]]
