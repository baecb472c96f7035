"""Random histories of one tenant: reports, requests, undo, dates that come, holds, authority, merges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from stoa.changes.model import Run, RunState
from stoa.composition import references
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId, RunId, SourceId, TenantId, new_id
from stoa.people import actions, queries
from stoa.people.authority import set_authority
from stoa.people.fields import FIELDS
from stoa.people.merging import merge
from stoa.people.merging_model import SIDES, MergeAsk, Side
from stoa.people.model import Asserted, Provisioned
from stoa.people.recompute import recompute, recompute_everybody
from stoa.people.splitting import split
from stoa.tenants.actions import ensure_source

from .conftest import World
from .making import due, report, rollback, sync

SOURCES = (("hris", "Workday"), ("hris", "Payroll"), ("idp", "Okta"))
REPORTED = (0, 1)
SCIM = 2

_dates = st.sampled_from([None, None, date(2020, 1, 1), date(2026, 3, 9), date(2026, 3, 10), date(2026, 3, 11)])
_emails = st.sampled_from(
    [None, "ann@acme.example", "Bob@acme.example", "cleo@acme.example", "ann@other.example", "acme.example"]
)
_employee_ids = st.sampled_from([None, "E1", "e1", "E2", "E3", "E4"])
_names = st.sampled_from([None, "", "Ann", "Änn", 'Ó, "Súil"\nx'])
_words = st.sampled_from([None, "Sales", "Legal"])


def _row(manager_ref: st.SearchStrategy[str | None]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "active": st.sampled_from([True, True, True, False]),
            "user_name": st.sampled_from([None, "ann", "ANN", "bob", "cleo"]),
            "email": _emails,
            "employee_id": _employee_ids,
            "display_name": _names,
            "department": _words,
            "title": _words,
            "worker_type": st.sampled_from([None, "Contingent"]),
            "hire_date": _dates,
            "termination_date": _dates,
            "manager_ref": manager_ref,
        }
    )


KEYS = ("w1", "w2", "w3", "w4", "w5")
reported_rows = st.dictionaries(st.sampled_from(KEYS), _row(st.sampled_from([None, *KEYS, "nobody"])), max_size=5)
asserted_rows = _row(st.sampled_from([None, "0", "1", "2"]))
_pick = st.integers(0, 30)


@dataclass(frozen=True)
class Report:
    """A full report of one of the reported sources."""

    source: int
    rows: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Post:
    """A resource made over SCIM."""

    row: Mapping[str, Any]


@dataclass(frozen=True)
class Put:
    """A resource replaced."""

    pick: int
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Delete:
    """A resource deleted."""

    pick: int


@dataclass(frozen=True)
class Undo:
    """A run rolled back, whichever it is."""

    pick: int


@dataclass(frozen=True)
class DaysPass:
    """Time passes; what is due takes effect."""

    days: int


@dataclass(frozen=True)
class HourPasses:
    """The next requests belong to another run."""


@dataclass(frozen=True)
class Hold:
    """A value waits for approval, or no longer."""

    pick: int
    field: str
    value: str | bool | None


@dataclass(frozen=True)
class Rank:
    """A version of the authority."""

    field: str
    order: tuple[int, ...]


@dataclass(frozen=True)
class Merge:
    """One person merged into another, perhaps with a pick."""

    survivor: int
    absorbed: int
    field: str | None
    side: Side


@dataclass(frozen=True)
class Part:
    """A merge split, whichever it is."""

    pick: int


changes = st.one_of(
    st.builds(Report, st.sampled_from(REPORTED), reported_rows),
    st.builds(Post, asserted_rows),
    st.builds(Put, _pick, asserted_rows),
    st.builds(Delete, _pick),
)
_held = st.one_of(
    st.tuples(st.sampled_from(["department", "email", "display_name"]), st.sampled_from([None, "Held@acme.example"])),
    st.tuples(st.just("active"), st.booleans()),
    st.tuples(st.just("hire_date"), st.sampled_from([None, "2019-01-01"])),
    st.tuples(st.just("manager_ref"), st.sampled_from([None, "w1", "w2"])),
)
_rank = st.builds(
    Rank,
    st.sampled_from(["department", "email", "active", "manager_ref", "employee_id"]),
    st.permutations([0, 1, 2]).flatmap(lambda order: st.sampled_from([tuple(order), tuple(order[:1]), ()])),
)
merges = st.builds(Merge, _pick, _pick, st.sampled_from([None, "title", "email", "hire_date"]), st.sampled_from(SIDES))
steps = st.one_of(
    changes,
    changes,
    st.builds(Undo, _pick),
    st.builds(DaysPass, st.integers(1, 2)),
    st.just(HourPasses()),
    _held.flatmap(lambda held: st.builds(Hold, _pick, st.just(held[0]), st.just(held[1]))),
    _rank,
    merges,
    st.builds(Part, _pick),
)
undoable_steps = st.one_of(
    *(changes, changes, st.builds(DaysPass, st.integers(1, 2)), st.just(HourPasses()), _rank, merges),
    st.builds(Part, _pick),
)

_NAMED = {f.name for f in FIELDS}


@dataclass
class Company:
    """A tenant to which a history happens."""

    world: World
    tenant_id: TenantId
    sources: list[SourceId]
    applied: list[RunId] = field(default_factory=list[RunId])

    @classmethod
    async def found(cls, world: World) -> "Company":
        """A company of which nothing is known yet."""
        tenant_id = await world.tenant()
        async with world.database.tenant(tenant_id) as tx:
            sources = [(await ensure_source(tx, kind, name)).source_id for kind, name in SOURCES]
        return cls(world, tenant_id, sources)

    async def happen(self, step: object) -> None:
        """Lets a step happen."""
        match step:
            case Report(source, rows):
                await self.report(self.sources[source], rows)
            case Post(row):
                await self._request(None, row)
            case Put(pick, row):
                await self._request(pick, row)
            case Delete(pick):
                await self._request(pick, None)
            case HourPasses():
                self.world.pass_time(hours=1)
            case DaysPass(days):
                await self._days_pass(days)
            case _:
                await self._intervene(step)

    async def _intervene(self, step: object) -> None:
        match step:
            case Undo(pick):
                await self._undo_any(pick)
            case Hold(pick, name, value):
                await self._hold(pick, name, value)
            case Rank(name, order):
                await self._rank({name: [self.sources[i] for i in order]})
            case Merge():
                await self.merge(step)
            case Part(pick):
                await self._part(pick)
            case _:
                raise AssertionError(step)

    async def _days_pass(self, days: int) -> None:
        self.world.pass_time(days=days)
        for source_id in self.sources:
            self._note(await due(self.world.database, self.tenant_id, source_id))

    async def report(self, source_id: SourceId, rows: Mapping[str, Mapping[str, Any]]) -> Run:
        """A report, planned and applied in small batches."""
        frame = report({"external_id": key} | dict(row) for key, row in rows.items())
        run = await sync(self.world.database, self.tenant_id, source_id, frame, batch_rows=2)
        self._note(run)
        return run

    def _note(self, run: Run) -> None:
        if run.state is RunState.APPLIED and run.counts and run.run_id not in self.applied:
            self.applied.append(run.run_id)

    async def undo(self, run_id: RunId) -> Run:
        """A run rolled back."""
        run = await rollback(self.world.database, self.tenant_id, run_id, batch_rows=3)
        self._note(run)
        return run

    async def _undo_any(self, pick: int) -> None:
        async with self.world.database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch("SELECT run_id FROM run WHERE state = 'applied' ORDER BY created_at, run_id")
        if rows:
            await self.undo(rows[pick % len(rows)]["run_id"])

    async def _request(self, pick: int | None, row: Mapping[str, Any] | None) -> None:
        source_id = self.sources[SCIM]
        async with self.world.database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch(
                "SELECT external_id FROM source_record WHERE source_id = $1 ORDER BY external_id", source_id
            )
            keys = [r["external_id"] for r in rows]
            if pick is None:
                assert row is not None
                made = await actions.provision(tx, source_id, asserted(row, keys))
                run_id = journal_run(tx, source_id) if isinstance(made, Provisioned) else None
            else:
                if not keys:
                    return
                record = await queries.record_by_resource(tx, source_id, UUID(keys[pick % len(keys)]), lock=True)
                if record is None:
                    return
                if row is None:
                    await actions.remove_record(tx, record)
                else:
                    await actions.assert_record(tx, record, asserted(row, keys))
                run_id = journal_run(tx, source_id)
        if run_id is not None and run_id not in self.applied and await self._exists(run_id):
            self.applied.append(run_id)

    async def _exists(self, run_id: RunId) -> bool:
        async with self.world.database.tenant(self.tenant_id) as tx:
            return await tx.fetchval("SELECT EXISTS (SELECT FROM run WHERE run_id = $1)", run_id)

    async def _hold(self, pick: int, name: str, value: str | bool | None) -> None:
        async with self.world.database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch("SELECT source_id, resource_id, person_id FROM source_record ORDER BY resource_id")
            if not rows:
                return
            row = rows[pick % len(rows)]
            released = await tx.execute(
                "UPDATE hold SET state = 'released' WHERE resource_id = $1 AND field = $2 AND state = 'held'",
                *(row["resource_id"], name),
            )
            if not released:
                await tx.execute(
                    """INSERT INTO hold
                      (tenant_id, hold_id, resource_id, person_id, source_id, field, held_value, run_id, state, made_at)
                    VALUES ($1, $2, $3, $4, $5, $6, coalesce($7::jsonb, 'null'), $8, 'held', $9)""",
                    *(self.tenant_id, new_id(), row["resource_id"], row["person_id"], row["source_id"], name, value),
                    *(new_id(), tx.now),
                )
            await recompute(tx, [row["person_id"]], RunId(new_id()))

    async def _rank(self, ranking: Mapping[str, list[SourceId]]) -> None:
        async with self.world.database.tenant(self.tenant_id) as tx:
            await set_authority(tx, ranking)
        after: PersonId | None = None
        while True:
            async with self.world.database.tenant(self.tenant_id, role="sync") as tx:
                after = await recompute_everybody(tx, RunId(new_id()), after=after, limit=2)
            if after is None:
                return

    async def merge(self, step: Merge) -> RunId | None:
        """A merge of two of the people, if there are two; its run."""
        async with self.world.database.tenant(self.tenant_id) as tx:
            people = await tx.fetch("SELECT * FROM person WHERE merged_into IS NULL ORDER BY person_id")
            if len(people) < 2:
                return None
            survivor, absorbed = people[step.survivor % len(people)], people[step.absorbed % len(people)]
            if survivor == absorbed:
                return None
            picked = survivor if step.side == "survivor" else absorbed
            picks: dict[str, Side] = {} if step.field is None or picked[step.field] is None else {step.field: step.side}
            ask = MergeAsk(survivor["person_id"], absorbed["person_id"], picks)
            done = await merge(tx, ask, references())
        self.applied.append(done.merge.run_id)
        return done.merge.run_id

    async def _part(self, pick: int) -> None:
        async with self.world.database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch("SELECT run_id FROM person_merge WHERE state = 'merged' ORDER BY run_id")
            if rows:
                self.applied.append((await split(tx, rows[pick % len(rows)]["run_id"])).run_id)


def asserted(row: Mapping[str, Any], keys: list[str]) -> Asserted:
    """A row as a client asserts it; a manager is picked from the source's records."""
    values = {name: value for name, value in row.items() if name in _NAMED}
    manager = values.pop("manager_ref", None)
    if manager is not None and keys:
        values["manager_ref"] = keys[int(manager) % len(keys)]
    user_name = row["user_name"]
    raw = {"userName": user_name, "n": [1, 2.5, None], "title": row["title"]}
    scim_external_id = None if user_name is None else f"ext-{row['title']}-{user_name.casefold()}"
    return Asserted(values, row["active"], scim_external_id, raw)


def journal_run(tx: TenantTx, source_id: SourceId) -> RunId:
    """The run of the present hour."""
    return actions.journal.window_of(tx, source_id)
