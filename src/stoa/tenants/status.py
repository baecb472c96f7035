"""The one row per tenant that the operator's board reads: how its phases stand, alerts, people. No personal data.

Each room notes its own part, in the transaction of the change. The row is locked last of all (after jobs, before the
number of the log's entry is drawn) and for the length of a commit, so that a tenant's writers do not wait for each
other, nor in a ring. What is counted is counted under that lock, by a statement that begins after it was granted: else
two writers that count at once would each miss what the other is about to commit.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from stoa.db.transactions import Row, TenantTx
from stoa.jobs.actions import enqueue
from stoa.jobs.schedules import schedules
from stoa.kernel.ids import ConnectionId, TenantId
from stoa.kernel.problems import NotFound
from stoa.tenants import phases as rules
from stoa.tenants import queries
from stoa.tenants.model import PHASE_OF_KIND, Connection, Phase
from stoa.tenants.phases import PhaseState, PhaseStatus, phase_state

# The job that counts anew all that the row says; its handler lives above, where everything can be counted.
RECOUNT_JOB: Final = "tenant.recount"
_HOOK: Final = "status"
_NOTES: Final = "status.notes"

Recount = Callable[[TenantTx], Awaitable[None]]


class _Same:
    """Stands for "as it is", where None says something."""


SAME: Final = _Same()


@dataclass(frozen=True, slots=True)
class TenantStatus:
    """How a tenant stands.

    Attributes:
        now: the tenant's clock when this was read.
        phases: all six, in their order.
        people_at, updated_at: when people were counted last; when anything here changed last.
    """

    tenant_id: TenantId
    slug: str
    name: str
    sandbox: bool
    time_zone: str
    now: datetime
    phases: Mapping[Phase, PhaseStatus]
    open_alerts: int
    critical_alerts: int
    people: int
    active_people: int
    people_at: datetime | None
    oldest_success_at: datetime | None
    updated_at: datetime | None

    def state(self, phase: Phase) -> PhaseState:
        """How one phase stands on the tenant's clock."""
        return phase_state(self.phases[phase], self.now)

    @property
    def worst(self) -> PhaseState:
        """The most urgent state of any phase."""
        return rules.worst_of(self.state(phase) for phase in self.phases)


COLUMNS: Final = """t.tenant_id, t.slug, t.name, t.sandbox, t.time_zone, coalesce(s.phases, '{}') AS phases,
  coalesce(s.open_alerts, 0) AS open_alerts, coalesce(s.critical_alerts, 0) AS critical_alerts,
  coalesce(s.people, 0) AS people, coalesce(s.active_people, 0) AS active_people, s.people_at, s.oldest_success_at,
  s.updated_at"""


def status_of(row: Row, now: datetime) -> TenantStatus:
    """The standing in a row of COLUMNS."""
    values = {name: row[name] for name in TenantStatus.__dataclass_fields__ if name not in {"now", "phases"}}
    return TenantStatus(**values, now=now, phases=rules.from_json(row["phases"]))


async def status(tx: TenantTx) -> TenantStatus:
    """How the tenant of the transaction stands, as of the last commit. Raises NotFound."""
    row = await tx.fetchrow(
        f"""SELECT {COLUMNS} FROM tenant t LEFT JOIN tenant_status s ON s.tenant_id = $1 WHERE t.tenant_id = $1""",  # noqa: S608 - columns are code
        tx.tenant_id,
    )
    if row is None:
        raise NotFound("There is no such tenant.")
    return status_of(row, tx.now)


# ------------------------------------------------------------------ what is noted


@dataclass(frozen=True, slots=True)
class _Notes:
    """What a transaction has noted so far. Replaced, never changed: a savepoint that fails puts the earlier back.

    polite: nothing but contacts, which let a row be that somebody else holds.
    """

    phases: Mapping[Phase, Mapping[str, Any]] = field(default_factory=dict[Phase, Mapping[str, Any]])
    columns: Mapping[str, Any] = field(default_factory=dict[str, Any])
    recounts: Mapping[str, Recount] = field(default_factory=dict[str, Recount])
    polite: bool = True


def _note(tx: TenantTx, notes: _Notes) -> None:
    tx.memo[_NOTES] = notes
    tx.before_commit(_HOOK, _write)


def _noted(tx: TenantTx) -> _Notes:
    return tx.memo.get(_NOTES, _Notes())


async def note_phase(
    tx: TenantTx,
    phase: Phase,
    *,
    contact_at: datetime | _Same | None = SAME,
    success_at: datetime | _Same | None = SAME,
    expected_by: datetime | _Same | None = SAME,
    failing: str | _Same | None = SAME,
    held: int | _Same = SAME,
    connected: bool | _Same = SAME,
    paused: bool | _Same = SAME,
    requests: int | _Same = SAME,
    errors: int | _Same = SAME,
) -> None:
    """Changes what is given of a phase, at the end of the transaction. What is counted (`held`, `connected`) is noted
    from within a `recount`. For a phase that has connections, note those: `note_connection`.
    """
    given = {
        "contact_at": contact_at,
        "success_at": success_at,
        "expected_by": expected_by,
        "failing": failing,
        "held": held,
        "connected": connected,
        "paused": paused,
        "requests": requests,
        "errors": errors,
    }
    changes = {name: value for name, value in given.items() if not isinstance(value, _Same)}
    notes = _noted(tx)
    merged = {**notes.phases.get(phase, {}), **changes}
    _note(tx, replace(notes, phases={**notes.phases, phase: merged}, polite=False))


async def note_contact(tx: TenantTx, phase: Phase) -> None:
    """Notes that the other side has just spoken, and was answered well if this transaction commits.

    For requests: call it at most once a minute. It never waits: whoever finds the row locked lets it be.
    """
    notes = _noted(tx)
    heard = {"contact_at": tx.now, "success_at": tx.now, "failing": None}
    _note(tx, replace(notes, phases={**notes.phases, phase: {**notes.phases.get(phase, {}), **heard}}))


async def note_alerts(tx: TenantTx, open: int, critical: int) -> None:  # noqa: A002 - the column's name
    """Changes the number of alerts that are not resolved, and of the critical ones among them. From a `recount`."""
    _note_columns(tx, open_alerts=open, critical_alerts=critical)


async def note_people(tx: TenantTx, people: int, active: int) -> None:
    """Changes the number of people, and of the active ones among them. From a `recount`."""
    _note_columns(tx, people=people, active_people=active, people_at=tx.now)


def _note_columns(tx: TenantTx, **columns: object) -> None:
    notes = _noted(tx)
    _note(tx, replace(notes, columns={**notes.columns, **columns}, polite=False))


def recount(tx: TenantTx, name: str, count: Recount) -> None:
    """Has `count` called once for each `name` at the end of the transaction, while the row is locked. It reads, and
    notes what it found; it locks nothing.
    """
    notes = _noted(tx)
    _note(tx, replace(notes, recounts={**notes.recounts, name: count}, polite=False))


async def note_connection(
    tx: TenantTx,
    connection_id: ConnectionId,
    *,
    contact_at: datetime | _Same = SAME,
    success_at: datetime | _Same = SAME,
    expected_by: datetime | _Same | None = SAME,
    failing: str | _Same | None = SAME,
) -> None:
    """Changes what is given of a connection's standing, and has its phase follow."""
    given = {"contact_at": contact_at, "success_at": success_at, "expected_by": expected_by, "failing": failing}
    changes = {name: value for name, value in given.items() if not isinstance(value, _Same)} | {"changed_at": tx.now}
    sets = ", ".join(f"{name} = ${i}" for i, name in enumerate(changes, start=3))
    await tx.execute(
        f"UPDATE connection SET {sets} WHERE tenant_id = $1 AND connection_id = $2",  # noqa: S608 - names are code
        *(tx.tenant_id, connection_id, *changes.values()),
    )
    note_connections(tx)


def note_connections(tx: TenantTx) -> None:
    """Has the phases follow their connections: one was made, paused or resumed."""
    recount(tx, "connections", _count_connections)


async def note_expected(tx: TenantTx, connection_id: ConnectionId) -> None:
    """Notes by when the next success of a connection is due, counted from now: after a success, or when its schedule
    was set, paused or resumed. A schedule names its connection among its arguments.
    """
    key = str(connection_id)
    found = [one for one in await schedules(tx) if one.args.get("connection_id") == key and not one.paused_reason]
    due = [rules.due_by(one.cron, one.time_zone, tx.now) for one in found]
    await note_connection(tx, connection_id, expected_by=min(due, default=None))


async def _count_connections(tx: TenantTx) -> None:
    kinds = {source.source_id: source.kind for source in await queries.sources(tx)}
    by_phase: dict[Phase, list[Connection]] = {}
    for connection in await queries.connections(tx):
        phase = PHASE_OF_KIND.get(kinds[connection.source_id])
        if phase is not None:
            by_phase.setdefault(phase, []).append(connection)
    for phase, found in by_phase.items():
        made = rules.phase_of(found)
        await note_phase(
            tx, phase, connected=made.connected, paused=made.paused, contact_at=made.contact_at,
            success_at=made.success_at, expected_by=made.expected_by, failing=made.failing,
        )  # fmt: skip


async def ask_recount(tx: TenantTx, *, lasting: timedelta | None = None) -> None:
    """Asks for RECOUNT_JOB: at once, or, for changes that go on for `lasting`, once they have come to rest.

    Counting a hundred thousand people takes too long for every request, and a counter in the row would have a tenant's
    requests wait for each other. So requests ask at most once a minute (`note_contact`), each for the minute that
    follows.
    """
    if lasting is None:
        await enqueue(tx, RECOUNT_JOB, "now")
    else:
        until = tx.now + lasting
        await enqueue(tx, RECOUNT_JOB, "requests", {"until": until.isoformat()}, due_at=until + _REST)


_REST: Final = timedelta(seconds=15)


# ------------------------------------------------------------------ writing the row


_FIND: Final = "SELECT phases FROM tenant_status WHERE tenant_id = $1 FOR NO KEY UPDATE"
_MAKE: Final = "INSERT INTO tenant_status (tenant_id, updated_at) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_STORE: Final = """
UPDATE tenant_status SET phases = $3, states = $4, worst = $5, late_from = $6, oldest_success_at = $7,
  open_alerts = coalesce($8, open_alerts), critical_alerts = coalesce($9, critical_alerts),
  people = coalesce($10, people), active_people = coalesce($11, active_people), people_at = coalesce($12, people_at),
  updated_at = $2
WHERE tenant_id = $1"""
_COUNTED: Final = ("open_alerts", "critical_alerts", "people", "active_people", "people_at")


async def make_status(tx: TenantTx) -> None:
    """Makes the row of a new tenant."""
    await tx.execute(_MAKE, tx.tenant_id, tx.now)


async def _write(tx: TenantTx) -> None:
    notes = _noted(tx)
    if notes == _Notes():
        # The counts below have asked for this hook once more, by noting what they found.
        return
    row = await tx.fetchrow(_FIND + " SKIP LOCKED" if notes.polite else _FIND, tx.tenant_id)
    if row is None and not notes.polite:
        # A tenant that an older version made, while this one was being rolled out.
        await make_status(tx)
        row = await tx.fetchrow(_FIND, tx.tenant_id)
    if row is None:
        return
    for count in notes.recounts.values():
        await count(tx)
    notes, tx.memo[_NOTES] = _noted(tx), _Notes()
    phases = rules.from_json(row["phases"])
    for phase, changes in notes.phases.items():
        phases[phase] = replace(phases[phase], **changes)
    made = rules.summary(phases)
    await tx.execute(
        _STORE,
        *(tx.tenant_id, tx.now, rules.as_json(phases), list(made.states), made.worst, made.late_from),
        made.oldest_success_at,
        *(notes.columns.get(name) for name in _COUNTED),
    )
