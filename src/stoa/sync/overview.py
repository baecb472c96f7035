"""What the pages of the connections read: how each stands, what it did last, and what is open about it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from stoa.access.model import Credential
from stoa.access.queries import credentials
from stoa.alerts.model import Alert
from stoa.alerts.queries import current_alerts
from stoa.changes.actions import SOURCE_JOB
from stoa.changes.model import RunState
from stoa.db.transactions import Row, TenantTx
from stoa.jobs.model import Schedule
from stoa.jobs.schedules import schedules
from stoa.kernel.ids import ConnectionId, RunId, SourceId
from stoa.sync.actions import SYNC_JOB
from stoa.tenants import queries
from stoa.tenants.model import Connection, Source
from stoa.tenants.phases import PhaseState, PhaseStatus, phase_of, phase_state

SCIM: Final = "scim"
# A token that expires within this time is told of; the same as the first alert about it.
SOON: Final = timedelta(days=30)
_MOST_RUNS: Final = 30

_LAST_RUNS: Final = """
SELECT c.connection_id, r.run_id, r.state, r.reasons, r.created_at
FROM connection c CROSS JOIN LATERAL (
  SELECT run_id, state, reasons, created_at FROM run
  WHERE tenant_id = $1 AND source_id = c.source_id AND kind = 'sync'
  ORDER BY created_at DESC LIMIT 1) r
WHERE c.tenant_id = $1"""
_HELD: Final = "SELECT source_id, count(*) AS n FROM run WHERE tenant_id = $1 AND state = 'held' GROUP BY source_id"
_HISTORY: Final = """
SELECT run_id, kind, state, counts, figures - 'profile' - 'warnings' AS figures, created_at, finished_at FROM run
WHERE tenant_id = $1 AND source_id = $2 AND kind IN ('sync', 'due', 'rollback')
ORDER BY created_at DESC, run_id DESC LIMIT $3"""


@dataclass(frozen=True, slots=True)
class LastRun:
    """The latest sync run of a connection."""

    run_id: RunId
    state: RunState
    reasons: Sequence[Mapping[str, Any]]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One connection, as the list shows it.

    Attributes:
        state: as of the tenant's clock.
        schedule: when it runs by the clock, or None.
        alerts: those about it that are not resolved.
    """

    connection: Connection
    source: Source
    state: PhaseState
    schedule: Schedule | None
    last_run: LastRun | None
    alerts: Sequence[Alert]

    @property
    def next_at(self) -> datetime | None:
        """When it runs next by the clock; None while nothing is scheduled, or it is paused."""
        if self.schedule is None or self.schedule.paused_reason or self.connection.state == "paused":
            return None
        return self.schedule.next_at

    @property
    def reason(self) -> Mapping[str, Any] | None:
        """Why it fails or is held: the first reason of its last run, if that is how the run ended."""
        if self.last_run is None or self.last_run.state not in {RunState.ERRORED, RunState.HELD}:
            return None
        return self.last_run.reasons[0] if self.last_run.reasons else None


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """An identity provider: a source with the tokens by which it speaks.

    Attributes:
        live: tokens that open, newest first.
        contact_at: when one of its tokens was used last, to about a minute.
        expires_at: when the last of its live tokens expires; None for never, or when there is none.
    """

    source: Source
    state: PhaseState
    live: Sequence[Credential]
    contact_at: datetime | None
    expires_at: datetime | None
    alerts: Sequence[Alert]


@dataclass(frozen=True, slots=True)
class Connections:
    """All connections of a tenant: identity providers, and sources that are read."""

    providers: Sequence[ProviderLine]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run in the history of a source. rows: what was read, or None for a run that read nothing."""

    run_id: RunId
    kind: str
    state: str
    rows: int | None
    quarantined: int
    changes: int
    created_at: datetime
    finished_at: datetime | None


async def connections_of(tx: TenantTx) -> Connections:
    """Every connection of the tenant."""
    sources = {source.source_id: source for source in await queries.sources(tx)}
    found = await queries.connections(tx)
    alerts = await current_alerts(tx)
    scheduled = {one.key: one for one in await schedules(tx) if one.kind == SYNC_JOB}
    runs = {row["connection_id"]: _last_run(row) for row in await tx.fetch(_LAST_RUNS, tx.tenant_id)}
    held: dict[SourceId, int] = {row["source_id"]: row["n"] for row in await tx.fetch(_HELD, tx.tenant_id)}
    by_source = _by_source(await credentials(tx))
    return Connections(
        [
            _provider(one, by_source.get(one.source_id, []), alerts, tx.now)
            for one in sources.values()
            if one.kind == "idp"
        ],
        [
            Line(
                one,
                sources[one.source_id],
                _state(one, held.get(one.source_id, 0), tx.now),
                scheduled.get(str(one.connection_id)),
                runs.get(one.connection_id),
                _about(alerts, one.source_id, str(one.connection_id)),
            )
            for one in found
        ],
    )


async def line_of(tx: TenantTx, connection_id: ConnectionId) -> Line | None:
    """One connection, or None."""
    found = await connections_of(tx)
    return next((line for line in found.lines if line.connection.connection_id == connection_id), None)


async def provider_of(tx: TenantTx, source_id: SourceId) -> ProviderLine | None:
    """One identity provider, or None."""
    found = await connections_of(tx)
    return next((line for line in found.providers if line.source.source_id == source_id), None)


async def history(tx: TenantTx, source_id: SourceId, limit: int = _MOST_RUNS) -> list[PastRun]:
    """The latest runs of a source that a worker made, newest first (index run_source)."""
    return [_past(row) for row in await tx.fetch(_HISTORY, tx.tenant_id, source_id, limit)]


def is_live(credential: Credential, now: datetime) -> bool:
    """Whether a token still opens."""
    return credential.revoked_at is None and (credential.expires_at is None or credential.expires_at > now)


def _last_run(row: Row) -> LastRun:
    return LastRun(row["run_id"], RunState(row["state"]), row["reasons"], row["created_at"])


def _past(row: Row) -> PastRun:
    figures: Mapping[str, Any] = row["figures"]
    counts: Mapping[str, int] = row["counts"]
    return PastRun(
        run_id=row["run_id"],
        kind=row["kind"],
        state=row["state"],
        rows=figures.get("rows"),
        quarantined=figures.get("quarantined", 0),
        changes=sum(counts.values()),
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )


def _state(connection: Connection, held: int, now: datetime) -> PhaseState:
    return phase_state(replace(phase_of([connection]), held=held), now)


def _by_source(found: Iterable[Credential]) -> dict[SourceId, list[Credential]]:
    by_source: dict[SourceId, list[Credential]] = {}
    for one in found:
        if one.source_id is not None and one.permits(SCIM):
            by_source.setdefault(one.source_id, []).append(one)
    return by_source


def _provider(source: Source, tokens: Sequence[Credential], alerts: Sequence[Alert], now: datetime) -> ProviderLine:
    live = [one for one in tokens if is_live(one, now)]
    contact_at = max((one.last_used_at for one in tokens if one.last_used_at is not None), default=None)
    without_end = any(one.expires_at is None for one in live)
    expires_at = None if without_end else max((one.expires_at for one in live if one.expires_at), default=None)
    return ProviderLine(
        source,
        _provider_state(live, contact_at, now),
        live,
        contact_at,
        expires_at,
        _about(alerts, source.source_id, *(str(one.credential_id) for one in tokens)),
    )


def _provider_state(live: Sequence[Credential], contact_at: datetime | None, now: datetime) -> PhaseState:
    if not live and contact_at is not None:
        # It spoke once and is shut out now.
        return PhaseState.FAILING
    return phase_state(PhaseStatus(connected=bool(live), contact_at=contact_at, success_at=contact_at), now)


def _about(alerts: Iterable[Alert], source_id: SourceId, *keys: str) -> list[Alert]:
    known = {str(source_id), f"{SOURCE_JOB}:{source_id}", *keys}
    return [alert for alert in alerts if alert.key in known]
