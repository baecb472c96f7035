"""Many changes of people at once, each in a savepoint of its own: a bad item harms no other."""

from datetime import timedelta
from typing import Any, Final, assert_never, cast
from uuid import UUID

import msgspec
import structlog
from msgspec import UNSET

from stoa.api.errors import BadBody, InternalError
from stoa.api.problems import problem_members
from stoa.api.reading import refuse_nul, refused_body
from stoa.db.errors import COLLISION, TROUBLE, UNAVAILABLE, TookTooLong, UniqueViolation
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import SourceId
from stoa.kernel.problems import Conflict, Problem
from stoa.people.model import Refused
from stoa.people.routes import person_id_of
from stoa.people.wire_write import BulkItem, ItemResult, PersonInput
from stoa.people.writing import Written, change, create, refusal, remove, replace_by_external_id

_LONGEST_NAME: Final = 1_000
_TICK: Final = timedelta(microseconds=1)
_read = msgspec.json.Decoder(BulkItem).decode
_log: Final = structlog.get_logger("stoa.people")
_FELL_OUT: Final = (*UNAVAILABLE, *COLLISION, TookTooLong)


async def do_item(tx: TenantTx, source_id: SourceId, index: int, raw: msgspec.Raw, base_url: str) -> ItemResult:
    """Does one piece of work, and tells what came of it. base_url: see `api.problems.problem_document`.

    Raises what ends the whole transaction: the database is away, or had to choose between two transactions.
    """
    # A moment of its own, as by itself: who was touched last is told by it.
    tx.now += _TICK
    try:
        item = _item(raw)
        async with tx.savepoint():
            done = await _done(tx, source_id, item)
    except Problem as problem:
        return _refused(index, raw, problem, base_url)
    except UniqueViolation:
        return _refused(index, raw, Conflict("Another request has just made the same."), base_url)
    except _FELL_OUT:
        raise
    except TROUBLE as error:
        _log.exception("item_failed", index=index, error=type(error).__name__)
        return _refused(index, raw, InternalError("The server failed at this item."), base_url)
    if isinstance(done, Refused):
        return _refused(index, raw, refusal(done), base_url)
    return _told(index, item, done)


def _item(raw: msgspec.Raw) -> BulkItem:
    """The item, if it says all that its action needs and nothing that it does not take. Raises BadBody."""
    try:
        item = _read(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refused_body(error) from None
    refuse_nul(bytes(raw))
    takes_person = item.action != "remove"
    if takes_person != (item.person is not None):
        raise BadBody(f"{item.action}: person is {'missing' if takes_person else 'not taken'}.", field="person")
    match item.action:
        case "create" | "upsert":
            if item.id is not None:
                raise BadBody(f"{item.action}: id is not taken.", field="id")
            if item.action == "upsert" and item.external_id is None:
                raise BadBody("upsert: external_id is missing.", field="external_id")
            _check_one_external_id(item)
        case "update" | "remove":
            if (item.id is None) == (item.external_id is None):
                raise BadBody(f"{item.action}: it takes id or external_id, one of the two.", field="id")
        case _:
            assert_never(item.action)
    return item


def _check_one_external_id(item: BulkItem) -> None:
    own = None if item.person is None else item.person.external_id
    if item.external_id is not None and own is not UNSET and own != item.external_id:
        raise BadBody("The item and its person name two external ids.", field="person.external_id")


async def _done(tx: TenantTx, source_id: SourceId, item: BulkItem) -> Written | Refused | UUID:
    person = item.person or PersonInput()
    match item.action:
        case "create":
            if item.external_id is not None:
                person = msgspec.structs.replace(person, external_id=item.external_id)
            return await create(tx, source_id, person)
        case "upsert":
            assert item.external_id is not None
            return await replace_by_external_id(tx, source_id, item.external_id, person, _any)
        case "update":
            return await change(tx, source_id, await person_id_of(tx, _whom(source_id, item)), person, _any)
        case "remove":
            return await remove(tx, source_id, await person_id_of(tx, _whom(source_id, item)), _any)
        case _:
            assert_never(item.action)


def _whom(source_id: SourceId, item: BulkItem) -> str:
    return item.id or f"external:{source_id}:{item.external_id}"


def _any(_: int) -> None:
    """Any version will do."""


_STATUS: Final = {"create": 201, "update": 200, "remove": 204}


def _told(index: int, item: BulkItem, done: Written | UUID) -> ItemResult:
    if isinstance(done, UUID):
        return ItemResult(index=index, status=204, action=item.action, id=done, external_id=item.external_id)
    status = (201 if done.made else 200) if item.action == "upsert" else _STATUS[item.action]
    return ItemResult(
        index=index,
        status=status,
        action=item.action,
        id=done.record.person_id,
        external_id=done.record.scim_external_id,
        resolution=done.resolution,
    )


def _refused(index: int, raw: msgspec.Raw, problem: Problem, base_url: str) -> ItemResult:
    action, external_id = _named(raw)
    return ItemResult(
        index=index,
        status=problem.status,
        action=action,
        external_id=external_id,
        problem=problem_members(problem, base_url=base_url),
    )


class _Named(msgspec.Struct):
    action: Any = None
    external_id: Any = None
    person: Any = None


_read_names: Final = msgspec.json.Decoder(_Named).decode


def _named(raw: msgspec.Raw) -> tuple[str | None, str | None]:
    """The action and the external id of an item, whatever is wrong with it, as far as they can be read."""
    try:
        item = _read_names(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    person: Any = item.person
    own = cast("dict[str, Any]", person).get("external_id") if isinstance(person, dict) else None
    return _short(item.action), _short(item.external_id) or _short(own)


def _short(value: Any) -> str | None:
    fits = isinstance(value, str) and len(value) <= _LONGEST_NAME and "\x00" not in value
    return value if fits else None
