"""Doing a request once more, by an operator: first to see what it would do now, then for good.

It goes through the same functions as the provider's own requests, in the operator's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from time import monotonic, perf_counter
from typing import Any, Final
from uuid import UUID

from stoa.access.queries import credential
from stoa.db.errors import COLLISION, UniqueViolation
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.identity.scim.errors import ScimError
from stoa.identity.scim.http import Answer, Call, Request, error_answer, query_of
from stoa.identity.scim.log.bodies import path_of
from stoa.identity.scim.log.model import Arrival, Line, Noted, Sealed
from stoa.identity.scim.log.queries import Written, written_at
from stoa.identity.scim.log.store import Vault, store
from stoa.identity.scim.own.offers import offered_in
from stoa.identity.scim.routes import handler_of
from stoa.kernel.problems import BadInput, Conflict
from stoa.web.visiting import Visit

# What was asked longer ago says little of what the provider wants today.
OLDEST: Final = timedelta(days=7)
LONGEST_WHY: Final = 500
_HEADERS: Final = {"content-type": "application/scim+json"}


class NotReplayable(Conflict):
    """The request cannot be done once more.

    The provider can send it again: Okta by “Retry” in its tasks, Entra ID by “Provision on demand”.
    """

    code = "scim_not_replayable"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a request would do now, or has just done.

    Attributes:
        written: the change in the journal, as it would be.
        request_id: of the line that tells of it; None where nothing was done.
    """

    answer: Answer
    written: Written | None
    request_id: UUID | None = None


class _Undone(Exception):
    def __init__(self, outlook: Outlook) -> None:
        super().__init__()
        self.outlook = outlook


def refusal_of(line: Line, sealed: Sealed, visit: Visit) -> str | None:
    """Why a request cannot be done once more; None if it can."""
    _ = visit.gettext
    if not line.is_write:
        return _("It only asked, and changed nothing.")
    if line.at + OLDEST < visit.now:
        return _("It came more than seven days ago: what the provider wants today may be something else.")
    if sealed.cut:
        return _("It was too long to be kept as a whole.")
    if sealed.no_json:
        return _("Its body was no JSON, of which nothing is kept.")
    if sealed.removed and sealed.request in {b"{}", b""}:
        return _("There was nothing in it but what is secret, which is not kept.")
    return None


async def look_ahead(visit: Visit, line: Line, sealed: Sealed, base_url: str) -> Outlook:
    """What the request would do now. It is done, and undone: nothing of it stays.

    Raises NotReplayable.
    """
    _refuse(visit, line, sealed)
    try:
        async with visit.writing() as tx:
            outlook = await _done(tx, line, sealed, base_url)
            # What is only looked at when a transaction ends, is looked at now.
            await tx.execute("SET CONSTRAINTS ALL IMMEDIATE")
            raise _Undone(outlook)
    except _Undone as undone:
        return undone.outlook
    except ScimError as error:
        return Outlook(error_answer(error), None)
    except (UniqueViolation, *COLLISION):
        raise _met() from None


async def replay(visit: Visit, vault: Vault, line: Line, sealed: Sealed, base_url: str, why: str) -> Outlook:
    """Does the request once more, in the visitor's name, and writes a line of its own about it.

    why: the visitor's reason, which the audit log and the line have.

    Raises NotReplayable, BadInput without a reason.
    """
    why = why.strip()
    if not 1 <= len(why) <= LONGEST_WHY or "\0" in why:
        raise BadInput(visit.gettext("Say why, in 1 to 500 characters: it stands in the audit log."))
    _refuse(visit, line, sealed)
    began = Arrival(
        tenant_id=None,
        source_id=line.source_id,
        credential_id=line.credential_id,
        query=sealed.query,
        address=visit.origin.address,
        trace_id=visit.origin.request_id,
        actor=visit.origin.actor,
        replay_of=line.request_id,
    )
    try:
        async with visit.writing() as tx:
            outlook = await _done(tx, line, sealed, base_url)
            await _note(tx, vault, began, line, sealed, outlook.answer, why)
    except ScimError as error:
        # What it had begun is undone; that it was tried is not.
        outlook = Outlook(error_answer(error), None)
        async with visit.writing() as tx:
            await _note(tx, vault, began, line, sealed, outlook.answer, why)
    except (UniqueViolation, *COLLISION):
        raise _met() from None
    return replace(outlook, request_id=began.request_id)


def _refuse(visit: Visit, line: Line, sealed: Sealed) -> None:
    told = refusal_of(line, sealed, visit)
    if told is not None:
        raise NotReplayable(told, hint=visit.gettext("The provider can send it again."))


def _met() -> Conflict:
    return Conflict("Somebody changed the same at the same moment, so nothing was done.", hint="Try again.")


async def _done(tx: TenantTx, line: Line, sealed: Sealed, base_url: str) -> Outlook:
    path = path_of(sealed.path)
    handler, resource_id = handler_of(path, line.method)
    shown = None if line.credential_id is None else await credential(tx, line.credential_id)
    if shown is None:
        raise NotReplayable("The token that it came with is gone.", hint="The provider can send it again.")
    asked = Request(line.method, path, query_of(sealed.query), _HEADERS, sealed.request)
    answer = await handler(Call(tx, shown, line.source_id, asked, resource_id, base_url, await offered_in(tx)))
    written = None if answer.outcome is None else answer.outcome.written
    return Outlook(answer, None if written is None else await written_at(tx, written.run_id, written.ord))


async def _note(
    tx: TenantTx, vault: Vault, began: Arrival, line: Line, sealed: Sealed, answer: Answer, why: str
) -> None:
    request = Request(line.method, path_of(sealed.path), {}, _HEADERS, sealed.request)
    took = int((perf_counter() - began.began) * 1_000_000)
    noted = Noted(began, tx.tenant_id, line.source_id, request, answer, took)
    await store(tx, vault, [noted], clock=monotonic(), why=why)
    body: Mapping[str, Any] = {
        "source_id": str(line.source_id),
        "replay_id": str(began.request_id),
        "status": int(answer.status),
        "why": why,
    }
    emit(tx, Event("scim.request_replayed", f"scim_request:{line.request_id}", dict(body)))


def succeeded(answer: Answer) -> bool:
    """Whether a request was answered well."""
    return answer.status < HTTPStatus.BAD_REQUEST


def as_if(line: Line, status: int, outcome: str, reason: str) -> Line:
    """The line that would be written of a request that was answered so."""
    return replace(line, status=status, outcome=outcome, reason=reason)
