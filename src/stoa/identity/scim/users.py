"""/Users: one function for each method, each within the caller's transaction."""

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final, assert_never

from stoa.identity.scim import wire
from stoa.identity.scim.dialects import normalised_patch, normalised_resource
from stoa.identity.scim.effort import effort_of
from stoa.identity.scim.errors import not_found
from stoa.identity.scim.groups.wire import memberships
from stoa.identity.scim.http import (
    Answer,
    Call,
    Outcome,
    Word,
    json_answer,
    json_of,
    names_version,
    refused_answer,
    require_version,
)
from stoa.identity.scim.lists import searching
from stoa.identity.scim.lists.listed import Listed
from stoa.identity.scim.lists.searching import from_body
from stoa.identity.scim.model import Document
from stoa.identity.scim.own.keeping import respelt
from stoa.identity.scim.own.offered import Offered
from stoa.identity.scim.projection import Projection, projected, projection
from stoa.identity.scim.rules import created, patched, replaced
from stoa.kernel.ids import parse_id
from stoa.people import actions, queries
from stoa.people.groups_queries import groups_of
from stoa.people.model import Asserted, Changed, Provisioned, Record, Refused, Unchanged, Written

_UNKNOWN: Final = (
    "There is no user with this id: it was deleted, or another connection made it. Look for the user by userName, and "
    "create it if there is none."
)

# ------------------------------------------------------------------ reading


async def read(call: Call) -> Answer:
    """GET /Users/{id} (RFC 7644, 3.4.1). Inactive users are answered, deleted ones are not."""
    wanted = _wanted(call)
    record, grouped = await _record(call, lock=False)
    version = wire.version_of(record)
    if names_version(call.request.headers.get("if-none-match"), version):
        return Answer(HTTPStatus.NOT_MODIFIED, headers=(("etag", version),))
    return await _one(call, HTTPStatus.OK, record, wanted, grouped=grouped)


async def search(call: Call) -> Answer:
    """GET /Users (RFC 7644, 3.4.2). Without another order, that in which users were first made."""
    return await searching.search(call, (listed(call.offered),))


async def search_by_post(call: Call) -> Answer:
    """POST /Users/.search (RFC 7644, 3.4.3): the query stands in the body."""
    return await search(from_body(call))


@lru_cache(maxsize=256)
def listed(offered: Offered) -> Listed[Record]:
    """Users, as lists and searches see them in a tenant."""
    return Listed(
        kind=offered.users,
        catalogue=offered.catalogue,
        binding=offered.binding,
        sorts=offered.sorts,
        table="source_record r",
        columns=queries.RECORD,
        key="r.resource_id",
        having="r.tenant_id = $1 AND r.source_id = $2 AND r.present",
        made=queries.record_of,
        shown=_shown,
    )


async def _shown(call: Call, records: Sequence[Record], wanted: Projection) -> list[Document]:
    """The users as they are asked for. Their groups are read in one statement for all, where they are wanted."""
    users_url = f"{call.base_url}/Users"
    documents = [wire.rendered(record, users_url) for record in records]
    if records and wanted.includes("groups"):
        groups = await groups_of(call.tx, [record.resource_id for record in records])
        for record, document in zip(records, documents, strict=True):
            if record.resource_id in groups:
                document["groups"] = memberships(groups[record.resource_id], call.base_url)
    return [projected(document, wanted) for document in documents]


# ------------------------------------------------------------------ writing


async def create(call: Call) -> Answer:
    """POST /Users (RFC 7644, 3.3). A user who is inactive or deleted and bears the same externalId or userName comes
    back under the old id.

    That too is answered 201: Okta and Entra take it as the end of an assignment, and read the id from the body.
    """
    _wanted(call)
    made = await actions.provision(call.tx, call.source_id, asserted_by(call, json_of(call.request)))
    match made:
        case Provisioned():
            return await provisioned(call, made)
        case Refused():
            return _refused(made)
        case _:
            assert_never(made)


def asserted_by(call: Call, body: object) -> Asserted:
    """What the body of a POST says of a person. Raises ScimError."""
    kind = call.offered.users
    return wire.asserted(created(kind, normalised_resource(kind, body)), active=True)


async def provisioned(call: Call, made: Provisioned) -> Answer:
    """The answer to the POST of a user who is there now."""
    record = made.record
    headers = (("location", f"{call.base_url}/Users/{record.resource_id}"),)
    answer = await _one(call, HTTPStatus.CREATED, record, _wanted(call), headers, grouped=made.revived)
    word = Word.REVIVED if made.revived else Word.LINKED if made.linked else Word.CREATED
    return _told(answer, record, word, made.rule, made.written)


async def replace(call: Call) -> Answer:
    """PUT /Users/{id} (RFC 7644, 3.5.1)."""
    wanted = _wanted(call)
    kind = call.offered.users
    body = normalised_resource(kind, json_of(call.request))
    record, grouped = await _record(call, lock=True)
    after = replaced(kind, respelt(kind, wire.document_of(record)), body)
    return await _assert(call, record, after, wanted, grouped=grouped)


async def patch(call: Call) -> Answer:
    """PATCH /Users/{id} (RFC 7644, 3.5.2): all operations or none. The resource is returned."""
    wanted = _wanted(call)
    kind = call.offered.users
    operations = normalised_patch(kind, json_of(call.request))
    record, grouped = await _record(call, lock=True)
    standing = respelt(kind, wire.document_of(record))
    call.effort.spend(effort_of(standing, operations))
    return await _assert(call, record, patched(kind, standing, operations), wanted, grouped=grouped)


async def delete(call: Call) -> Answer:
    """DELETE /Users/{id} (RFC 7644, 3.6): access ends, history stays, and the id is 404 until a POST brings the user
    back.
    """
    record, _ = await _record(call, lock=True)
    outcome = await actions.remove_record(call.tx, record)
    return _changed(Answer(HTTPStatus.NO_CONTENT), outcome, Word.REMOVED)


async def _assert(call: Call, record: Record, document: Document, wanted: Projection, *, grouped: bool) -> Answer:
    outcome = await actions.assert_record(call.tx, record, wire.asserted(document, active=record.asserted_active))
    match outcome:
        case Changed(now) | Unchanged(now):
            answer = await _one(call, HTTPStatus.OK, now, wanted, grouped=grouped)
            return _changed(answer, outcome, Word.UPDATED)
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


async def _record(call: Call, *, lock: bool) -> tuple[Record, bool]:
    """The user that the path names, and whether they are in any group.

    Raises ScimError: 404 for an unknown id, 412 for another version than If-Match.
    """
    resource_id = parse_id(call.resource_id)
    if resource_id is None:
        raise not_found(_UNKNOWN)
    found = await queries.record_and_grouped(call.tx, call.source_id, resource_id, lock=lock)
    if found is None:
        raise not_found(_UNKNOWN)
    record, _ = found
    if lock:
        require_version(call.request, wire.version_of(record), "user")
    return found


def _wanted(call: Call) -> Projection:
    query = call.request.query
    return projection(call.offered.users, query.get("attributes"), query.get("excludedAttributes"))


async def _one(
    call: Call,
    status: int,
    record: Record,
    wanted: Projection,
    headers: tuple[tuple[str, str], ...] = (),
    *,
    grouped: bool,
) -> Answer:
    if not grouped:
        document = projected(wire.rendered(record, f"{call.base_url}/Users"), wanted)
    else:
        (document,) = await _shown(call, [record], wanted)
    return json_answer(status, document, (("etag", wire.version_of(record)), *headers))


def _refused(refused: Refused) -> Answer:
    """409, of which an alert tells."""
    return dataclasses.replace(refused_answer(refused), refused=refused)
