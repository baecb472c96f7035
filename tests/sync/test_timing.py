"""Rhythms of runs as a form, as cron expressions and in words."""

from datetime import UTC, datetime

import pytest

from stoa.sync.timing import BadRhythm, Every, Rhythm, cron_of, in_words, next_times, rhythm_given, rhythm_of


def plain(text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("5 * * * *", "every hour at minute 5"),
        ("30 2 * * *", "every day at 02:30"),
        ("0 6 * * 1-5", "Monday to Friday at 06:00"),
        ("15 22 * * 0", "every Sunday at 22:15"),
        ("0 4 1 * *", "on day 1 of each month at 04:00"),
        ("*/15 * * * *", "every 15 minutes"),
        ("10 */6 * * *", "every 6 hours at minute 10"),
        ("0 4 1 1,7 *", "by the cron expression 0 4 1 1,7 *"),
    ],
)
def test_a_schedule_is_told_in_words(cron: str, words: str) -> None:
    assert in_words(cron, plain) == words


@pytest.mark.parametrize("cron", [None, "30 2 * * *", "5 * * * *", "0 6 * * 1-5", "0 4 1 1,7 *"])
def test_a_stored_schedule_comes_back_from_its_form(cron: str | None) -> None:
    assert cron_of(rhythm_of(cron)) == cron


@pytest.mark.parametrize(
    ("given", "cron"),
    [
        ({"every": "daily", "at": "2:05"}, "5 2 * * *"),
        # Some browsers send seconds.
        ({"every": "daily", "at": "23:59:00"}, "59 23 * * *"),
        ({"every": "hourly", "minute": " 07 "}, "7 * * * *"),
        ({"every": "cron", "cron": " 0  6 * * 1-5 "}, "0 6 * * 1-5"),
        ({"every": "never", "at": "nonsense"}, None),
    ],
)
def test_a_form_becomes_a_cron_expression(given: dict[str, str], cron: str | None) -> None:
    assert cron_of(rhythm_given(given)) == cron


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"every": "daily", "at": "24:00"}, "at"),
        ({"every": "daily"}, "at"),
        ({"every": "hourly", "minute": "60"}, "minute"),
        ({"every": "hourly", "minute": "²"}, "minute"),
        ({"every": "cron", "cron": "0 6 * *"}, "cron"),
        ({"every": "nonsense"}, "at"),
    ],
)
def test_what_says_nothing_is_told_beside_its_field(given: dict[str, str], field: str) -> None:
    with pytest.raises(BadRhythm) as caught:
        cron_of(rhythm_given(given))
    assert caught.value.field == field


def test_the_next_moments_follow_the_zone_through_the_change_of_the_clocks() -> None:
    now = datetime(2026, 10, 23, 12, tzinfo=UTC)
    found = next_times("30 4 * * *", "Europe/Berlin", now)
    assert [f"{moment:%d %H:%M}" for moment in found] == ["24 02:30", "25 03:30", "26 03:30"]


@pytest.mark.parametrize("cron", ["61 * * * *", "0 0 31 2 *", "a b c d e"])
def test_a_cron_expression_that_says_nothing_is_told(cron: str) -> None:
    with pytest.raises(BadRhythm) as caught:
        next_times(cron, "UTC", datetime(2026, 1, 1, tzinfo=UTC))
    assert caught.value.field == "cron"


def test_a_new_connection_runs_at_night() -> None:
    assert Rhythm().every is Every.DAILY
    assert cron_of(Rhythm()) == "30 2 * * *"
