"""People who may be one, over the public API."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from stoa.api.lists import Page, RowsQuery, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.api.tables import rows_of
from stoa.api.tenants import ID
from stoa.kernel.cursors import BadCursor
from stoa.kernel.filters import FilterError
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import BadInput, NotFound
from stoa.people.duplicates import ask_for_everybody
from stoa.people.duplicates_actions import LONGEST_REASON, WrongPairState, dismiss, reopen
from stoa.people.duplicates_listing import CATALOGUE, TABLE, Half, ListedPair, PairState, pair_by_id, pair_of, standing

_TIME: Final = Meta(tz=True)
_When = Annotated[datetime, _TIME]


class DuplicatePerson(msgspec.Struct, frozen=True):
    """One of the two."""

    id: UUID
    name: str | None
    email: str | None
    employee_id: str | None


class Dismissal(msgspec.Struct, frozen=True):
    """That somebody decided that the two are not one."""

    at: _When
    by: str | None
    reason: str | None
    score: Annotated[int | None, Meta(description="What spoke for it then.")]
    evidence: list[str]


class Duplicate(msgspec.Struct, frozen=True):
    """Two people who may be one. They are never merged by themselves."""

    id: UUID
    state: PairState
    score: Annotated[int, Meta(description="How much speaks for it, from 0 to 100.")]
    evidence: Annotated[
        list[str],
        Meta(description="What the two share, such as `email`; what begins with `not_` speaks against it."),
    ]
    people: Annotated[list[DuplicatePerson], Meta(description="The two, the lower id first.")]
    merge_id: Annotated[UUID | None, Meta(description="The merge that made them one.")]
    dismissal: Annotated[
        Dismissal | None, Meta(description="The last dismissal; of an open pair, one that is no longer in force.")
    ]
    came_back_at: Annotated[_When | None, Meta(description="When it was opened again because much more spoke for it.")]
    found_at: _When
    updated_at: _When


class DismissInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the two are not one."""

    reason: Annotated[str, Meta(min_length=1, max_length=LONGEST_REASON)]


class DuplicateSearch(msgspec.Struct, frozen=True):
    """How far the search for duplicates has come."""

    running: Annotated[bool, Meta(description="Whether everybody is being looked at anew.")]
    people: Annotated[int, Meta(description="How many people the last or present look at everybody came to.")]
    searched_at: _When | None
    common_keys: Annotated[
        int, Meta(description="Things that too many people share to be compared by, such as an office's phone.")
    ]


_ONE: Final = "/v1/duplicates/{duplicate_id}"


def operations() -> tuple[Operation, ...]:
    """The list, and what is decided of a pair."""
    one: Any = {"tag": "Merges", "path_params": {"duplicate_id": ID}}
    writes: Any = {
        **one, "method": "POST", "scope": "people:write", "answers": {200: Duplicate}, "idempotency": "optional",
    }  # fmt: skip
    search: Any = {"path": "/v1/duplicates/search", "tag": "Merges"}
    return (
        Operation(
            id="listDuplicates", method="GET", path="/v1/duplicates", tag="Merges",
            summary="List people who may be one",
            description="Pairs of people, the likeliest first. `filter=state eq \"open\"` leaves those that nobody has "
            "decided of; `evidence eq \"email\"` those that share an address. A pair that nothing speaks for any more "
            "is gone. Nobody is ever merged by a score.",
            scope="people:read", handler=_list, query=RowsQuery, answers={200: Page[Duplicate]},
            problems=(BadCursor, FilterError),
        ),
        Operation(
            id="getDuplicateSearch", method="GET", summary="Get how far the search has come", scope="people:read",
            handler=_search, answers={200: DuplicateSearch}, **search,
        ),
        Operation(
            id="searchDuplicates", method="POST", summary="Look at everybody anew",
            description="The search looks by itself at whoever changed. This has it look at everybody, in the "
            "background.",
            scope="people:write", handler=_search_all, answers={202: DuplicateSearch}, idempotency="optional",
            **search,
        ),
        Operation(
            id="getDuplicate", method="GET", path=_ONE, summary="Get a pair", scope="people:read", handler=_get,
            answers={200: Duplicate}, problems=(NotFound,), **one,
        ),
        Operation(
            id="dismissDuplicate", path=f"{_ONE}/dismiss", summary="Say that two people are not one",
            description="It is kept for ever, with the reason. The pair comes back only if much more speaks for it "
            "than did.",
            handler=_dismiss, body=DismissInput, body_example={"reason": "Father and son."},
            problems=(WrongPairState, BadInput), **writes,
        ),
        Operation(
            id="reopenDuplicate", path=f"{_ONE}/reopen", summary="Take a dismissal back", handler=_reopen,
            problems=(WrongPairState,), **writes,
        ),
    )  # fmt: skip


async def _list(call: Call[RowsQuery, None]) -> Answer:
    ask = read_list(call, CATALOGUE, tuple(TABLE.sorts), default="-score")
    rows, after = await rows_of(call.tx, TABLE, ask)
    return page(call, ask, [_shown(pair_of(row)) for row in rows], after)


async def _get(call: Call[Any, None]) -> Answer:
    return Answer(content=_shown(await pair_by_id(call.tx, _pair_id(call))))


async def _dismiss(call: Call[Any, DismissInput]) -> Answer:
    return Answer(content=_shown(await dismiss(call.tx, _pair_id(call), call.body.reason)))


async def _reopen(call: Call[Any, None]) -> Answer:
    return Answer(content=_shown(await reopen(call.tx, _pair_id(call))))


async def _search(call: Call[Any, None]) -> Answer:
    found = await standing(call.tx)
    return Answer(content=DuplicateSearch(found.running, found.people, found.searched_at, found.common))


async def _search_all(call: Call[Any, None]) -> Answer:
    await ask_for_everybody(call.tx)
    answer = await _search(call)
    return Answer(202, answer.content)


def _pair_id(call: Call[Any, Any]) -> UUID:
    found = parse_id(call.path["duplicate_id"])
    if found is None:
        raise NotFound("There is no such pair in this tenant.", hint="The list of duplicates has those there are.")
    return found


def _shown(pair: ListedPair) -> Duplicate:
    dismissal = None
    if pair.dismissed_at is not None:
        dismissal = Dismissal(
            pair.dismissed_at, pair.dismissed_by, pair.dismissed_reason, pair.dismissed_score,
            list(pair.dismissed_evidence),
        )  # fmt: skip
    return Duplicate(
        pair.pair_id, pair.state, pair.score, list(pair.evidence), [_person(pair.a), _person(pair.b)], pair.merge_run,
        dismissal, pair.came_back_at, pair.found_at, pair.updated_at,
    )  # fmt: skip


def _person(half: Half) -> DuplicatePerson:
    return DuplicatePerson(half.person_id, half.name, half.email, half.employee_id)
