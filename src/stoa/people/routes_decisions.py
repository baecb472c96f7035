"""Whom sources could not tell, over the public API: read, decide, take back."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from stoa.api.lists import ListQuery, Page, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.api.serving import check_match
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.api.tenants import ID
from stoa.kernel.cursors import BadCursor
from stoa.kernel.filters import FilterError
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import BadInput
from stoa.people import deciding
from stoa.people.deciding_queries import (
    BINDING,
    CATALOGUE,
    SELECT,
    Decision,
    DecisionState,
    NoSuchDecision,
    decision,
    decision_of,
)
from stoa.people.fields import to_json
from stoa.people.matching import Word
from stoa.people.model import Refused
from stoa.people.writing import CannotTell, refusal

_MANY: Final = "/v1/decisions"
_ONE: Final = f"{_MANY}/{{decision_id}}"
_TIME: Final = Meta(tz=True)
_TABLE: Final = Table(
    select=SELECT,
    key="d.decision_id",
    binding={**BINDING, "updated_at": BINDING["seen_at"]},
    sorts={"seen_at": ("d.seen_at", MOMENT)},
)


class DecisionSource(msgspec.Struct, frozen=True):
    """The source that could not tell them."""

    id: UUID
    name: str
    kind: str


class MatchDecisionShown(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom a source sent, and who could not be told."""

    id: UUID
    state: Annotated[
        DecisionState,
        Meta(description="`open` waits for somebody; `decided` waits for the source's next try; `ended` is over."),
    ]
    source: DecisionSource
    subject: Annotated[str, Meta(description="What the source calls them by.")]
    rule: Annotated[str, Meta(description="Why it was refused, as a word.")]
    detail: str
    candidates: Annotated[list[UUID], Meta(description="The people who may be meant.")]
    said: Annotated[
        dict[str, Any] | None, Meta(description="What the source said last, field by field; null where it is not kept.")
    ]
    times: Annotated[int, Meta(description="How often the source has tried.")]
    began_at: Annotated[datetime, _TIME]
    seen_at: Annotated[datetime, _TIME]
    run_id: Annotated[UUID | None, Meta(description="The run of the last try; null for a request.")]
    verdict: Word | None
    person_id: Annotated[UUID | None, Meta(description="Who it is, of the verdict `person`.")]
    decided_by: Annotated[str | None, Meta(description="Who decided, as in the audit log.")]
    decided_at: Annotated[datetime, _TIME] | None
    note: str | None
    ended: Annotated[
        str | None,
        Meta(description="How it ended: `used`, the verdict was followed; `understood`, it took none."),
    ]
    ended_at: Annotated[datetime, _TIME] | None


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who it is."""

    verdict: Annotated[
        Word,
        Meta(description="`person`: somebody known; `new`: a person is to be made; `ignore`: nobody is let in."),
    ]
    person_id: Annotated[UUID | None, Meta(description="Who it is, with the verdict `person`.")] = None
    note: Annotated[str, Meta(max_length=deciding.LONGEST_NOTE, description="Why, for whoever looks at it later.")] = ""
    at_once: Annotated[
        bool,
        Meta(description="Follow it now instead of at the source's next try. Only of a user whom SCIM sent."),
    ] = False


def operations() -> tuple[Operation, ...]:
    """Decisions, and deciding them."""
    one: Any = {"tag": "Decisions", "path_params": {"decision_id": ID}}
    over = (NoSuchDecision, deciding.DecisionOver)
    return (
        Operation(
            id="listDecisions", method="GET", path=_MANY, tag="Decisions", summary="List decisions",
            description="Whom sources sent, and who could not be told: the latest try first. "
            "`filter=state eq \"open\"` leaves those that wait for somebody.",
            scope="people:read", handler=_list, query=ListQuery, answers={200: Page[MatchDecisionShown]},
            problems=(BadCursor, FilterError),
        ),
        Operation(
            id="getDecision", method="GET", path=_ONE, summary="Get a decision", scope="people:read", handler=_get,
            answers={200: MatchDecisionShown}, problems=(NoSuchDecision,), **one,
        ),
        Operation(
            id="decide", method="POST", path=f"{_ONE}/decide", summary="Say who it is",
            description="The source's next try follows it. Until then it can be replaced or taken back.",
            scope="people:write", handler=_decide, body=Verdict, answers={200: MatchDecisionShown}, match="optional",
            body_example={"verdict": "person", "person_id": "01980f60-2b7e-7a44-b0a9-77c2d5e8f102"},
            problems=(*over, BadInput, deciding.CannotApply, CannotTell), idempotency="optional", **one,
        ),
        Operation(
            id="revokeDecision", method="POST", path=f"{_ONE}/revoke", summary="Take a verdict back",
            description="As long as the source has not used it.", scope="people:write", handler=_revoke,
            answers={200: MatchDecisionShown}, match="optional", problems=over, idempotency="optional", **one,
        ),
    )  # fmt: skip


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, CATALOGUE, ("seen_at",), default="-seen_at", since="seen_at")
    rows, after = await rows_of(call.tx, _TABLE, ask)
    return page(call, ask, [shown(decision_of(row)) for row in rows], after)


async def _get(call: Call[Any, None]) -> Answer:
    return _answer(await decision(call.tx, _id(call)))


async def _decide(call: Call[Any, Verdict]) -> Answer:
    found, given = await decision(call.tx, _id(call), lock=False), call.body
    check_match(call, str(found.version))
    found = await deciding.decide(
        call.tx, found.decision_id, given.verdict, given.person_id, note=given.note, version=found.version
    )
    if given.at_once:
        done = await deciding.carry_out(call.tx, found.decision_id)
        if isinstance(done, Refused):
            return Answer(problem=refusal(done))
        found = await decision(call.tx, found.decision_id)
    return _answer(found)


async def _revoke(call: Call[Any, None]) -> Answer:
    found = await decision(call.tx, _id(call))
    check_match(call, str(found.version))
    return _answer(await deciding.revoke(call.tx, found.decision_id, version=found.version))


def _id(call: Call[Any, Any]) -> UUID:
    found = parse_id(call.path["decision_id"])
    if found is None:
        raise NoSuchDecision("There is no such decision in this tenant.", hint="GET /v1/decisions lists them.")
    return found


def _answer(found: Decision) -> Answer:
    return Answer(content=shown(found), etag=str(found.version))


def shown(found: Decision) -> MatchDecisionShown:
    """A decision as the API shows it."""
    said = None
    if found.said is not None:
        values = {name: to_json(value) for name, value in found.said.values.items() if value is not None}
        said = {**values, "active": found.said.active, "external_id": found.said.scim_external_id}
    return MatchDecisionShown(
        id=found.decision_id,
        state=found.state,
        source=DecisionSource(found.source_id, found.source_name, found.source_kind),
        subject=found.subject,
        rule=found.rule,
        detail=found.detail,
        candidates=list(found.candidates),
        said=said,
        times=found.times,
        began_at=found.began_at,
        seen_at=found.seen_at,
        run_id=found.run_id,
        verdict=found.word,
        person_id=found.person_id,
        decided_by=found.decided_by,
        decided_at=found.decided_at,
        note=found.note,
        ended=found.ended,
        ended_at=found.ended_at,
    )
