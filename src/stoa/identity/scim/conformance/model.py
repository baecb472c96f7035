"""Checks of a SCIM service as values: what is expected, by whom, and what came."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from stoa.identity.scim.conformance.bench import Bench, Exchange
from stoa.identity.scim.validation import is_list, is_object


class Verdict(StrEnum):
    """What came of a check. `broken`: the check itself met an error that nobody foresaw."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    BROKEN = "broken"


class Unmet(Exception):
    """The service did something else than was expected. The message says what came."""


class NotApplicable(Exception):
    """The check has nothing to look at here. The message says why, and what would change it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation of the service.

    Attributes:
        code: unique, for example `okta_numbers`.
        expectation: one sentence.
        stands_for: whose expectation it is: a client's name and test, or the RFC's section.
        page: where that is documented, as a URL.
        writes: whether it makes throw-away users, which asks for a sandbox.
        look: raises Unmet or NotApplicable.
    """

    code: str
    expectation: str
    stands_for: str
    page: str
    writes: bool
    look: Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found. came: in words; empty when it passed. Exchanges hold no values of real people."""

    code: str
    expectation: str
    stands_for: str
    page: str
    verdict: Verdict
    came: str
    exchanges: Sequence[Exchange]


@dataclass(frozen=True, slots=True)
class Conformance:
    """One run of all checks against one source of a tenant. at: aware, UTC. actor: who asked for it."""

    conformance_id: UUID
    at: datetime
    actor: str
    wrote: bool
    passed: int
    failed: int
    skipped: int
    results: Sequence[Result] = ()


def require(true: bool, came: str) -> None:
    """Raises Unmet with what came, unless the condition holds."""
    if not true:
        raise Unmet(came)


def found(document: Any, *path: str | int) -> Any:
    """What stands at a place of a JSON document, or None."""
    for step in path:
        if isinstance(step, str) and is_object(document):
            document = document.get(step)
        elif isinstance(step, int) and is_list(document) and step < len(document):
            document = document[step]
        else:
            return None
    return document
