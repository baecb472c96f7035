"""What became of people, written down for the event log: effective values before and after.

A new person is what their first record says, so only what no record says is written of them; whoever reads the log
puts the two together (`changes.rendering`). Of everybody else stand the fields that changed.
"""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.events.actions import emit_batch
from stoa.kernel.ids import PersonId, RunId
from stoa.people.columns import PERSON_VALUES
from stoa.people.fields import to_json


@dataclass(frozen=True, slots=True)
class Effect:
    """A person's values before and after: the fields that changed, as in a journal row.

    Attributes:
        version: the person's, since.
        before: None for a new person, of whom `after` holds what their record does not say.
    """

    version: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]


def made(manager_id: PersonId | None) -> Effect:
    """The effect of a first record."""
    return Effect(1, None, {} if manager_id is None else {"manager_id": str(manager_id)})


def difference(version: int, before: Mapping[str, Any], after: Mapping[str, Any]) -> Effect | None:
    """The effect of a change; None if nothing changed that anybody outside would see. before, after: by column."""
    changed = [name for name in PERSON_VALUES if before[name] != after[name]]
    if not changed:
        return None
    return Effect(version, {n: _plain(before[n]) for n in changed}, {n: _plain(after[n]) for n in changed})


def _plain(value: Any) -> str | bool | None:
    return str(value) if isinstance(value, UUID) else to_json(value)


async def tell(tx: TenantTx, run_id: RunId, person_id: PersonId, effect: Effect) -> None:
    """Writes down an effect that comes with no change of the person's own records, and its event."""
    ord_ = await tx.fetchval(
        """INSERT INTO effect (tenant_id, run_id, person_id, version, before, after)
        VALUES ($1, $2, $3, $4, $5, $6) RETURNING ord""",
        *(tx.tenant_id, run_id, person_id, effect.version, effect.before, effect.after),
    )
    emit_batch(tx, run_id=run_id, ord_from=ord_, ord_to=ord_, n=1)


def tell_written(tx: TenantTx, run_id: RunId, written: Row) -> None:
    """Emits the events of effects that a statement ending in WRITTEN has written down."""
    if written["n"]:
        emit_batch(tx, run_id=run_id, ord_from=written["first"], ord_to=written["last"], n=written["n"])


# The end of a statement that wrote effects as `told`, one run's at a time: ords between first and last are its own.
WRITTEN: Final = "SELECT min(ord) AS first, max(ord) AS last, count(*) AS n FROM told"


def telling(run: str, rows: str) -> str:
    """The part `told` of a statement: writes down the effects that `rows`, an earlier part, has.

    run: the parameter that is the run's id. $1 is the tenant's.
    """
    return f"""told AS (
      INSERT INTO effect (tenant_id, run_id, person_id, version, before, after)
      SELECT $1, {run}, person_id, version, before, after FROM {rows}
      WHERE before IS NULL OR after IS NULL OR after <> '{{}}' RETURNING ord)"""


def differing(one: str, other: str) -> str:
    """The values of the row `one` that are other in the row `other`, as jsonb."""
    # An empty object is passed on as it is, so that what did not change costs little.
    return " || ".join(
        f"CASE WHEN {one}.{n} IS DISTINCT FROM {other}.{n} THEN jsonb_build_object('{n}', {one}.{n}) ELSE '{{}}' END"
        for n in PERSON_VALUES
    )


def whole(alias: str) -> str:
    """All that is known of the person in a row, as jsonb."""
    pairs = ", ".join(f"'{name}', {alias}.{name}" for name in PERSON_VALUES)
    return f"jsonb_strip_nulls(jsonb_build_object({pairs}))"
