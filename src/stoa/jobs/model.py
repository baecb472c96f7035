"""What a job is, and how its handler says that it could not be done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import TenantId
from stoa.kernel.problems import BadInput, Problem

# The notifier's channel on which new and re-queued jobs are told.
CHANNEL: Final = "stoa_jobs"


class JobProblem(Problem):
    """A job was not done. A subclass says what follows from that."""

    code = "job_failed"


class Fatal(JobProblem):
    """Trying again cannot help: the job is dead at once."""

    code = "job_fatal"


class Retriable(JobProblem):
    """Somebody else's trouble, which will pass: tried again with back-off, for longer than an unexpected failure.

    Attributes:
        retry_after: how long the other side asked us to wait, if it did.
    """

    code = "job_retriable"

    def __init__(
        self, detail: str, *, retry_after: timedelta | None = None, hint: str | None = None, **extra: object
    ) -> None:
        super().__init__(detail, hint=hint, **extra)
        self.retry_after = retry_after


class LeaseLost(JobProblem):
    """The lease ran out and the job may be another worker's by now: nothing more may be written for it."""

    code = "lease_lost"
    status = 409


class BadSchedule(BadInput):
    """The cron expression or the time zone says nothing."""

    code = "bad_schedule"


class Outcome(StrEnum):
    """How an attempt ended: done; done and wanted again; to be tried again; dead; taken over by another worker; given
    back."""

    DONE = "done"
    AGAIN = "again"
    RETRIED = "retried"
    DEAD = "dead"
    LOST = "lost"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Wish:
    """One wake-up to enqueue. due_at: the tenant's clock; None is at once."""

    kind: str
    key: str
    args: dict[str, Any]
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased job, without its arguments.

    Attributes:
        lease_epoch: raised at each claim; whoever holds the highest may write.
        attempt: 1 for the first.
        abandoned: the worker before us neither finished nor released it.
    """

    tenant_id: TenantId
    job_id: UUID
    kind: str
    key: str
    lease_epoch: int
    attempt: int
    abandoned: bool


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A job that is not tried any more until it is enqueued again.

    Attributes:
        error: the class of the last failure, and its message if it is a Problem. No personal data.
    """

    job_id: UUID
    kind: str
    key: str
    attempts: int
    error: str
    dead_at: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that is enqueued by the clock.

    Attributes:
        cron: five fields, as cron(5) reads them.
        time_zone: IANA name.
        next_at: when it is due next, on the tenant's clock.
    """

    schedule_id: UUID
    kind: str
    key: str
    args: dict[str, Any]
    cron: str
    time_zone: str
    next_at: datetime
    paused_reason: str | None


# Called in the transaction that buries the job.
OnDead = Callable[[TenantTx, DeadJob], Awaitable[None]]
