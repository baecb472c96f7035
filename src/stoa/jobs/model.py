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
    """A job was not done. Its alert, and the worker's log under the trace id, say why and whether it is tried again."""

    code = "job_failed"


class Fatal(JobProblem):
    """A job has failed in a way that another try cannot mend.

    The alert about it says what to mend. Then start again what it did.
    """

    code = "job_fatal"


class Retriable(JobProblem):
    """Another system's trouble kept a job from being done.

    It is tried again by itself, with growing pauses. An alert tells when that has lasted too long.

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
    """A job took longer than its worker had leased it for, and may be another worker's by now.

    Nothing is to be done: what was not committed is done again by the other one.
    """

    code = "lease_lost"
    status = 409


class BadSchedule(BadInput):
    """The cron expression or the time zone of a schedule cannot be read.

    Write five fields, such as `0 6 * * 1-5`, and a zone such as Europe/Paris.
    """

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
