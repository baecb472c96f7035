"""What admins decide of pairs, and whom they never want merged."""

from typing import Final, Literal
from uuid import UUID

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.problems import BadInput, Conflict, NotFound
from stoa.people.duplicates_listing import ListedPair, pair_by_id
from stoa.people.redirects import survivor
from stoa.people.routes import no_such_person

LONGEST_REASON: Final = 1000
What = Literal["person", "source"]

_DISMISS: Final = """
UPDATE duplicate_pair SET state = 'dismissed', dismissed_at = $3, dismissed_by = $4, dismissed_reason = $5,
  dismissed_score = score, dismissed_evidence = evidence, came_back_at = NULL, updated_at = $3
WHERE tenant_id = $1 AND pair_id = $2 AND state = 'open' RETURNING pair_id"""
_REOPEN: Final = """
UPDATE duplicate_pair SET state = 'open', updated_at = $3
WHERE tenant_id = $1 AND pair_id = $2 AND state = 'dismissed' RETURNING pair_id"""
_BAR: Final = """
INSERT INTO merge_bar (tenant_id, what, of_id, reason, made_by, made_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id, what, of_id) DO UPDATE SET reason = $4, made_by = $5, made_at = $6"""
_SOURCE: Final = "SELECT EXISTS (SELECT FROM source WHERE tenant_id = $1 AND source_id = $2)"


class WrongPairState(Conflict):
    """The pair is not in a state in which this can be done: somebody was quicker.

    Read the pair: it says who decided, and when.
    """

    code = "wrong_pair_state"


def checked_reason(text: str) -> str:
    """Why somebody decided so, which must be said. Raises BadInput."""
    reason = text.strip()
    if not reason or "\0" in reason or len(reason) > LONGEST_REASON:
        raise BadInput(
            f"A reason is needed, of at most {LONGEST_REASON:,} characters.",
            hint="Say why: whoever meets these two people later has nothing else to go by.",
            field="reason",
        )
    return reason


async def dismiss(tx: TenantTx, pair_id: UUID, reason: str) -> ListedPair:
    """Notes that two people are not one. It is kept for ever: the pair comes back only for much more than spoke for it.

    Raises:
        NotFound, BadInput, WrongPairState.
    """
    reason = checked_reason(reason)
    pair = await pair_by_id(tx, pair_id)
    if await tx.fetchval(_DISMISS, tx.tenant_id, pair_id, tx.now, tx.origin.actor, reason) is None:
        raise _too_late(pair)
    told = {"score": pair.score, "evidence": list(pair.evidence), **_people(pair)}
    emit(tx, Event("duplicate.dismissed", f"duplicate:{pair_id}", told))
    return await pair_by_id(tx, pair_id)


async def reopen(tx: TenantTx, pair_id: UUID) -> ListedPair:
    """Takes a dismissal back. Raises NotFound, WrongPairState."""
    pair = await pair_by_id(tx, pair_id)
    if await tx.fetchval(_REOPEN, tx.tenant_id, pair_id, tx.now) is None:
        raise _too_late(pair)
    emit(tx, Event("duplicate.reopened", f"duplicate:{pair_id}", _people(pair)))
    return await pair_by_id(tx, pair_id)


def _people(pair: ListedPair) -> dict[str, str]:
    return {"person_a": str(pair.person_a), "person_b": str(pair.person_b)}


def _too_late(pair: ListedPair) -> WrongPairState:
    return WrongPairState(
        f"The pair is {pair.state}.", hint="Read it again: somebody else decided meanwhile.", state=pair.state
    )


async def bar(tx: TenantTx, what: What, of_id: UUID, reason: str) -> UUID:
    """Has a person, or whoever has a record of a source, never be merged. Gives whom it is about: of a person who was
    merged before, who they are now.

    Raises:
        NotFound, BadInput.
    """
    reason = checked_reason(reason)
    whom = await _whom(tx, what, of_id)
    await tx.execute(_BAR, tx.tenant_id, what, whom, reason, tx.origin.actor, tx.now)
    emit(tx, Event("merge.barred", f"{what}:{whom}", {"what": what}))
    return whom


async def lift(tx: TenantTx, what: What, of_id: UUID) -> UUID:
    """Takes that back. Raises NotFound; lifting what is not barred changes nothing."""
    whom = await _whom(tx, what, of_id)
    lifted = await tx.execute(
        "DELETE FROM merge_bar WHERE tenant_id = $1 AND what = $2 AND of_id = $3", tx.tenant_id, what, whom
    )
    if lifted:
        emit(tx, Event("merge.allowed", f"{what}:{whom}", {"what": what}))
    return whom


async def _whom(tx: TenantTx, what: What, of_id: UUID) -> UUID:
    if what == "source":
        if not await tx.fetchval(_SOURCE, tx.tenant_id, of_id):
            raise NotFound("There is no such source in this tenant.", hint="The list of sources has those there are.")
        return of_id
    whom = await survivor(tx, of_id)
    if whom is None:
        raise no_such_person()
    return whom
