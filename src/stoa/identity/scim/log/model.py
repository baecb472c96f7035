"""A line of the log of requests, as it is noted, stored and read."""

from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic, perf_counter
from typing import Final
from uuid import UUID

import msgspec

from stoa.identity.scim.http import Answer, Request, Word
from stoa.kernel.ids import CredentialId, PersonId, RunId, SourceId, TenantId, new_id

# What is kept of a body, in bytes. Of a request that is longer the rest is cut off, and it cannot be done once more.
MOST_REQUEST: Final = 65_536
MOST_ANSWER: Final = 16_384
# A request that this server failed to answer, or refused for a reason of its own.
FAILED: Final = "failed"


@dataclass(slots=True)
class Arrival:
    """A request on its way through, filled in as more becomes known of it.

    Attributes:
        began: `perf_counter` at its arrival; since: `monotonic`.
        source_id: in whose name it speaks; None for strangers, of whom nothing is written down.
        actor, replay_of: of a request that an operator does once more.
    """

    request_id: UUID = field(default_factory=new_id)
    began: float = field(default_factory=perf_counter)
    since: float = field(default_factory=monotonic)
    tenant_id: TenantId | None = None
    source_id: SourceId | None = None
    credential_id: CredentialId | None = None
    request: Request | None = None
    query: str = ""
    address: str | None = None
    trace_id: str | None = None
    actor: str | None = None
    replay_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """A request that was answered, and waits to be written down.

    duration_us: microseconds until the answer was there.
    """

    arrival: Arrival
    tenant_id: TenantId
    source_id: SourceId
    request: Request
    answer: Answer
    duration_us: int

    @property
    def size(self) -> int:
        """About how many bytes it holds in memory."""
        return len(self.request.body) + len(self.answer.body) + 2_000


class Sealed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is personal of a request.

    Attributes:
        path, query: as they were sent, but for what is secret.
        request: the JSON of the request without secrets; empty if there was none, or if it was no JSON.
        request_bytes: how long the body was when it came.
        cut: whether `request` is but the beginning.
        no_json: whether the body was no JSON, of which nothing is kept, for nobody can tell what of it is secret.
        removed: where something secret stood in the request, as dotted paths.
        answer: the body of the answer; answer_bytes, answer_cut: as of the request.
        why: what an operator gave as the reason for doing it once more.
    """

    path: str
    query: str = ""
    request: bytes = b""
    request_bytes: int = 0
    cut: bool = False
    no_json: bool = False
    removed: list[str] = []
    answer: bytes = b""
    answer_bytes: int = 0
    answer_cut: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A request in the list, without what is sealed.

    Attributes:
        path: without names; see the migration.
        outcome: a `Word`, or FAILED.
        lost: requests of the tenant before this one that were not written down.
        replay_of, actor: of a request that an operator did once more.
    """

    request_id: UUID
    at: datetime
    source_id: SourceId
    credential_id: CredentialId | None
    actor: str | None
    replay_of: UUID | None
    method: str
    path: str
    status: int
    duration_us: int
    address: str | None
    user_agent: str | None
    trace_id: str | None
    outcome: str
    reason: str
    resource_id: UUID | None
    person_id: PersonId | None
    run_id: RunId | None
    ord: int | None
    lost: int

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return self.duration_us / 1000

    @property
    def is_write(self) -> bool:
        """Whether it asked for a change."""
        return self.method in {"POST", "PUT", "PATCH", "DELETE"} and not self.path.endswith(".search")


@dataclass(frozen=True, slots=True)
class Freshness:
    """What a provider did of late.

    Attributes:
        last_at, success_at: when it last asked, and last was answered below 400, within the hours that are kept.
        requests, errors: of the last 24 hours, to the hour.
    """

    last_at: datetime | None
    success_at: datetime | None
    requests: int
    errors: int


OUTCOMES: Final = (*(word.value for word in Word), FAILED)
