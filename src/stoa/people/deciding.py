"""What an admin says of somebody whom a source could not tell. It stands until the source's next try uses it, and can
be taken back until then.
"""

from typing import Final
from uuid import UUID

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import PersonId
from stoa.kernel.problems import BadInput, Conflict
from stoa.people import actions
from stoa.people.deciding_queries import Decision, DecisionState, decision
from stoa.people.identity_locks import lock_identifiers
from stoa.people.matching import Word
from stoa.people.model import Provisioned, Refused
from stoa.people.redirects import survivor

LONGEST_NOTE: Final = 1_000


class DecisionOver(Conflict):
    """What was to be decided is over: the source was understood meanwhile, or somebody else's word was used.

    Read the decision: it says how it ended. What came of it is undone on the page of its run.
    """

    code = "decision_over"


class DecisionChanged(Conflict):
    """Somebody else said something of it meanwhile, or the source tried again and said something else.

    Read it anew, then decide.
    """

    code = "decision_changed"


class CannotApply(Conflict):
    """The decision cannot be carried out here: its source has to say it again.

    Wait for its next try: a report's next run, the client's next request, the next sign-in.
    """

    code = "decision_waits_for_source"


async def decide(
    tx: TenantTx,
    decision_id: UUID,
    word: Word,
    person_id: UUID | None = None,
    *,
    note: str = "",
    version: int | None = None,
) -> Decision:
    """Says who it is, for the source's next try. A word that stands is replaced.

    person_id: of the word PERSON: after a merge the one who is left. note: why, for whoever looks at it later.
    version: of the decision as it was read; None to decide whatever it is now.

    Raises:
        NoSuchDecision, DecisionOver, DecisionChanged.
        BadInput: the person is missing, unknown, or named with another word; the note is too long.
    """
    found = await _standing(tx, decision_id, version)
    chosen = await _person(tx, word, person_id)
    if len(note) > LONGEST_NOTE:
        raise BadInput(f"The note has {len(note):,} characters.", hint=f"At most {LONGEST_NOTE:,} are possible.")
    await tx.execute(
        """UPDATE decision SET verdict = $3, verdict_person = $4, verdict_by = $5, verdict_at = $6, verdict_note = $7,
          version = version + 1
        WHERE tenant_id = $1 AND decision_id = $2""",
        *(tx.tenant_id, decision_id, word, chosen, tx.origin.actor, tx.now, note.strip() or None),
    )
    _tell(tx, found, word, chosen)
    return await decision(tx, decision_id)


async def revoke(tx: TenantTx, decision_id: UUID, *, version: int | None = None) -> Decision:
    """Takes back what was said, as long as the source has not used it. It is open again.

    Raises:
        NoSuchDecision, DecisionOver, DecisionChanged.
    """
    found = await _standing(tx, decision_id, version)
    if found.word is None:
        return found
    await tx.execute(
        """UPDATE decision SET verdict = NULL, verdict_person = NULL, verdict_by = NULL, verdict_at = NULL,
          verdict_note = NULL, version = version + 1
        WHERE tenant_id = $1 AND decision_id = $2""",
        *(tx.tenant_id, decision_id),
    )
    _tell(tx, found, None, None)
    return await decision(tx, decision_id)


async def carry_out(tx: TenantTx, decision_id: UUID) -> Provisioned | Refused:
    """Does now what the source's next try would do: its last word is taken as if it had just been sent.

    Raises:
        NoSuchDecision, DecisionOver.
        CannotApply: nothing is decided, the word is to ignore it, or the source's word is not kept.
    """
    found = await _standing(tx, decision_id, None)
    if found.said is None or not found.can_be_applied or found.word not in {Word.PERSON, Word.NEW}:
        raise CannotApply(
            "This decision is carried out by the source's next try.",
            hint="For a user of an identity provider, decide who it is first; then it can be carried out at once.",
        )
    return await actions.provision(tx, found.source_id, found.said)


async def _standing(tx: TenantTx, decision_id: UUID, version: int | None) -> Decision:
    """The decision, which no try of its source can use before the end of the transaction."""
    # In the order in which the source's try takes them: its identifiers, then the row.
    asked = await decision(tx, decision_id)
    await lock_identifiers(tx, [asked.subject_key.partition(":")[2]])
    found = await decision(tx, decision_id, lock=True)
    if found.state is DecisionState.ENDED:
        raise DecisionOver(
            "It is over: the source has been understood meanwhile.",
            hint="The page of the person, or of the run, shows what came of it, and undoes it.",
        )
    if version is not None and found.version != version:
        raise DecisionChanged(
            "It has changed since you looked: somebody else decided, or the source tried again.",
            hint="Look at it anew, then decide.",
        )
    return found


async def _person(tx: TenantTx, word: Word, person_id: UUID | None) -> PersonId | None:
    if word is not Word.PERSON:
        if person_id is not None:
            raise BadInput("Only of the word “person” a person is named.", hint="Leave the person out.")
        return None
    if person_id is None:
        raise BadInput("Who it is has not been said.", hint="Choose one of the people, or give the id of another one.")
    now = await survivor(tx, person_id)
    if now is None:
        raise BadInput("There is no such person in this tenant.", hint="Copy the id from the address of their page.")
    return now


def _tell(tx: TenantTx, found: Decision, word: Word | None, person_id: PersonId | None) -> None:
    body = {
        "decision_id": str(found.decision_id),
        "source_id": str(found.source_id),
        "rule": found.rule,
        "before": {"verdict": found.word, "person_id": None if found.person_id is None else str(found.person_id)},
        "after": {"verdict": word, "person_id": None if person_id is None else str(person_id)},
    }
    emit(tx, Event("decision.made" if word is not None else "decision.revoked", f"decision:{found.decision_id}", body))
