"""Merging one person into another, in one transaction.

All records of the absorbed person go to the survivor, whose values follow from all of them. The absorbed person stays
as an id that means the survivor. `splitting` is the exact inverse.
"""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Sequence
from typing import Final

from stoa.changes.counting import counted
from stoa.changes.model import Run, RunKind
from stoa.changes.queries import RUN_COLUMNS, run_of
from stoa.changes.telling import tell_run
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit_batch
from stoa.kernel.ids import PersonId, RunId, new_id
from stoa.kernel.references import Reference
from stoa.people.duplicates_standing import note_merged
from stoa.people.effects import tell
from stoa.people.journal import TARGET
from stoa.people.links import follow_links, lock_links, lock_people, take_in
from stoa.people.merging_model import (
    MERGED,
    AlreadyMerged,
    LastAdminMerged,
    Merge,
    MergeAsk,
    MergeBarred,
    Merged,
    SamePerson,
)
from stoa.people.merging_picks import assert_picks, picked_values
from stoa.people.merging_queries import bars_of, console_source, insert_merge
from stoa.people.merging_rows import move_rows, moving
from stoa.people.model import Person
from stoa.people.queries import person_by_id
from stoa.people.redirects import survivors
from stoa.people.roles_queries import is_admin, other_admins
from stoa.people.routes import no_such_person
from stoa.tenants.status import ask_recount

_RUN: Final = f"""
INSERT INTO run (tenant_id, run_id, kind, state, target, source_id, actor, created_at, planned_at, finished_at)
VALUES ($1, $2, '{RunKind.MERGE}', 'applied', '{TARGET}', $3, $4, $5, $5, $5) RETURNING {RUN_COLUMNS}"""
_MOVE: Final = """
WITH moved AS (
  UPDATE source_record SET person_id = $4 WHERE tenant_id = $1 AND person_id = $3
  RETURNING source_id, external_id, resource_id
), noted AS (
  INSERT INTO change
    (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)
  SELECT $1, $2, 'link', $5, external_id, source_id, resource_id, $3, jsonb_build_object('person_id', $3::uuid),
    jsonb_build_object('person_id', $4::uuid), 'applied', $6
  FROM (SELECT * FROM moved ORDER BY source_id, external_id) AS m RETURNING ord)
SELECT min(ord) AS first, max(ord) AS last, count(*) AS n FROM noted"""
_FIGURES: Final = f"""
UPDATE run SET counts = $3, figures = $4, applied_through = $5, changes_done = $6
WHERE tenant_id = $1 AND run_id = $2 RETURNING {RUN_COLUMNS}"""
_LAST: Final = "SELECT coalesce(max(ord), 0) FROM change WHERE tenant_id = $1 AND run_id = $2"


async def both(tx: TenantTx, ask: MergeAsk) -> tuple[Person, Person]:
    """The people who are asked about, each as they are after all merges: the survivor and the absorbed one.

    Raises:
        NotFound, SamePerson, AlreadyMerged.
    """
    if ask.survivor_id == ask.absorbed_id:
        raise SamePerson("A person cannot be merged into themselves.", hint="Name two people.")
    now = await survivors(tx, (ask.survivor_id, ask.absorbed_id))
    if len(now) != len({ask.survivor_id, ask.absorbed_id}):
        raise no_such_person()
    survivor_id, absorbed_id = now[ask.survivor_id], now[ask.absorbed_id]
    if survivor_id == absorbed_id:
        raise AlreadyMerged(
            f"The two are one person already: {survivor_id}.", hint="The list of merges shows when and by whom.",
            person_id=str(survivor_id),
        )  # fmt: skip
    survivor, absorbed = await person_by_id(tx, survivor_id), await person_by_id(tx, absorbed_id)
    if survivor is None or absorbed is None:
        raise no_such_person()
    return survivor, absorbed


async def barred(tx: TenantTx, people: tuple[PersonId, PersonId]) -> str | None:
    """Why these two are never merged, in a sentence; None if they may be."""
    found = await bars_of(tx, people)
    if not found:
        return None
    what, name, reason = found[0]
    whom = "One of them is marked never to be merged" if what == "person" else f"People of {name} are never merged"
    return f"{whom}: {reason}"


async def merge(tx: TenantTx, ask: MergeAsk, references: Sequence[Reference]) -> Merged:
    """Merges the absorbed person into the survivor. Ids of people who were merged before mean who they are now.

    references: to people, of every room.

    Raises:
        NotFound, SamePerson, AlreadyMerged, MergeBarred, BadPick, LastAdminMerged.
    """
    await lock_links(tx)
    people = await survivors(tx, (ask.survivor_id, ask.absorbed_id))
    await lock_people(tx, set(people.values()))
    survivor, absorbed = await both(tx, ask)
    pair = (survivor.person_id, absorbed.person_id)
    bar = await barred(tx, pair)
    if bar is not None:
        raise MergeBarred(bar, hint="An admin of the tenant can lift that on the page of the person, or of duplicates.")
    picks = picked_values(ask, survivor, absorbed)
    had_admin = await is_admin(tx, pair[0]) or await is_admin(tx, pair[1])
    source_id = await console_source(tx)
    run_id = RunId(new_id())
    row = await tx.fetchrow(_RUN, tx.tenant_id, run_id, source_id, tx.origin.actor, tx.now)
    assert row is not None
    await assert_picks(tx, run_id, source_id, pair, picks)
    moved = await _move(tx, run_id, *pair)
    await tell(tx, run_id, absorbed.person_id, await take_in(tx, absorbed.person_id, survivor.person_id))
    await follow_links(tx, run_id, pair, [absorbed.person_id], alone=absorbed.person_id)
    if had_admin and not await is_admin(tx, pair[0]) and not await other_admins(tx, pair[0]):
        raise LastAdminMerged(
            "After this merge nobody with the role admin would have access.",
            hint="Give the role to somebody else first, or mend what makes the person inactive.",
        )
    columns = moving(references)
    actor = tx.origin.actor
    made = Merge(run_id, *pair, "merged", dict(ask.picks), ask.note, actor, tx.now, None, None, None, columns)
    await insert_merge(tx, made)
    await move_rows(tx, run_id, columns, absorbed.person_id, survivor.person_id)
    await note_merged(tx, made)
    await ask_recount(tx)
    run = await _ended(tx, run_of(row), moved)
    after = await person_by_id(tx, survivor.person_id)
    assert after is not None
    overruled = [name for name, value in picks.items() if after.values[name] != value]
    return Merged(made, moved, overruled, run.figures)


async def _move(tx: TenantTx, run_id: RunId, survivor: PersonId, absorbed: PersonId) -> int:
    moved = await tx.fetchrow(_MOVE, tx.tenant_id, run_id, absorbed, survivor, MERGED, tx.now)
    assert moved is not None
    n: int = moved["n"]
    if n:
        emit_batch(tx, run_id=run_id, ord_from=moved["first"], ord_to=moved["last"], n=n)
    return n


async def _ended(tx: TenantTx, run: Run, moved: int) -> Run:
    plan = await counted(tx, run.run_id)
    last = await tx.fetchval(_LAST, tx.tenant_id, run.run_id)
    figures = plan.figures() | {"moved": moved}
    row = await tx.fetchrow(_FIGURES, tx.tenant_id, run.run_id, plan.counts, figures, last, plan.changes)
    assert row is not None
    ended = run_of(row)
    tell_run(tx, None, ended)
    return ended
