"""What may be an endpoint, what is sent to it, and what follows from its answer. Pure.

The form of messages, the schedule of retries and the meaning of 410, 429 and 503 are those of Standard Webhooks
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from standardwebhooks.webhooks import Webhook

from stoa.analytics.webhooks.model import LONGEST_TEXT, LONGEST_URL, Attempt, BadEndpoint, DisabledReason, Settings
from stoa.events.model import ERASED, StoredEvent
from stoa.events.selecting import facts, selected
from stoa.kernel.filters import FilterError, Typed, evaluate
from stoa.kernel.ids import TenantId
from stoa.outbound.model import OutboundRefused
from stoa.outbound.rules import destination
from stoa.tenants.rules import is_email

# The waits after the first attempt, the second, and so on: about three days in all.
SCHEDULE: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
# Waits are lengthened at random by up to this part of them.
JITTER: Final = 0.1
LONGEST_RETRY_AFTER: Final = timedelta(hours=24)
ALERT_AFTER: Final = timedelta(hours=1)
OVERLAP: Final = timedelta(hours=24)
LONGEST_OVERLAP: Final = timedelta(days=7)
_GONE: Final = 410
_SLOWER: Final = frozenset({429, 503})
_KEPT_HEADERS: Final = 20
_HEADER_LENGTH: Final = 200


# ------------------------------------------------------------------ settings


def checked(settings: Settings, allow: AbstractSet[str]) -> Settings:
    """The settings without white space around them.

    allow: exact `host:port` pairs that development exempts from the checks of addresses.

    Raises:
        BadEndpoint: with the field that is wrong.
    """
    url, filter_ = settings.url.strip(), settings.filter.strip()
    description, owner = settings.description.strip(), (settings.owner_email or "").strip() or None
    if len(url) > LONGEST_URL:
        raise BadEndpoint(f"The URL has more than {LONGEST_URL:,} characters.", field="url")
    try:
        destination(url, allow)
    except OutboundRefused as error:
        raise BadEndpoint(error.detail, hint=error.hint, field="url") from error
    try:
        typed_of(filter_)
    except FilterError as error:
        raise BadEndpoint(str(error), field="filter") from error
    if len(description) > LONGEST_TEXT or not description.isprintable():
        raise BadEndpoint(f"A description is one line of at most {LONGEST_TEXT} characters.", field="description")
    if owner is not None and not is_email(owner):
        raise BadEndpoint(
            "The owner is not one plain e-mail address.", hint="Such as it@acme.example.", field="owner_email"
        )
    return Settings(url, description, filter_, owner)


def typed_of(text: str) -> Typed | None:
    """The filter, or None where everything is asked for. Raises FilterError."""
    return selected(text) if text else None


def matches(typed: Typed | None, event: StoredEvent, now: datetime) -> bool:
    """Whether the endpoint asks for the event. One that is gone from the log is sent to nobody."""
    if event.type == ERASED:
        return False
    return typed is None or evaluate(typed, facts(event), now=now)


def stays_here(sandbox: bool, url: str, allow: AbstractSet[str]) -> bool:
    """Whether deliveries are recorded and not sent: those of a sandbox tenant, unless the operator allows the host."""
    return sandbox and not destination(url, allow).exempt


# ------------------------------------------------------------------ messages


def message_id(tenant_id: TenantId, seq: int) -> str:
    """The header webhook-id: the same whenever the same event is sent, and without a dot."""
    return f"evt_{tenant_id.hex}_{seq}"


def signed_headers(message: str, at: datetime, body: str, live: Iterable[str]) -> dict[str, str]:
    """The headers of one sending, signed with each of the secrets that are live."""
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message, at.astimezone(UTC), body) for secret in live),
        "content-type": "application/cloudevents+json; charset=utf-8",
    }


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """As much of an answer's headers as is kept. Cookies are not."""
    kept = [(name, value) for name, value in headers.items() if name.lower() not in {"set-cookie", "set-cookie2"}]
    return {name[:_HEADER_LENGTH]: _storable(value)[:_HEADER_LENGTH] for name, value in kept[:_KEPT_HEADERS]}


def _storable(text: str) -> str:
    return text.replace("\x00", "")


# ------------------------------------------------------------------ what follows


@dataclass(frozen=True, slots=True)
class Again:
    """The same message is sent again then."""

    at: datetime


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The message is not sent any more by itself."""


@dataclass(frozen=True, slots=True)
class Disabled:
    """Nothing is sent to the endpoint until a person enables it. The message waits for that."""

    reason: DisabledReason


Next = Again | GivenUp | Disabled


def after_failure(attempt: Attempt, now: datetime, chance: float, *, given_up: int = 0) -> Next:
    """What follows from an attempt that failed.

    chance: from 0 to 1. given_up: how many messages of the endpoint were given up since its last success: then the next
    one's failure says that it is not the message.
    """
    if attempt.status == _GONE:
        return Disabled("gone")
    if given_up:
        return Disabled("failing")
    if attempt.number > len(SCHEDULE):
        return GivenUp()
    wait = SCHEDULE[attempt.number - 1] * (1 + JITTER * chance)
    if attempt.status in _SLOWER and attempt.retry_after is not None:
        wished = timedelta(seconds=attempt.retry_after)
        wait = max(wait, min(wished, LONGEST_RETRY_AFTER) * (1 + JITTER * chance / 10))
    return Again(now + wait)


def is_alarming(failing_since: datetime, next_: Next) -> bool:
    """Whether somebody should be told: it will have failed for an hour before it is tried again."""
    match next_:
        case Again(at):
            return at - failing_since >= ALERT_AFTER
        case _:
            return True


def origin_of(url: str) -> str:
    """Scheme and host: all that is told of a URL, whose path may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
