"""What the overview of a tenant shows, from the rooms that know it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stoa.alerts.model import Alert
from stoa.alerts.queries import current_alerts
from stoa.changes.holding import with_counts
from stoa.changes.model import Run, RunKind, RunState
from stoa.changes.queries import recent_runs, run_by_id
from stoa.changes.standing import WAITS
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import SourceId
from stoa.people.duplicates_listing import count_open
from stoa.tenants import queries as tenants
from stoa.tenants.model import PHASE_OF_KIND, Connection, Phase, Source
from stoa.tenants.phases import PhaseState, PhaseStatus
from stoa.tenants.status import TenantStatus, status

# Phases that this version can connect; the others are named, and said to be missing.
BUILT: Final = frozenset(PHASE_OF_KIND.values())
_MOST: Final = 5
_LATEST_RUNS: Final = 8

_WAITING: Final = f"""
SELECT run_id FROM run WHERE tenant_id = $1 AND {WAITS} ORDER BY created_at DESC, run_id DESC LIMIT $2"""  # noqa: S608 - code


@dataclass(frozen=True, slots=True)
class PhaseCard:
    """One phase as the overview shows it.

    Attributes:
        built: this version has it.
        connections: those of the phase.
        trouble: why the last run of the phase failed, as {"code", "detail", "hint"}; None unless it is failing.
    """

    phase: Phase
    state: PhaseState
    status: PhaseStatus
    built: bool
    connections: Sequence[Connection]
    trouble: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Overview:
    """A tenant at a glance.

    Attributes:
        waiting: runs that wait for a person, the newest first; `waiting_in_all` counts those beyond.
        sources: names of the runs' sources.
        duplicates: pairs of people who may be one and wait for a decision, as far as they are counted.
    """

    standing: TenantStatus
    cards: Sequence[PhaseCard]
    waiting: Sequence[Run]
    waiting_in_all: int
    runs: Sequence[Run]
    alerts: Sequence[Alert]
    sources: Mapping[SourceId, Source]
    duplicates: int


async def overview(tx: TenantTx) -> Overview:
    """Reads what the overview shows."""
    standing = await status(tx)
    sources = {source.source_id: source for source in await tenants.sources(tx)}
    connections = await tenants.connections(tx)
    runs = [await with_counts(tx, run) for run in await recent_runs(tx, limit=_LATEST_RUNS)]
    rows = await tx.fetch(_WAITING, tx.tenant_id, _MOST)
    waiting = [await with_counts(tx, await run_by_id(tx, row["run_id"])) for row in rows]
    cards = [_card(standing, phase, connections, sources, runs) for phase in Phase]
    alerts = (await current_alerts(tx))[:_MOST]
    in_all = sum(status.held for status in standing.phases.values())
    duplicates = await count_open(tx)
    return Overview(standing, cards, waiting, max(in_all, len(waiting)), runs, alerts, sources, duplicates)


def _card(
    standing: TenantStatus,
    phase: Phase,
    connections: Sequence[Connection],
    sources: Mapping[SourceId, Source],
    runs: Sequence[Run],
) -> PhaseCard:
    own = {source_id for source_id, source in sources.items() if PHASE_OF_KIND.get(source.kind) is phase}
    state = standing.state(phase)
    trouble = _trouble(standing.phases[phase], own, runs) if state is PhaseState.FAILING else None
    return PhaseCard(
        phase,
        state,
        standing.phases[phase],
        phase in BUILT,
        [connection for connection in connections if connection.source_id in own],
        trouble,
    )


def _trouble(status: PhaseStatus, own: set[SourceId], runs: Sequence[Run]) -> Mapping[str, Any]:
    failed = (run for run in runs if run.source_id in own and run.kind is RunKind.SYNC)
    found = next((run.reasons[0] for run in failed if run.state is RunState.ERRORED and run.reasons), None)
    return found or {"code": status.failing, "detail": None, "hint": None}
