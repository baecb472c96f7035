"""The events of a batch, rendered when they are read from its changes and from what became of people for them.

A batch writes one entry for each of the two, whatever its size.
"""

from typing import Any, Final

from stoa.changes.model import Action
from stoa.db.transactions import Row, TenantTx
from stoa.events.model import Event
from stoa.kernel.ids import RunId

# What happened to a record, in the event's type: `person_record.created`.
_HAPPENED: Final = {
    Action.CREATE: "created",
    Action.LINK: "linked",
    Action.UPDATE: "updated",
    Action.DEACTIVATE: "deactivated",
    Action.REACTIVATE: "reactivated",
    Action.REMOVE: "removed",
}
# Columns of the store that mean nothing outside it; as do the folded copies, whose names end in _KEY.
_INTERNAL: Final = frozenset({"row_hash", "raw"})
_KEY: Final = "_key"
# What a record says that is no value of the person.
_OF_RECORD: Final = frozenset({"present", "asserted_active", "manager_ref", "scim_external_id"})

# Of one ord, the change comes before its effect. $5 and $6: offset and limit. A new person is what the first record of
# the run says that made them (`made`), and what the effect says besides.
_ROWS: Final = """
WITH told AS (
  SELECT ord, effect FROM (
    SELECT c.ord, false AS effect FROM change c
    WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.ord BETWEEN $3 AND $4 AND c.state <> 'conflict'
    UNION ALL
    SELECT e.ord, true FROM effect e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.ord BETWEEN $3 AND $4) AS one
  ORDER BY ord, effect OFFSET $5 LIMIT $6)
SELECT t.ord, t.effect, c.person_id, c.action, c.reason, c.subject, c.source_id, c.resource_id, c.before, c.after,
  NULL::bigint AS version, NULL::jsonb AS made, r.target
FROM told t JOIN change c ON c.tenant_id = $1 AND c.run_id = $2 AND c.ord = t.ord
JOIN run r ON r.tenant_id = $1 AND r.run_id = $2
WHERE NOT t.effect
UNION ALL
SELECT t.ord, t.effect, e.person_id, NULL, NULL, NULL, NULL, NULL, e.before, e.after, e.version,
  CASE WHEN e.before IS NULL THEN (SELECT c.after FROM change c WHERE c.tenant_id = $1 AND c.person_id = e.person_id
    AND c.ord <= e.ord AND c.run_id = $2 AND c.before IS NULL AND c.state <> 'conflict' ORDER BY c.ord LIMIT 1) END,
  'person'
FROM told t JOIN effect e ON e.tenant_id = $1 AND e.run_id = $2 AND e.ord = t.ord
WHERE t.effect
ORDER BY ord, effect"""


async def render_changes(
    tx: TenantTx, run_id: RunId, ord_from: int, ord_to: int, offset: int, limit: int
) -> list[Event]:
    """The events of what took effect at the ords ord_from..ord_to of a run, in order: those from `offset` on, at most
    `limit`. An `events.Renderer`.
    """
    rows = await tx.fetch(_ROWS, tx.tenant_id, run_id, ord_from, ord_to, offset, limit)
    return [_effect(row) if row["effect"] else _change(row, run_id) for row in rows]


def _change(row: Row, run_id: RunId) -> Event:
    body = {
        "action": row["action"],
        "reason": row["reason"],
        "run_id": str(run_id),
        "source_id": str(row["source_id"]),
        "external_id": row["subject"],
        "resource_id": str(row["resource_id"]),
        "before": outside(row["before"]),
        "after": outside(row["after"]),
    }
    type_ = f"{row['target']}_record.{_HAPPENED[Action(row['action'])]}"
    return Event(type_, subject=str(row["person_id"]), body=body)


def _effect(row: Row) -> Event:
    before, after = row["before"], row["after"]
    if before is None:
        after = {**_of_person(row["made"] or {}), **after}
    what = _what(before, after)
    body = {"before": before, "after": after, "version": row["version"]}
    return Event(f"{row['target']}.{what}", subject=str(row["person_id"]), body=body)


def _what(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    if before is None:
        return "created"
    if after is None:
        return "removed"
    if "active" not in after:
        return "updated"
    return "reactivated" if after["active"] else "deactivated"


def _of_person(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in record.items()
        if value is not None and is_outside(name) and name not in _OF_RECORD
    }


def is_outside(name: str) -> bool:
    """Whether a member of a change's before and after means something outside the store."""
    return name not in _INTERNAL and not name.endswith(_KEY)


def outside(doc: dict[str, Any] | None) -> dict[str, Any] | None:
    """A change's before or after without the columns that mean nothing outside of the store."""
    return None if doc is None else {name: value for name, value in doc.items() if is_outside(name)}
