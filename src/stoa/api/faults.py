"""Faults on demand: in a sandbox tenant a client may ask to be treated badly, and see whether it copes.

The header `Stoa-Fault` names what is to go wrong with the request that bears it. Elsewhere it is refused, so that a
test that strayed is seen.
"""

import asyncio
from enum import StrEnum
from typing import Final

from stoa.api.errors import BadHeader, InternalError, RateLimited, ServiceUnavailable

HEADER: Final = "stoa-fault"
SLOW_SECONDS: Final = 5.0


class Fault(StrEnum):
    """What can go wrong."""

    RATE_LIMITED = "rate_limited"
    SERVICE_UNAVAILABLE = "service_unavailable"
    INTERNAL_ERROR = "internal_error"
    # The answer comes after five seconds.
    SLOW = "slow"
    # The work is done and committed, and the connection ends before the answer: what a retry with the same
    # Idempotency-Key is for.
    LOST_ANSWER = "lost_answer"


def fault_of(text: str | None, *, sandbox: bool) -> Fault | None:
    """The fault that a request asks for; None for none.

    Raises:
        BadHeader: there is no such fault, or the tenant is no sandbox.
    """
    if text is None:
        return None
    if not sandbox:
        raise BadHeader("Stoa-Fault is for sandbox tenants.", hint="Leave the header out here.", header="Stoa-Fault")
    try:
        return Fault(text)
    except ValueError:
        known = ", ".join(Fault)
        raise BadHeader(f"There is no fault {text[:40]!r}.", hint=f"Faults: {known}.", header="Stoa-Fault") from None


async def suffer(fault: Fault | None) -> None:
    """Has happen what happens before the work. Raises RateLimited, ServiceUnavailable or InternalError."""
    told = "The request asked for this by its header Stoa-Fault."
    match fault:
        case Fault.RATE_LIMITED:
            raise RateLimited(told, hint="Repeat it in a second.", retry_after=1)
        case Fault.SERVICE_UNAVAILABLE:
            raise ServiceUnavailable(told, hint="Repeat it in a second.", retry_after=1)
        case Fault.INTERNAL_ERROR:
            raise InternalError(told)
        case Fault.SLOW:
            await asyncio.sleep(SLOW_SECONDS)
        case Fault.LOST_ANSWER | None:
            pass
