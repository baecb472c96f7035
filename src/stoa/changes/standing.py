"""What a run's life says of its tenant's standing: how many wait for a person, and how its connection does."""

from typing import Final

from stoa.changes.model import Run, RunKind, RunState
from stoa.db.transactions import TenantTx
from stoa.tenants import queries as tenants
from stoa.tenants.model import PHASE_OF_KIND, Phase
from stoa.tenants.status import note_connection, note_phase, recount

# A plan that was asked for as a plan alone waits for a person too. The first condition is that of the index run_open.
WAITS: Final = "state IN ('held', 'planned') AND (state = 'held' OR plan_only)"
_WAITING: Final = f"SELECT source_id, count(*) AS n FROM run WHERE tenant_id = $1 AND {WAITS} GROUP BY source_id"  # noqa: S608 - code
_MAY_WAIT: Final = frozenset({RunState.HELD, RunState.PLANNED})


async def note_transition(tx: TenantTx, before: Run, after: Run) -> None:
    """Notes what follows from a run's step from one state to the next."""
    if before.state in _MAY_WAIT or after.state in _MAY_WAIT:
        recount(tx, "waiting", count_waiting)
    if after.kind is not RunKind.SYNC or after.connection_id is None:
        return
    match after.state:
        case RunState.PLANNED | RunState.HELD:
            await note_connection(tx, after.connection_id, contact_at=tx.now, failing=None)
        case RunState.APPLIED:
            await note_connection(tx, after.connection_id, success_at=tx.now, failing=None)
        case RunState.ERRORED:
            reason = after.reasons[0]["code"] if after.reasons else "errored"
            await note_connection(tx, after.connection_id, failing=reason)
        case _:
            pass


async def count_waiting(tx: TenantTx) -> None:
    """Notes, for each phase, how many runs wait for a person. From a `recount`."""
    kinds = {source.source_id: source.kind for source in await tenants.sources(tx)}
    held: dict[Phase, int] = dict.fromkeys(PHASE_OF_KIND.values(), 0)
    for row in await tx.fetch(_WAITING, tx.tenant_id):
        phase = PHASE_OF_KIND.get(kinds[row["source_id"]])
        if phase is not None:
            held[phase] += row["n"]
    for phase, n in held.items():
        await note_phase(tx, phase, held=n)
