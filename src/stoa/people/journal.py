"""Journal rows of single changes: one run for each clock hour (UTC) of a source, made by the first request of the hour
and touched by none after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid5

from stoa.changes.model import Action, RunKind
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit_batch
from stoa.kernel.ids import PersonId, ResourceId, RunId, SourceId
from stoa.people.effects import Effect
from stoa.people.model import Written

TARGET = "person"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is written of one change. before is None for a record that is made."""

    action: Action
    reason: str
    subject: str
    source_id: SourceId
    resource_id: ResourceId
    person_id: PersonId
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


def window_of(tx: TenantTx, source_id: SourceId) -> RunId:
    """The id of the run of this source's present hour: the same in every process, so that nobody has to ask for it."""
    return RunId(uuid5(source_id, f"window {tx.now:%Y-%m-%dT%H}Z"))


_WRITE = """
WITH hour AS (
  INSERT INTO run (tenant_id, run_id, kind, state, target, source_id, actor, created_at, planned_at)
  VALUES ($1, $2, $12, 'applied', $13, $6, $14, $11, $11) ON CONFLICT DO NOTHING
), made AS (
  INSERT INTO change
    (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'applied', $11) RETURNING ord
), told AS (
  INSERT INTO effect (tenant_id, run_id, ord, person_id, version, before, after)
  SELECT $1, $2, made.ord, $8, $15, $16, $17 FROM made WHERE $15::bigint IS NOT NULL)
SELECT ord FROM made"""


async def write(tx: TenantTx, entry: Entry, effect: Effect | None) -> Written:
    """Writes the row, with what became of the person for it, if anything did, and the events that are rendered from
    the two; and the run of this hour, if it is not there yet. Gives the row's place.

    A run that is there is neither read nor locked.
    """
    run_id = window_of(tx, entry.source_id)
    became = (None, None, None) if effect is None else (effect.version, effect.before, effect.after)
    ord_ = await tx.fetchval(
        _WRITE,
        *(tx.tenant_id, run_id, entry.action, entry.reason, entry.subject, entry.source_id, entry.resource_id),
        *(entry.person_id, entry.before, entry.after, tx.now, RunKind.SCIM_WINDOW, TARGET, tx.origin.actor),
        *became,
    )
    emit_batch(tx, run_id=run_id, ord_from=ord_, ord_to=ord_, n=1 if effect is None else 2)
    return Written(run_id, ord_)
