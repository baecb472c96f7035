"""Journal rows of single changes: one run for each clock hour (UTC) of a source, made by the first request of the hour
and touched by none after it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
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
    return _window(source_id, tx.now.replace(minute=0, second=0, microsecond=0))


@lru_cache(maxsize=10_000)
def _window(source_id: SourceId, hour: datetime) -> RunId:
    return RunId(uuid5(source_id, f"window {hour:%Y-%m-%dT%H}Z"))


@dataclass(frozen=True, slots=True)
class Part:
    """A statement that changes one row, sent in one round trip with the journal's.

    Attributes:
        sql: without RETURNING; its parameters are :1, :2 and so on, and the tenant is $1.
        params: in that order.
    """

    sql: str
    params: tuple[object, ...]

    def alone(self) -> str:
        """The statement by itself, whose parameters come after the tenant's id."""
        return _PLACE.sub(lambda found: f"${1 + int(found[1])}", self.sql)


def hour(source: str, now: str, kind: str, target: str, actor: str, *, if_done: str = "") -> str:
    """The part `hour` of a statement that writes rows: makes the run of this hour ($2), if it is not there yet. The
    others are the parameters that hold what they are called.

    if_done: the part that has a row where anything is written.
    """
    return f"""hour AS (
  INSERT INTO run (tenant_id, run_id, kind, state, target, source_id, actor, created_at, planned_at)
  SELECT $1, $2, {kind}, 'applied', {target}, {source}, {actor}, {now}, {now} {if_done} ON CONFLICT DO NOTHING)"""


_WRITE = """
{parts}{hour}, made AS (
  INSERT INTO change
    (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)
  SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10::jsonb, 'applied', $11 {if_done} RETURNING ord
), told AS (
  INSERT INTO effect (tenant_id, run_id, ord, person_id, version, before, after)
  SELECT $1, $2, made.ord, $8, $15, $16::jsonb, $17::jsonb FROM made WHERE $15::bigint IS NOT NULL)
SELECT ord FROM made"""
_PARAMS = 17
_PLACE = re.compile(r":(\d+)\b")


@lru_cache(maxsize=1024)
def _statement(parts: tuple[str, ...], sizes: tuple[int, ...]) -> str:
    """The journal's statement with others before it, of which all but the first wait for the first to have a row."""
    said, first = "WITH ", _PARAMS
    for number, (sql, size) in enumerate(zip(parts, sizes, strict=True)):
        numbered = _PLACE.sub(lambda found, first=first: f"${first + int(found[1])}", sql)
        said += f"part_{number} AS ({numbered} RETURNING 1), "
        first += size
    if_done = "FROM part_0" if parts else ""
    return _WRITE.format(parts=said, if_done=if_done, hour=hour("$6", "$11", "$12", "$13", "$14", if_done=if_done))


async def write(tx: TenantTx, entry: Entry, effect: Effect | None, *parts: Part) -> Written:
    """As `write_if`, where nothing stands in the way of the first part."""
    written = await write_if(tx, entry, effect, *parts)
    assert written is not None
    return written


async def write_if(tx: TenantTx, entry: Entry, effect: Effect | None, *parts: Part) -> Written | None:
    """Writes the row, with what became of the person for it, if anything did, and the events that are rendered from
    the two; and the run of this hour, if it is not there yet. Gives the row's place.

    A run that is there is neither read nor locked.

    parts: what is written before it. When the first of them touches no row, nothing else is written, and None given;
        further ones name it as `part_0`.
    """
    run_id = window_of(tx, entry.source_id)
    became = (None, None, None) if effect is None else (effect.version, effect.before, effect.after)
    ord_: int | None = await tx.fetchval(
        _statement(tuple(part.sql for part in parts), tuple(len(part.params) for part in parts)),
        *(tx.tenant_id, run_id, entry.action, entry.reason, entry.subject, entry.source_id, entry.resource_id),
        *(entry.person_id, entry.before, entry.after, tx.now, RunKind.SCIM_WINDOW, TARGET, tx.origin.actor),
        *became,
        *(value for part in parts for value in part.params),
    )
    if ord_ is None:
        return None
    emit_batch(tx, run_id=run_id, ord_from=ord_, ord_to=ord_, n=1 if effect is None else 2)
    return Written(run_id, ord_)
