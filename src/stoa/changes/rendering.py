"""The events of a bulk batch, rendered from its change rows when they are read.

A batch writes one entry, whatever its size.
"""

from typing import Any

from stoa.changes.model import Action
from stoa.db.transactions import Row, TenantTx
from stoa.events.model import Event
from stoa.kernel.ids import RunId

# What happened, in the event's type after the run's target: `person.created`.
_HAPPENED = {
    Action.CREATE: "created",
    Action.LINK: "linked",
    Action.UPDATE: "updated",
    Action.DEACTIVATE: "deactivated",
    Action.REACTIVATE: "reactivated",
    Action.REMOVE: "removed",
}
# Columns of the store that mean nothing outside it; as do the folded copies, whose names end in _KEY.
_INTERNAL = frozenset({"row_hash", "raw"})
_KEY = "_key"


async def render_changes(tx: TenantTx, run_id: RunId, ord_from: int, ord_to: int) -> list[Event]:
    """The events of the changes ord_from..ord_to of a run that took effect, in order. An `events.Renderer`."""
    rows = await tx.fetch(
        """SELECT r.target, c.action, c.reason, c.subject, c.source_id, c.resource_id, c.person_id, c.before, c.after
        FROM change c JOIN run r ON r.tenant_id = c.tenant_id AND r.run_id = c.run_id
        WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.ord BETWEEN $3 AND $4 AND c.state <> 'conflict'
        ORDER BY c.ord""",
        tx.tenant_id, run_id, ord_from, ord_to,
    )  # fmt: skip
    return [_event(row, run_id) for row in rows]


def _event(row: Row, run_id: RunId) -> Event:
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
    return Event(type=f"{row['target']}.{_HAPPENED[Action(row['action'])]}", subject=str(row["person_id"]), body=body)


def is_outside(name: str) -> bool:
    """Whether a member of a change's before and after means something outside the store."""
    return name not in _INTERNAL and not name.endswith(_KEY)


def outside(doc: dict[str, Any] | None) -> dict[str, Any] | None:
    """A change's before or after without the columns that mean nothing outside of the store."""
    return None if doc is None else {name: value for name, value in doc.items() if is_outside(name)}
