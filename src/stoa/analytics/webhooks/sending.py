"""One request to a receiver, and what came of it. Never raises for what a receiver does."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from stoa.analytics.webhooks import rules
from stoa.analytics.webhooks.model import ANSWER_BYTES, Attempt
from stoa.outbound.http import HttpClient
from stoa.outbound.model import OutboundRefused, RemoteDown, Response, Timeouts
from stoa.outbound.rules import is_success, retry_after

TIMEOUTS: Final = Timeouts(connect=5.0, read=15.0, total=15.0)
_LONGEST_DETAIL: Final = 500


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. body: JSON. secrets: those that sign. lane: whose connections are used."""

    url: str
    message_id: str
    body: bytes
    secrets: tuple[str, ...]
    lane: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """How requests leave.

    Attributes:
        allow: exact `host:port` pairs that development exempts from the checks of addresses.
    """

    client: HttpClient
    allow: frozenset[str] = frozenset()
    timeouts: Timeouts = TIMEOUTS


async def send(way: Way, message: Message, number: int, at: datetime, real_now: datetime) -> Attempt:
    """Sends a message once.

    number: which attempt it is, from 1. at: the tenant's clock. real_now: what receivers compare their clock with.
    """
    headers = rules.signed_headers(message.message_id, real_now, message.body.decode(), message.secrets)
    began = time.monotonic()
    status: int | None = None
    answer: Response | None = None
    error: str | None
    try:
        answer = await way.client.answer(
            "POST",
            message.url,
            headers=headers,
            content=message.body,
            timeout=way.timeouts,
            most=ANSWER_BYTES,
            allow=way.allow,
            lane=message.lane,
        )
        status = answer.status
        error, detail = judged(status)
    except OutboundRefused as problem:
        error, detail = "address_refused", str(problem)
    except RemoteDown as problem:
        error, detail = "no_answer", str(problem)
    wished = retry_after(answer.headers.get("retry-after"), real_now) if answer is not None else None
    return Attempt(
        number=number,
        at=at,
        took_ms=int((time.monotonic() - began) * 1000),
        status=status,
        error=error,
        detail=detail[:_LONGEST_DETAIL],
        sent_timestamp=int(headers["webhook-timestamp"]),
        signature=headers["webhook-signature"],
        answer_headers=None if answer is None else rules.kept_headers(answer.headers),
        answer=None if answer is None else answer.body,
        retry_after=None if wished is None else wished.total_seconds(),
    )


def judged(status: int) -> tuple[str | None, str]:
    """A stable code for what a status means, None for success; and words."""
    if is_success(status):
        return None, ""
    match status:
        case 410:
            return "gone", "The receiver answered 410: it wants nothing more."
        case 429 | 503:
            return "slow_down", f"The receiver answered {status}: it asks for patience."
        case _ if 300 <= status < 400:
            return "redirect", f"The receiver answered {status}, a redirect, which is not followed."
        case _ if status < 500:
            return "refused", f"The receiver answered {status}: it does not take the message."
        case _:
            return "broken", f"The receiver answered {status}: it failed."
