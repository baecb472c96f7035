"""Endpoints, what is sent to them, and what they answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NewType
from uuid import UUID

from stoa.kernel.ids import EndpointId
from stoa.kernel.problems import BadInput, Conflict

DeliveryId = NewType("DeliveryId", UUID)
SecretId = NewType("SecretId", UUID)
EndpointState = Literal["active", "disabled"]
# By a person; because the receiver answered 410; because nothing arrived for days.
DisabledReason = Literal["by_hand", "gone", "failing"]
# From the log in its turn; from the log once more, after the cursor was moved back; once more by hand; a test.
DeliveryKind = Literal["event", "replayed", "resent", "test"]
# `kept`: recorded and not sent, as a sandbox tenant's are. `skipped`: passed over by a person, or by a new filter.
DeliveryState = Literal["waiting", "delivered", "failed", "skipped", "kept"]

# The notifier's channel on which work is told that no new event announces: a test, a changed endpoint.
CHANNEL: Final = "stoa_webhooks"
TEST_TYPE: Final = "webhook.test"
MOST_ENDPOINTS: Final = 50
LONGEST_URL: Final = 2000
LONGEST_TEXT: Final = 500
# What is kept of an answer.
ANSWER_BYTES: Final = 1024


class BadEndpoint(BadInput):
    """The settings of a webhook endpoint cannot be used as they are.

    The detail says which setting and why, for example an address that is not https or a filter that cannot be read.

    Attributes:
        field: which of them: `url`, `filter`, `description`, `owner_email`.
    """

    code = "bad_endpoint"

    def __init__(self, detail: str, *, field: str, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint, field=field)
        self.field = field


class TooManyEndpoints(Conflict):
    """The tenant has as many webhook endpoints as it may have.

    Delete those that are no longer used, or let one take the events of several.
    """

    code = "too_many_endpoints"


class NothingToDo(Conflict):
    """The webhook endpoint is not in the state that this act is for.

    Read the webhook and its deliveries: it may be disabled, or be there already.
    """

    code = "webhook_state"


class Changed(Conflict):
    """Somebody else has changed the webhook since it was read.

    Read it again, then send the change with its present ETag in If-Match.
    """

    code = "webhook_changed"
    status = 412


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person decides about an endpoint. Checked by `rules.checked`.

    Attributes:
        filter: over events, in the language of filters; empty for all.
        owner_email: who is told when it fails; None for the tenant's owner.
    """

    url: str
    description: str = ""
    filter: str = ""
    owner_email: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A reader of the event log that lives elsewhere.

    Attributes:
        version: raised by each change that a person makes.
        cursor: the number of the last event that is done with: delivered, not asked for, given up or skipped.
        replayed_to: up to which number events were sent before the cursor was moved back.
        blocked_by, blocked_until: the delivery that is tried again then, before any later event is sent.
        success_at: when it last answered 2xx. failing_since: since when it has not.
        given_up: events given up since the last success.
    """

    endpoint_id: EndpointId
    url: str = field(repr=False)
    description: str
    filter: str
    owner_email: str | None = field(repr=False)
    api_version: str | None
    state: EndpointState
    disabled_reason: DisabledReason | None
    disabled_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    cursor: int
    replayed_to: int
    blocked_by: DeliveryId | None
    blocked_until: datetime | None
    success_at: datetime | None
    failing_since: datetime | None
    given_up: int

    @property
    def settings(self) -> Settings:
        """What a person decided."""
        return Settings(self.url, self.description, self.filter, self.owner_email)


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret without itself. expires_at: when it stops signing; None for the newest."""

    secret_id: SecretId
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Made:
    """A new endpoint or a new secret of one; the secret is shown once."""

    endpoint: Endpoint
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one endpoint.

    Attributes:
        message_id: the header webhook-id.
        seq: the event's number; None for a test.
        attempts: how often it was sent.
        status, error: of the last attempt.
    """

    delivery_id: DeliveryId
    endpoint_id: EndpointId
    kind: DeliveryKind
    message_id: str
    seq: int | None
    event_type: str
    state: DeliveryState
    attempts: int
    status: int | None
    error: str | None
    created_at: datetime
    next_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending, and what came of it.

    Attributes:
        status: of the answer, or None if there was none.
        error: a stable code, or None if the answer was 2xx. detail: in words.
        sent_timestamp, signature: the headers webhook-timestamp and webhook-signature.
        answer: its first 1 KiB, as sent.
    """

    number: int
    at: datetime
    took_ms: int
    status: int | None
    error: str | None
    detail: str
    sent_timestamp: int
    signature: str = field(repr=False)
    answer_headers: Mapping[str, str] | None = None
    answer: bytes | None = field(default=None, repr=False)
    # What Retry-After asked for, in seconds. Not kept.
    retry_after: float | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class Standing:
    """How an endpoint does.

    Attributes:
        behind: events of the log that it has not passed, whether it asks for them or not.
        behind_seconds: the age of the first of them; None if there is none.
        recent, recent_delivered: of its last deliveries (at most a thousand), how many ended, and how many well.
    """

    behind: int
    behind_seconds: float | None
    recent: int
    recent_delivered: int
