"""How a phase stands, and how a tenant stands by its phases. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from stoa.jobs.rules import next_time
from stoa.tenants.model import Connection, Phase


class PhaseState(StrEnum):
    """What a phase is in, as people read it."""

    OFF = "off"
    OK = "ok"
    WAITING = "waiting"
    PAUSED = "paused"
    STALE = "stale"
    HELD = "held"
    FAILING = "failing"


# From nothing to do to the most urgent; the place of each is its number in tenant_status.worst.
RISING: Final = tuple(PhaseState)
_HALTED: Final = frozenset({PhaseState.PAUSED, PhaseState.HELD, PhaseState.FAILING})


@dataclass(frozen=True, slots=True)
class PhaseStatus:
    """What is known of one phase of a tenant.

    Attributes:
        connected: there is a connection, or a token for one.
        paused: every connection of the phase is paused.
        contact_at: when the other side was last read, or last spoke.
        success_at: when what it said was last applied.
        expected_by: when the next success is due at the latest; None while nothing is scheduled.
        held: runs that wait for a person.
        failing: the code of the last error, until something goes well again.
        requests, errors: what the other side asked within 24 hours of its last contact, and how much of it was answered
            with an error, as counted then; 0 where it is we who ask.
    """

    connected: bool = False
    paused: bool = False
    contact_at: datetime | None = None
    success_at: datetime | None = None
    expected_by: datetime | None = None
    held: int = 0
    failing: str | None = None
    requests: int = 0
    errors: int = 0


def phase_state(status: PhaseStatus, now: datetime) -> PhaseState:
    """The state of a phase at `now`.

    A run that waits for a person is told even while the phase is paused, for somebody has to decide; what a pause
    explains (an error, a missed success) is not. A failure comes before a held run, whose number is told beside it.
    """
    state = _whatever_the_hour(status)
    if state not in _HALTED and state is not PhaseState.OFF and _is_late(status, now):
        return PhaseState.STALE
    return state


def _whatever_the_hour(status: PhaseStatus) -> PhaseState:
    if not status.connected:
        return PhaseState.HELD if status.held else PhaseState.OFF
    if status.failing is not None and not status.paused:
        return PhaseState.FAILING
    if status.held:
        return PhaseState.HELD
    if status.paused:
        return PhaseState.PAUSED
    return PhaseState.WAITING if status.success_at is None else PhaseState.OK


def _is_late(status: PhaseStatus, now: datetime) -> bool:
    return status.expected_by is not None and status.expected_by <= now


def worst_of(states: Iterable[PhaseState]) -> PhaseState:
    """The most urgent of them; of none `off`."""
    return max(states, key=RISING.index, default=PhaseState.OFF)


@dataclass(frozen=True, slots=True)
class Summary:
    """What the board sorts and filters by, made from the phases. See tenant_status in the migration."""

    states: tuple[str, ...]
    worst: int
    late_from: datetime | None
    oldest_success_at: datetime | None


def summary(phases: Mapping[Phase, PhaseStatus]) -> Summary:
    """The part of a tenant's standing that no clock changes, and the moment from which a phase is late."""
    states = {phase: _whatever_the_hour(status) for phase, status in phases.items()}
    can_be_late = [
        status.expected_by
        for phase, status in phases.items()
        if status.expected_by is not None and states[phase] in {PhaseState.OK, PhaseState.WAITING}
    ]
    successes = [status.success_at for status in phases.values() if status.connected and status.success_at is not None]
    return Summary(
        tuple(sorted({str(state) for state in states.values()} - {"off"})),
        RISING.index(worst_of(states.values())),
        min(can_be_late, default=None),
        min(successes, default=None),
    )


def phase_of(connections: Iterable[Connection]) -> PhaseStatus:
    """What the connections of one phase make of it, `held` left out: the freshest contact and success, the earliest
    moment by which one of them is due, and an error of any. What is paused counts for none of the latter two.
    """
    found = list(connections)
    active = [connection for connection in found if connection.state == "active"]
    return PhaseStatus(
        connected=bool(found),
        paused=bool(found) and not active,
        contact_at=max((c.contact_at for c in found if c.contact_at is not None), default=None),
        success_at=max((c.success_at for c in found if c.success_at is not None), default=None),
        expected_by=min((c.expected_by for c in active if c.expected_by is not None), default=None),
        failing=next((c.failing for c in active if c.failing is not None), None),
    )


SHORTEST_GRACE: Final = timedelta(minutes=10)
LONGEST_GRACE: Final = timedelta(hours=6)


def due_by(cron: str, time_zone: str, now: datetime) -> datetime:
    """By when the next success of something that runs by this schedule is due: it may take until the run after it
    begins, though never longer than LONGEST_GRACE, and always SHORTEST_GRACE. Raises BadSchedule.
    """
    begins = next_time(cron, time_zone, now)
    following = next_time(cron, time_zone, begins)
    return begins + min(max(following - begins, SHORTEST_GRACE), LONGEST_GRACE)


def as_json(phases: Mapping[Phase, PhaseStatus]) -> dict[str, dict[str, Any]]:
    """The phases as they are stored: what is false, None or 0 is left out, and so is a phase of which nothing is
    known.
    """
    told = {str(phase): {name: _plain(value) for name, value in _known(status)} for phase, status in phases.items()}
    return {phase: values for phase, values in told.items() if values}


def from_json(stored: Mapping[str, Mapping[str, Any]]) -> dict[Phase, PhaseStatus]:
    """All six phases, in their order."""
    return {phase: _status(stored.get(phase, {})) for phase in Phase}


_MOMENTS: Final = frozenset({"contact_at", "success_at", "expected_by"})
_NAMES: Final = frozenset(field.name for field in fields(PhaseStatus))


def _known(status: PhaseStatus) -> list[tuple[str, Any]]:
    values = [(field.name, getattr(status, field.name)) for field in fields(status)]
    return [(name, value) for name, value in values if value]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _status(stored: Mapping[str, Any]) -> PhaseStatus:
    # A newer version, which is being rolled out beside this one, may have stored more.
    known: dict[str, Any] = {name: value for name, value in stored.items() if name in _NAMES}
    moments: dict[str, Any] = {name: datetime.fromisoformat(known[name]) for name in _MOMENTS & known.keys()}
    return PhaseStatus(**(known | moments))
