"""/Users: one function for each method, each within the caller's transaction."""

import dataclasses
from http import HTTPStatus
from typing import Any, Final, assert_never

from stoa.identity.scim import wire
from stoa.identity.scim.catalogue import compiled, where_of
from stoa.identity.scim.dialects import normalised_patch, normalised_resource
from stoa.identity.scim.errors import ScimError, ScimType, error_body, invalid_syntax, invalid_value, not_found
from stoa.identity.scim.http import Answer, Call, Outcome, Word, json_answer, json_of, whole_number
from stoa.identity.scim.model import LIST_SCHEMA, Document
from stoa.identity.scim.projection import Projection, projected, projection
from stoa.identity.scim.rules import created, patched, replaced
from stoa.identity.scim.schemas import USERS
from stoa.identity.scim.validation import described, is_list, is_object
from stoa.kernel.filters import Sql, Typed
from stoa.kernel.ids import parse_id
from stoa.people import actions, queries
from stoa.people.model import Changed, Provisioned, Record, Refused, Unchanged, Written

MAX_RESULTS: Final = 200
DEFAULT_RESULTS: Final = 100
# Parameters $1 and $2 of a page of records are tenant and source.
_FIRST_PARAM: Final = 3
_SCAN_MILLISECONDS: Final = 5_000
_SEARCH_TEXTS: Final = ("filter", "sortBy", "sortOrder")


# ------------------------------------------------------------------ reading


async def read(call: Call) -> Answer:
    """GET /Users/{id} (RFC 7644, 3.4.1). Inactive users are answered, deleted ones are not."""
    wanted = _wanted(call)
    record = await _record(call, lock=False)
    version = wire.version_of(record)
    if _names(call.request.headers.get("if-none-match"), version):
        return Answer(HTTPStatus.NOT_MODIFIED, headers=(("etag", version),))
    return _one(call, HTTPStatus.OK, record, wanted)


async def search(call: Call) -> Answer:
    """GET /Users (RFC 7644, 3.4.2). The order is that in which users were first made. Nothing found is an empty list,
    never 404.
    """
    query = call.request.query
    text = query.get("filter")
    start = max(1, whole_number(query, "startIndex", 1))
    count = min(MAX_RESULTS, max(0, whole_number(query, "count", DEFAULT_RESULTS)))
    wanted = _wanted(call)
    typed = compiled(text) if text is not None and text.strip() else None
    records, total = await _page(call, typed, start - 1, count)
    users_url = f"{call.base_url}/Users"
    resources = [projected(wire.rendered(record, users_url), wanted) for record in records]
    return json_answer(
        HTTPStatus.OK,
        {
            "schemas": [LIST_SCHEMA],
            "totalResults": total,
            "startIndex": start,
            "itemsPerPage": len(resources),
            "Resources": resources,
        },
    )


async def _page(call: Call, typed: Typed | None, offset: int, count: int) -> tuple[list[Record], int]:
    """The records of a page, and how many the filter admits on all pages; counted only where the page does not tell."""
    tx, source_id = call.tx, call.source_id
    where: Sql | None = None if typed is None else where_of(typed, _FIRST_PARAM)
    if typed is not None and typed.needs_scan:
        await tx.execute(f"SET LOCAL statement_timeout = {_SCAN_MILLISECONDS}")
    records = await queries.records_page(tx, source_id, where, limit=count, offset=offset) if count else []
    if len(records) < count and (records or offset == 0):
        return records, offset + len(records)
    return records, await queries.count_records(tx, source_id, where)


async def search_by_post(call: Call) -> Answer:
    """POST /.search (RFC 7644, 3.4.3): the query stands in the body. Users are all there is to search."""
    body = json_of(call.request)
    if not is_object(body):
        raise invalid_syntax(f"The body must be a JSON object with a SearchRequest, not {described(body)}.")
    query: dict[str, str] = {}
    for name, value in body.items():
        canonical = _SEARCH_FIELDS.get(name.lower())
        if canonical is None:
            raise invalid_syntax(f"Unknown attribute {name[:60]!a} in the search request.")
        if value is not None and canonical != "schemas":
            query[canonical] = _search_text(canonical, value)
    asked = call.request
    request = type(asked)(asked.method, asked.path, query, asked.headers, b"")
    return await search(Call(call.tx, call.credential, call.source_id, request, "", call.base_url))


_SEARCH_FIELDS: Final = {
    name.lower(): name
    for name in ("schemas", "attributes", "excludedAttributes", "startIndex", "count", *_SEARCH_TEXTS)
}


def _search_text(name: str, value: Any) -> str:
    """A member of a search request as the query parameter that it stands for."""
    if name in _SEARCH_TEXTS and isinstance(value, str):
        return value
    if name in {"startIndex", "count"} and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name in {"attributes", "excludedAttributes"} and is_list(value) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    raise invalid_value(f'"{name}" cannot be {described(value)}.')


# ------------------------------------------------------------------ writing


async def create(call: Call) -> Answer:
    """POST /Users (RFC 7644, 3.3). A user who is inactive or deleted and bears the same externalId or userName comes
    back under the old id.

    That too is answered 201: Okta and Entra take it as the end of an assignment, and read the id from the body.
    """
    wanted = _wanted(call)
    document = created(USERS, normalised_resource(USERS, json_of(call.request)))
    made = await actions.provision(call.tx, call.source_id, wire.asserted(document, active=True))
    match made:
        case Provisioned(record):
            location = f"{call.base_url}/Users/{record.resource_id}"
            answer = _one(call, HTTPStatus.CREATED, record, wanted, (("location", location),))
            word = Word.REVIVED if made.revived else Word.LINKED if made.linked else Word.CREATED
            return _told(answer, record, word, made.rule, made.written)
        case Refused():
            return _refused(made)
        case _:
            assert_never(made)


async def replace(call: Call) -> Answer:
    """PUT /Users/{id} (RFC 7644, 3.5.1)."""
    wanted = _wanted(call)
    body = normalised_resource(USERS, json_of(call.request))
    record = await _record(call, lock=True)
    return await _assert(call, record, replaced(USERS, wire.document_of(record), body), wanted)


async def patch(call: Call) -> Answer:
    """PATCH /Users/{id} (RFC 7644, 3.5.2): all operations or none. The resource is returned."""
    wanted = _wanted(call)
    operations = normalised_patch(USERS, json_of(call.request))
    record = await _record(call, lock=True)
    return await _assert(call, record, patched(USERS, wire.document_of(record), operations), wanted)


async def delete(call: Call) -> Answer:
    """DELETE /Users/{id} (RFC 7644, 3.6): access ends, history stays, and the id is 404 until a POST brings the user
    back.
    """
    record = await _record(call, lock=True)
    outcome = await actions.remove_record(call.tx, record)
    return _changed(Answer(HTTPStatus.NO_CONTENT), outcome, Word.REMOVED)


async def _assert(call: Call, record: Record, document: Document, wanted: Projection) -> Answer:
    outcome = await actions.assert_record(call.tx, record, wire.asserted(document, active=record.asserted_active))
    match outcome:
        case Changed(now) | Unchanged(now):
            return _changed(_one(call, HTTPStatus.OK, now, wanted), outcome, Word.UPDATED)
        case Refused():
            return _refused(outcome)
        case _:
            assert_never(outcome)


def _changed(answer: Answer, outcome: Changed | Unchanged, word: Word) -> Answer:
    match outcome:
        case Changed(record):
            if outcome.held is not None:
                return _told(answer, record, Word.HELD, str(outcome.held), outcome.written)
            return _told(answer, record, word, outcome.reason, outcome.written)
        case Unchanged(record):
            return _told(answer, record, Word.UNCHANGED, "", None)


def _told(answer: Answer, record: Record, word: Word, reason: str, written: Written | None) -> Answer:
    return dataclasses.replace(answer, outcome=Outcome(word, reason, record.resource_id, record.person_id, written))


# ------------------------------------------------------------------ shared


async def _record(call: Call, *, lock: bool) -> Record:
    """The user that the path names. Raises ScimError: 404 for an unknown id, 412 for another version than If-Match."""
    resource_id = parse_id(call.resource_id)
    if resource_id is None:
        raise not_found("There is no user with this id.")
    record = await queries.record_by_resource(call.tx, call.source_id, resource_id, lock=lock)
    if record is None:
        raise not_found("There is no user with this id.")
    condition = call.request.headers.get("if-match")
    if lock and condition is not None and not _names(condition, wire.version_of(record)):
        raise ScimError(
            HTTPStatus.PRECONDITION_FAILED,
            f"The user has changed since: the version is now {wire.version_of(record)}.",
        )
    return record


def _names(condition: str | None, version: str) -> bool:
    """Whether an If-Match or If-None-Match names this version. Tags are compared weakly (RFC 9110, 8.8.3.2), for ours
    are weak.
    """
    if condition is None:
        return False
    tags = [tag.strip() for tag in condition.split(",")]
    return "*" in tags or any(tag.removeprefix("W/") == version.removeprefix("W/") for tag in tags)


def _wanted(call: Call) -> Projection:
    query = call.request.query
    return projection(USERS, query.get("attributes"), query.get("excludedAttributes"))


def _one(
    call: Call, status: int, record: Record, wanted: Projection, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    document = projected(wire.rendered(record, f"{call.base_url}/Users"), wanted)
    return json_answer(status, document, (("etag", wire.version_of(record)), *headers))


def _refused(refused: Refused) -> Answer:
    """409: returned, not raised, so that the resolver's decision is kept."""
    detail = f"{refused.detail} (rule {refused.rule})"
    body = error_body(HTTPStatus.CONFLICT, detail, ScimType.UNIQUENESS)
    return Answer(HTTPStatus.CONFLICT, body, refused=refused, outcome=Outcome(Word.REFUSED, refused.rule))
