"""A plan counted once, when it is made, so that no page has to count a hundred thousand rows again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from stoa.changes.model import Action
from stoa.changes.rendering import is_outside
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import RunId

# Of a run that goes on for an hour nobody counts; its page counts so many of its changes, and says if there are more.
WINDOW_ROWS: Final = 20_000
_FIELDWISE: Final = frozenset({Action.UPDATE, Action.DEACTIVATE, Action.REACTIVATE})


@dataclass(frozen=True, slots=True)
class PlanCount:
    """What a plan consists of.

    Attributes:
        changes: every row, conflicts too.
        conflicts: rows that will do nothing, because somebody else has asserted the same since.
        reasons: by action and reason, without conflicts.
        fields: how many of the changes to standing records touch each field.
        partial: changes that leave single fields alone, because somebody else has asserted those since.
        more: there are more rows than were counted.
    """

    changes: int
    conflicts: int
    reasons: Mapping[str, Mapping[str, int]]
    fields: Mapping[str, int]
    partial: int = 0
    more: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """By action, without conflicts."""
        return {action: sum(by_reason.values()) for action, by_reason in self.reasons.items()}

    def figures(self) -> dict[str, Any]:
        """As it is kept among a run's figures."""
        kept = {
            "changes": self.changes,
            "conflicts": self.conflicts,
            "reasons": {action: dict(by_reason) for action, by_reason in self.reasons.items()},
            "fields": dict(self.fields),
            **({"partial": self.partial} if self.partial else {}),
        }
        return {"plan": kept}


def plan_of(figures: Mapping[str, Any], counts: Mapping[str, int]) -> PlanCount:
    """The count that a run carries. One that was planned by an earlier version carries its actions alone."""
    kept = figures.get("plan")
    if kept is None:
        return PlanCount(sum(counts.values()), 0, {action: {"": n} for action, n in counts.items()}, {})
    return PlanCount(kept["changes"], kept["conflicts"], kept["reasons"], kept["fields"], kept.get("partial", 0))


async def counted(tx: TenantTx, run_id: RunId) -> PlanCount:
    """Counts the whole plan of a run."""
    rows = await tx.fetch(
        """SELECT action, reason, state = 'conflict' AS conflict, count(*) AS n,
          count(*) FILTER (WHERE jsonb_typeof(note->'conflicts') = 'array') AS partial
        FROM change WHERE tenant_id = $1 AND run_id = $2 GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2""",
        *(tx.tenant_id, run_id),
    )
    fields: list[Row] = []
    if any(row["action"] in _FIELDWISE for row in rows):
        fields = await tx.fetch(
            """SELECT field, count(*) AS n FROM change c CROSS JOIN LATERAL jsonb_object_keys(c.after) AS k(field)
            WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.before IS NOT NULL AND c.after IS NOT NULL
              AND c.state <> 'conflict'
            GROUP BY 1 ORDER BY 2 DESC, 1""",
            *(tx.tenant_id, run_id),
        )
    return _count(rows, {row["field"]: row["n"] for row in fields if is_outside(row["field"])})


async def counted_window(tx: TenantTx, run_id: RunId, most: int = WINDOW_ROWS) -> PlanCount:
    """Counts the changes of an hour's single requests, as far as the first `most` of them."""
    rows = await tx.fetch(
        """SELECT action, reason, state = 'conflict' AS conflict, count(*) AS n, 0 AS partial FROM (
          SELECT action, reason, state FROM change
          WHERE tenant_id = $1 AND run_id = $2 ORDER BY ord LIMIT $3) AS first
        GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2""",
        *(tx.tenant_id, run_id, most + 1),
    )
    found = _count(rows, {})
    return replace(found, more=found.changes > most)


async def counted_held(tx: TenantTx, run_id: RunId, most: int | None = WINDOW_ROWS) -> PlanCount:
    """Counts what waits in a run that collects, without what the client took back; as far as the first `most`."""
    rows = await tx.fetch(
        """SELECT action, reason, false AS conflict, count(*) AS n, 0 AS partial FROM (
          SELECT action, reason FROM change
          WHERE tenant_id = $1 AND run_id = $2 AND state = 'planned' ORDER BY ord LIMIT $3) AS waiting
        GROUP BY 1, 2 ORDER BY 1, 4 DESC, 2""",
        *(tx.tenant_id, run_id, None if most is None else most + 1),
    )
    found = _count(rows, {})
    return replace(found, more=most is not None and found.changes > most)


def count_rows(rows: Sequence[Row]) -> PlanCount:
    """The count of rows that say action, reason, conflict, n and partial."""
    return _count(rows, {})


def _count(rows: Sequence[Row], fields: Mapping[str, int]) -> PlanCount:
    reasons: dict[str, dict[str, int]] = {}
    for row in rows:
        if not row["conflict"]:
            reasons.setdefault(row["action"], {})[row["reason"]] = row["n"]
    conflicts = sum(row["n"] for row in rows if row["conflict"])
    partial = sum(row["partial"] for row in rows if not row["conflict"])
    return PlanCount(sum(row["n"] for row in rows), conflicts, reasons, fields, partial)
