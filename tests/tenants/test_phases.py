"""How a phase stands, by table; and what the board makes of all of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.jobs.model import BadSchedule
from stoa.kernel.ids import ConnectionId, SourceId, new_id
from stoa.tenants.model import Connection, Phase
from stoa.tenants.phases import (
    LONGEST_GRACE,
    RISING,
    SHORTEST_GRACE,
    PhaseState,
    PhaseStatus,
    as_json,
    due_by,
    from_json,
    phase_of,
    phase_state,
    summary,
    worst_of,
)

NOW = datetime(2030, 3, 4, 12, tzinfo=UTC)
BEFORE, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
GOING = PhaseStatus(connected=True, contact_at=BEFORE, success_at=BEFORE, expected_by=LATER)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (PhaseStatus(), "off"),
        (PhaseStatus(connected=True), "waiting"),
        (PhaseStatus(connected=True, contact_at=BEFORE), "waiting"),
        (PhaseStatus(connected=True, expected_by=LATER), "waiting"),
        (PhaseStatus(connected=True, expected_by=BEFORE), "stale"),
        (GOING, "ok"),
        (replace(GOING, expected_by=None), "ok"),
        (replace(GOING, expected_by=NOW), "stale"),
        (replace(GOING, held=1), "held"),
        (replace(GOING, held=1, expected_by=BEFORE), "held"),
        (replace(GOING, failing="remote_down"), "failing"),
        (replace(GOING, failing="remote_down", expected_by=BEFORE), "failing"),
        (replace(GOING, failing="remote_down", held=1), "failing"),
        (replace(GOING, paused=True), "paused"),
        (replace(GOING, paused=True, expected_by=BEFORE), "paused"),
        (replace(GOING, paused=True, failing="remote_down"), "paused"),
        (replace(GOING, paused=True, held=1), "held"),
        (PhaseStatus(success_at=BEFORE, failing="remote_down", expected_by=BEFORE), "off"),
    ],
)
def test_state_of_a_phase(status: PhaseStatus, state: str) -> None:
    assert phase_state(status, NOW) == state


MOMENTS = st.none() | st.datetimes(datetime(2030, 3, 1), datetime(2030, 3, 8), timezones=st.just(UTC))  # noqa: DTZ001
STATUSES = st.builds(
    PhaseStatus,
    connected=st.booleans(),
    paused=st.booleans(),
    contact_at=MOMENTS,
    success_at=MOMENTS,
    expected_by=MOMENTS,
    held=st.integers(0, 3),
    failing=st.none() | st.sampled_from(["remote_down", "bad_mapping"]),
)
TENANTS = st.fixed_dictionaries(dict.fromkeys(Phase, STATUSES))


@given(TENANTS)
def test_the_stored_form_tells_the_same(phases: dict[Phase, PhaseStatus]) -> None:
    assert from_json(as_json(phases)) == phases


@given(TENANTS, MOMENTS.filter(bool))
def test_the_summary_and_the_clock_give_the_worst_state_at_any_hour(
    phases: dict[Phase, PhaseStatus], now: datetime
) -> None:
    made = summary(phases)
    late = made.late_from is not None and made.late_from <= now
    by_summary = max(made.worst, RISING.index(PhaseState.STALE) if late else 0)
    assert RISING[by_summary] == worst_of(phase_state(status, now) for status in phases.values())


@given(TENANTS)
def test_the_summary_names_each_state_that_does_not_come_with_the_hour(phases: dict[Phase, PhaseStatus]) -> None:
    never = datetime(2000, 1, 1, tzinfo=UTC)
    assert set(summary(phases).states) == {str(phase_state(status, never)) for status in phases.values()} - {"off"}


def test_what_a_newer_version_stored_is_passed_over() -> None:
    assert from_json({"hris": {"connected": True, "weather": "fine"}})[Phase.HRIS] == PhaseStatus(connected=True)
    assert list(from_json({"weather": {}})) == list(Phase)


def connection(**given_values: object) -> Connection:
    made = Connection(ConnectionId(new_id()), SourceId(new_id()), "workday", "W", {}, False, "active", None, 1, BEFORE)
    return replace(made, **given_values)


def test_a_phase_follows_its_connections() -> None:
    assert phase_of([]) == PhaseStatus()
    old, fresh = connection(success_at=BEFORE, expected_by=LATER), connection(success_at=NOW, contact_at=NOW)
    assert phase_of([old, fresh]) == PhaseStatus(
        connected=True, success_at=NOW, contact_at=NOW, expected_by=LATER, failing=None
    )
    assert phase_of([replace(old, failing="remote_down"), fresh]).failing == "remote_down"


def test_a_paused_connection_is_neither_late_nor_failing() -> None:
    paused = connection(state="paused", failing="remote_down", expected_by=BEFORE, success_at=BEFORE)
    assert phase_of([paused]) == PhaseStatus(connected=True, paused=True, success_at=BEFORE)
    assert not phase_of([paused, connection()]).paused


@pytest.mark.parametrize(
    ("cron", "due"),
    [
        ("30 2 * * *", datetime(2030, 3, 5, 2, 30, tzinfo=UTC) + LONGEST_GRACE),
        ("0 * * * *", datetime(2030, 3, 4, 14, tzinfo=UTC)),
        ("*/5 * * * *", datetime(2030, 3, 4, 12, 5, tzinfo=UTC) + SHORTEST_GRACE),
    ],
)
def test_a_success_is_due_before_the_next_but_one_run(cron: str, due: datetime) -> None:
    assert due_by(cron, "UTC", NOW) == due


def test_a_success_is_due_by_the_zone_of_the_schedule() -> None:
    assert due_by("30 2 * * *", "Asia/Kolkata", NOW) == datetime(2030, 3, 4, 21, tzinfo=UTC) + LONGEST_GRACE
    with pytest.raises(BadSchedule):
        due_by("nonsense", "UTC", NOW)
