"""When a connection runs: the usual rhythms as a form, their cron expression, and a cron expression in words. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from stoa.jobs.rules import next_time
from stoa.kernel.problems import BadInput

Gettext = Callable[[str], str]
LONGEST_CRON: Final = 200
_NUMBER: Final = re.compile(r"\d{1,2}")
_AT: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?")
_HOURLY: Final = re.compile(r"(\d{1,2}) \* \* \* \*")
_DAILY: Final = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* \*")
_WEEKLY: Final = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* (\d|1-5)")
_MONTHLY: Final = re.compile(r"(\d{1,2}) (\d{1,2}) (\d{1,2}) \* \*")
_MINUTES: Final = re.compile(r"\*/(\d{1,2}) \* \* \* \*")
_HOURS: Final = re.compile(r"(\d{1,2}) \*/(\d{1,2}) \* \* \*")


class Every(StrEnum):
    """The rhythms that the form offers. CRON: an expression of one's own."""

    NEVER = "never"
    DAILY = "daily"
    HOURLY = "hourly"
    CRON = "cron"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A schedule as the form shows it.

    Attributes:
        at: of DAILY, the time of day as HH:MM.
        minute: of HOURLY, the minute of the hour.
        cron: of CRON, five fields.
    """

    every: Every = Every.DAILY
    at: str = "02:30"
    minute: str = "0"
    cron: str = ""


class BadRhythm(BadInput):
    """A field of a schedule cannot be used. `field` names it, and the detail says what it may be."""

    code = "bad_rhythm"
    status = 422

    def __init__(self, field: str, detail: str, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.field = field


def rhythm_of(cron: str | None) -> Rhythm:
    """A stored schedule as the form shows it."""
    if cron is None:
        return Rhythm(Every.NEVER)
    if found := _DAILY.fullmatch(cron):
        return Rhythm(Every.DAILY, at=f"{int(found[2]):02}:{int(found[1]):02}", cron=cron)
    if found := _HOURLY.fullmatch(cron):
        return Rhythm(Every.HOURLY, minute=str(int(found[1])), cron=cron)
    return Rhythm(Every.CRON, cron=cron)


def rhythm_given(texts: Mapping[str, str]) -> Rhythm:
    """What somebody entered, as it was entered."""
    every = next((one for one in Every if one == texts.get("every", "")), Every.DAILY)
    at, minute, cron = (texts.get(name, "").strip()[:LONGEST_CRON] for name in ("at", "minute", "cron"))
    return Rhythm(every, at, minute, cron)


def cron_of(rhythm: Rhythm) -> str | None:
    """The cron expression of a rhythm; None for none. Raises BadRhythm; whether a cron expression of one's own says
    anything is found by `next_times`.
    """
    match rhythm.every:
        case Every.NEVER:
            return None
        case Every.HOURLY:
            if not _NUMBER.fullmatch(rhythm.minute) or int(rhythm.minute) > 59:
                raise BadRhythm("minute", "The minute of the hour is a number from 0 to 59.")
            return f"{int(rhythm.minute)} * * * *"
        case Every.DAILY:
            found = _AT.fullmatch(rhythm.at)
            if found is None:
                raise BadRhythm("at", "This is not a time of day.", "Write hours and minutes, such as 02:30.")
            return f"{int(found[2])} {int(found[1])} * * *"
        case Every.CRON:
            if len(rhythm.cron.split()) != 5:
                raise BadRhythm(
                    "cron", "A cron expression has five fields.", "Minute, hour, day of month, month, day of week."
                )
            return " ".join(rhythm.cron.split())


def next_times(cron: str, time_zone: str, now: datetime, count: int = 3) -> list[datetime]:
    """The next moments of a schedule, in UTC. Raises BadRhythm when it says nothing, or never comes."""
    found: list[datetime] = []
    for _ in range(count):
        try:
            now = next_time(cron, time_zone, now)
        except BadInput as problem:
            raise BadRhythm("cron", problem.detail, problem.hint) from problem
        found.append(now)
    return found


def in_words(cron: str, gettext: Gettext) -> str:
    """A cron expression as people say it; one that has no plain words is told as it is spelt."""
    if found := _HOURLY.fullmatch(cron):
        return gettext("every hour at minute %(minute)s") % {"minute": int(found[1])}
    if found := _DAILY.fullmatch(cron):
        return gettext("every day at %(time)s") % {"time": _clock(found)}
    if found := _WEEKLY.fullmatch(cron):
        return gettext("%(day)s at %(time)s") % {"day": _day(found[3], gettext), "time": _clock(found)}
    if found := _MONTHLY.fullmatch(cron):
        return gettext("on day %(day)s of each month at %(time)s") % {"day": int(found[3]), "time": _clock(found)}
    if found := _MINUTES.fullmatch(cron):
        return gettext("every %(count)s minutes") % {"count": int(found[1])}
    if found := _HOURS.fullmatch(cron):
        return gettext("every %(count)s hours at minute %(minute)s") % {
            "count": int(found[2]),
            "minute": int(found[1]),
        }
    return gettext("by the cron expression %(cron)s") % {"cron": cron}


def _clock(found: re.Match[str]) -> str:
    return f"{int(found[2]):02}:{int(found[1]):02}"


def _day(text: str, gettext: Gettext) -> str:
    days = {
        "0": gettext("every Sunday"),
        "1": gettext("every Monday"),
        "2": gettext("every Tuesday"),
        "3": gettext("every Wednesday"),
        "4": gettext("every Thursday"),
        "5": gettext("every Friday"),
        "6": gettext("every Saturday"),
        "7": gettext("every Sunday"),
        "1-5": gettext("Monday to Friday"),
    }
    return days.get(text, text)
