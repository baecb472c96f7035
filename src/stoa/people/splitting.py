"""Splitting a merge: the rollback of its run. Links go back, and picks that nobody has changed since.

Only records that the merge moved go back, each to the person whom it was taken from; whatever came later stays with its
record. A split can itself be rolled back: then the two are merged again.

A merge that came between does no harm: a record is where the merge left it as long as its person is the survivor, or
whom the survivor was merged into since.
"""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from stoa.changes import queries
from stoa.changes.actions import open_rollback
from stoa.changes.counting import counted
from stoa.changes.model import NewRun, Run, RunKind, RunState
from stoa.changes.target import Batch
from stoa.changes.undone import mark_undone
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit_batch
from stoa.kernel.ids import PersonId, RunId
from stoa.people.bulk import apply_batch
from stoa.people.duplicates_standing import note_merged, note_split
from stoa.people.effects import tell
from stoa.people.journal import TARGET
from stoa.people.links import follow_links, lock_links, lock_people, set_free, set_free_effect, take_in
from stoa.people.merging import barred
from stoa.people.merging_model import IS_LINK, MERGED, SPLIT, CannotSplit, Merge, Split
from stoa.people.merging_queries import console_source, merge_by_run, set_split
from stoa.people.merging_rows import bring_back_rows, move_rows
from stoa.people.recompute import settle
from stoa.people.redirects import survivors
from stoa.people.undo import plan_rollback
from stoa.tenants.status import ask_recount


@dataclass(frozen=True, slots=True)
class Turn:
    """What the rollback of a run does to the merge at its root.

    Attributes:
        splits: it undoes the merge; else it makes it again.
    """

    merge: Merge
    splits: bool


async def turn_of(tx: TenantTx, run: Run) -> Turn | None:
    """What a rollback does to a merge; None for one that is about no merge."""
    splits, of = False, run
    while of.kind is RunKind.ROLLBACK:
        if of.of_run is None:
            return None
        splits, of = not splits, await queries.run_by_id(tx, of.of_run)
    if of.kind is not RunKind.MERGE:
        return None
    return Turn(await merge_by_run(tx, of.run_id, lock=True), splits)


# ------------------------------------------------------------------ the plan

_LINKS: Final = f"""
SELECT c.ord, c.source_id, c.subject, c.resource_id, c.person_id, (c.before->>'person_id')::uuid AS home,
  (c.after->>'person_id')::uuid AS sent, r.person_id AS now
FROM change c LEFT JOIN source_record r ON r.tenant_id = $1 AND r.source_id = c.source_id AND r.external_id = c.subject
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'applied' AND {IS_LINK} ORDER BY c.ord DESC"""
_PLAN: Final = """
INSERT INTO change
  (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, note, at)
SELECT $1, $2, 'link', $3, c.subject, c.source_id, c.resource_id, c.person_id,
  jsonb_build_object('person_id', c.now), jsonb_build_object('person_id', c.home),
  CASE WHEN c.code IS NULL THEN 'planned' ELSE 'conflict' END,
  jsonb_strip_nulls(jsonb_build_object('inverts', c.ord, 'code', c.code)), $4
FROM unnest($5::text[], $6::uuid[], $7::uuid[], $8::uuid[], $9::uuid[], $10::uuid[], $11::text[], $12::bigint[])
  WITH ORDINALITY AS c(subject, source_id, resource_id, person_id, now, home, code, ord, n) ORDER BY c.n"""


@dataclass(frozen=True, slots=True)
class Link:
    """A record that a merge, or its rollback, sent to somebody.

    Attributes:
        now: whose it is; None if it is gone. home: whose it was, and will be.
        code: why it stays where it is; None if it goes back.
    """

    ord: int
    source_id: UUID
    subject: str
    resource_id: UUID
    person_id: UUID
    now: UUID | None
    home: UUID
    code: str | None


async def links_back(tx: TenantTx, of_run: RunId, *, splits: bool) -> list[Link]:
    """The records that a run sent to somebody, the last first, and what becomes of each when that is undone."""
    rows = await tx.fetch(_LINKS, tx.tenant_id, of_run)
    ends = await survivors(tx, {one for row in rows for one in (row["sent"], row["home"])})
    found: list[Link] = []
    for row in rows:
        # Whom a split sets free is themselves again; whom a merge takes in may be somebody else by now.
        was: UUID = row["home"]
        home = was if splits else ends.get(was, was)
        code = None
        if row["now"] is None:
            code = "record_is_gone"
        elif row["now"] != ends.get(row["sent"], row["sent"]) or home == row["now"]:
            code = "linked_since"
        elif row["home"] not in ends:
            code = "person_is_gone"
        found.append(
            Link(
                row["ord"], row["source_id"], row["subject"], row["resource_id"], row["person_id"], row["now"], home,
                code,
            )
        )  # fmt: skip
    return found


async def plan_links(tx: TenantTx, run: Run, of_run: Run, turn: Turn) -> None:
    """Writes the changes that undo a merge, or its split, as the plan of `run`."""
    await plan_rollback(tx, run, of_run)
    links = await links_back(tx, of_run.run_id, splits=turn.splits)
    # What is no longer there has no person to be taken from: its own, of the journal, stands for them.
    columns = zip(
        *(
            (one.subject, one.source_id, one.resource_id, one.person_id, one.now or one.home, one.home, one.code,
             one.ord)
            for one in links
        ),
        strict=True,
    )  # fmt: skip
    lists = [list(column) for column in columns] or [[] for _ in range(8)]
    reason = SPLIT if turn.splits else MERGED
    await tx.execute(_PLAN, tx.tenant_id, run.run_id, reason, tx.now, *lists)


# ------------------------------------------------------------------ applying it

_PLANNED: Final = f"""
SELECT DISTINCT (c.before->>'person_id')::uuid AS now, (c.after->>'person_id')::uuid AS home FROM change c
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'planned' AND {IS_LINK}"""
_MISSED: Final = f"""
UPDATE change c SET state = 'conflict',
  note = coalesce(c.note, '{{}}') || jsonb_build_object('code', coalesce($3::text, 'linked_since'))
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'planned' AND {IS_LINK} AND ($3::text IS NOT NULL OR NOT EXISTS (
  SELECT FROM source_record r WHERE r.tenant_id = $1 AND r.source_id = c.source_id AND r.external_id = c.subject
    AND r.person_id = (c.before->>'person_id')::uuid))"""
_MOVE: Final = f"""
UPDATE source_record r SET person_id = (c.after->>'person_id')::uuid FROM change c
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'planned' AND {IS_LINK}
  AND r.tenant_id = $1 AND r.source_id = c.source_id AND r.external_id = c.subject"""
_DONE: Final = f"""
UPDATE change c SET state = 'applied'
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'planned' AND {IS_LINK}"""
_UNDONE: Final = """
UPDATE change u SET state = 'undone' FROM change c
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'applied' AND coalesce(c.after ? 'person_id', false)
  AND u.tenant_id = $1 AND u.run_id = $3 AND u.ord = (c.note->>'inverts')::bigint"""
_LINKS_OF_BATCH: Final = f"""
SELECT count(*) FROM change c
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.ord BETWEEN $3 AND $4 AND c.state = 'applied' AND {IS_LINK}"""


async def apply_links(tx: TenantTx, batch: Batch, turn: Turn) -> int:
    """Applies a batch of a rollback of a merge, or of its split. Gives how many changes took effect.

    The links are few, and one without the other would be half a person: all of them go with the first batch.
    """
    await lock_links(tx)
    run = batch.run
    assert run.of_run is not None
    merge = await merge_by_run(tx, turn.merge.run_id, lock=True)
    if merge.split_run != run.run_id and (merge.state == "merged") == turn.splits:
        await _turn(tx, run, merge, splits=turn.splits)
    taken = await apply_batch(tx, batch)
    return taken + await tx.fetchval(_LINKS_OF_BATCH, tx.tenant_id, run.run_id, batch.first, batch.last)


async def _turn(tx: TenantTx, run: Run, merge: Merge, *, splits: bool) -> None:
    ends = await survivors(tx, (merge.survivor_id, merge.absorbed_id))
    rows = await tx.fetch(_PLANNED, tx.tenant_id, run.run_id)
    people = {PersonId(one) for row in rows for one in (row["now"], row["home"])}
    people |= {merge.absorbed_id, ends.get(merge.survivor_id, merge.survivor_id)}
    await lock_people(tx, people)
    code = await _in_the_way(tx, merge, ends, splits=splits)
    await tx.execute(_MISSED, tx.tenant_id, run.run_id, code)
    if code is not None:
        return
    await tx.execute(_MOVE, tx.tenant_id, run.run_id)
    await tx.execute(_DONE, tx.tenant_id, run.run_id)
    await tx.execute(_UNDONE, tx.tenant_id, run.run_id, run.of_run)
    columns = [(one[0], one[1]) for one in merge.moved]
    if splits:
        await bring_back_rows(tx, merge.run_id, columns, merge.absorbed_id, ends[merge.survivor_id])
        await _free(tx, run, merge, sorted(people))
    else:
        await move_rows(tx, merge.run_id, columns, merge.absorbed_id, ends[merge.survivor_id])
        await _take_in_again(tx, run, merge, ends[merge.survivor_id], sorted(people))
    await ask_recount(tx)


async def _in_the_way(tx: TenantTx, merge: Merge, ends: Mapping[UUID, PersonId], *, splits: bool) -> str | None:
    """Why nothing of it is done, as a change's code; None if nothing is in the way."""
    absorbed, survivor = ends.get(merge.absorbed_id), ends.get(merge.survivor_id)
    if absorbed is None or survivor is None:
        return "person_is_gone"
    if splits:
        return None
    if survivor == absorbed:
        return "linked_since"
    return None if await barred(tx, (survivor, absorbed)) is None else "merge_barred"


async def _free(tx: TenantTx, run: Run, merge: Merge, people: Sequence[PersonId]) -> None:
    version = await set_free(tx, merge.absorbed_id)
    await set_split(tx, merge.run_id, run.run_id)
    if await _has_records(tx, merge.absorbed_id):
        effect = await settle(tx, merge.absorbed_id, run.run_id)
        await tell(tx, run.run_id, merge.absorbed_id, set_free_effect(version, merge.survivor_id, effect))
    else:
        # They are told to be back before they are told to be gone.
        await tell(tx, run.run_id, merge.absorbed_id, set_free_effect(version, merge.survivor_id, None))
        await settle(tx, merge.absorbed_id, run.run_id)
    await follow_links(tx, run.run_id, people, people, alone=merge.absorbed_id)
    await note_split(tx, merge)


async def _take_in_again(tx: TenantTx, run: Run, merge: Merge, survivor: PersonId, people: Sequence[PersonId]) -> None:
    effect = await take_in(tx, merge.absorbed_id, survivor)
    await set_split(tx, merge.run_id, None)
    await tell(tx, run.run_id, merge.absorbed_id, effect)
    await follow_links(tx, run.run_id, people, people, alone=merge.absorbed_id)
    await note_merged(tx, merge)


async def _has_records(tx: TenantTx, person_id: PersonId) -> bool:
    return await tx.fetchval(
        "SELECT EXISTS (SELECT FROM source_record WHERE tenant_id = $1 AND person_id = $2)", tx.tenant_id, person_id
    )


# ------------------------------------------------------------------ at once


async def split(tx: TenantTx, run_id: RunId) -> Split:
    """Splits a merge in this transaction.

    Raises:
        NoSuchMerge, CannotSplit.
    """
    await lock_links(tx)
    merge = await merge_by_run(tx, run_id, lock=True)
    if merge.state == "split":
        raise CannotSplit(
            "This merge was split before.", hint="The list of merges shows when and by whom.",
            split_run=str(merge.split_run),
        )  # fmt: skip
    waiting = await open_rollback(tx, run_id)
    if waiting is not None:
        raise CannotSplit(
            f"A rollback of this merge exists already: {waiting.run_id}, which is {waiting.state}.",
            hint="Approve or reject that one first.",
            split_run=str(waiting.run_id),
        )
    new = NewRun(RunKind.ROLLBACK, TARGET, await console_source(tx), of_run=run_id)
    run = await queries.enter(tx, await queries.insert_run(tx, new), RunState.PLANNING)
    await plan_links(tx, run, await queries.run_by_id(tx, run_id), Turn(merge, splits=True))
    plan = await counted(tx, run.run_id)
    figures: Mapping[str, Any] = plan.figures()
    run = await queries.enter(tx, run, RunState.PLANNED, counts=plan.counts, figures=figures, planned_at=tx.now)
    run = await queries.enter(tx, run, RunState.APPLYING, applying_at=tx.now)
    return await _apply_now(tx, run, merge)


async def _apply_now(tx: TenantTx, run: Run, merge: Merge) -> Split:
    span = await queries.next_batch(tx, run, 1_000_000)
    if span is None:
        # Nothing of the two was ever moved but the name: a person without records.
        await _turn(tx, run, merge, splits=True)
    else:
        first, last, size = span
        n = await apply_links(tx, Batch(run, first, last), Turn(merge, splits=True))
        await queries.set_progress(tx, run.run_id, last, size)
        if n:
            emit_batch(tx, run_id=run.run_id, ord_from=first, ord_to=last, n=n)
    conflicts = await queries.count_conflicts(tx, run.run_id)
    run = await queries.run_by_id(tx, run.run_id)
    await mark_undone(tx, run)
    figures = run.figures | ({"conflicts": conflicts} if conflicts else {})
    run = await queries.enter(tx, run, RunState.APPLIED, figures=figures, finished_at=tx.now)
    done = await merge_by_run(tx, merge.run_id)
    moved = sum(by_reason for by_reason in run.counts.values())
    return Split(done, run.run_id, run.state, moved, conflicts)
