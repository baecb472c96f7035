"""The history of an alert: who did what to it, and when."""

from stoa.alerts.model import AlertId, Note, What
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import new_id


async def note(tx: TenantTx, alert_id: AlertId, what: What, text: str = "") -> None:
    """Adds a line in the name of whoever acts in this transaction."""
    await tx.execute(
        """INSERT INTO alert_note (tenant_id, alert_id, note_id, at, actor, what, text)
           VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        *(tx.tenant_id, alert_id, new_id(), tx.now, tx.origin.actor, what, text),
    )


async def notes(tx: TenantTx, alert_id: AlertId, limit: int = 200) -> list[Note]:
    """The latest lines, the oldest of them first."""
    rows = await tx.fetch(
        """SELECT at, actor, what, text FROM alert_note WHERE tenant_id = $1 AND alert_id = $2
           ORDER BY note_id DESC LIMIT $3""",
        *(tx.tenant_id, alert_id, limit),
    )
    return [Note(row["at"], row["actor"], row["what"], row["text"]) for row in reversed(rows)]
