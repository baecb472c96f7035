"""When a failed job is tried again, when a schedule is due next, and what may be told of a failure. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from stoa.jobs.model import BadSchedule, Fatal, Retriable
from stoa.kernel.problems import Problem

ATTEMPTS: Final = 8
PATIENT_ATTEMPTS: Final = 24
_FIRST_DELAY: Final = timedelta(seconds=2)
_LONGEST_DELAY: Final = timedelta(minutes=15)
_LONGEST_WAIT: Final = timedelta(days=1)
_LONGEST_MESSAGE: Final = 500


def delay_after(error: BaseException, attempt: int, luck: float) -> timedelta | None:
    """How long to wait before the next attempt, or None: the job is dead.

    attempt: the one that failed, from 1. luck: uniform in [0, 1), spreads the retries. A time that the other side
        asked for (`retry_after`)
    is kept, up to a day, and only ever lengthened.
    """
    patient = isinstance(error, Retriable)
    if isinstance(error, Fatal) or attempt >= (PATIENT_ATTEMPTS if patient else ATTEMPTS):
        return None
    backoff = min(_FIRST_DELAY * 2 ** (attempt - 1), _LONGEST_DELAY) * (0.5 + luck)
    if not isinstance(error, Retriable) or error.retry_after is None:
        return backoff
    asked = min(max(error.retry_after, timedelta(0)), _LONGEST_WAIT)
    return max(backoff, asked + _FIRST_DELAY * luck)


def tell(error: BaseException) -> str:
    """The failure in a form that is safe to store and log: a foreign exception's message may hold personal data, so
    only its class is told."""
    name = type(error).__name__
    return f"{name}: {error.detail}"[:_LONGEST_MESSAGE] if isinstance(error, Problem) else name


def next_time(cron: str, time_zone: str, after: datetime) -> datetime:
    """The first moment later than `after` at which the schedule is due, in UTC.

    A time that the change to summer time leaves out is due right after the gap; one that occurs twice in autumn is due
    once (as Debian's cron has it). Minutes and hours given by `*` or a step follow the elapsed time instead.

    Raises:
        BadSchedule: no such zone, not a cron expression, or one that never comes (30 February).
    """
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = "Use an IANA name such as Europe/Berlin."
        raise BadSchedule(f"There is no time zone {time_zone!r}.", hint=hint) from error
    try:
        return next(CronSim(cron, after.astimezone(zone))).astimezone(UTC)
    except CronSimError as error:
        hint = "Five fields: minute, hour, day of month, month, day of week."
        raise BadSchedule(f"{cron!r} is not a cron expression: {error}.", hint=hint) from error
    except StopIteration as error:
        raise BadSchedule(f"{cron!r} never comes.") from error
