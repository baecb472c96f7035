"""/Users: one function for each method, each within the caller's transaction."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Final, assert_never

from stoa.db.transactions import Row
from stoa.identity.scim import wire
from stoa.identity.scim.dialects import normalised_patch, normalised_resource
from stoa.identity.scim.effort import Effort, effort_of
from stoa.identity.scim.errors import not_found
from stoa.identity.scim.groups import awaiting
from stoa.identity.scim.groups.wire import memberships
from stoa.identity.scim.http import (
    Answer,
    Call,
    Outcome,
    Request,
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
from stoa.kernel.ids import GroupId, ResourceId, parse_id
from stoa.people import actions, queries
from stoa.people.groups_queries import GROUPS_OF_RECORD, groups_of
from stoa.people.model import Asserted, Changed, Provisioned, Record, Refused, Unchanged, Written

# What a request has a record say. Raises ScimError.
Edit = Callable[[Record, Effort], Asserted]
Groups = Mapping[ResourceId, list[tuple[GroupId, str]]]

_UNKNOWN: Final = (
    "There is no user with this id: it was deleted, or another connection made it. Look for the user by userName, and "
    "create it if there is none."
)

# ------------------------------------------------------------------ reading


async def read(call: Call) -> Answer:
    """GET /Users/{id} (RFC 7644, 3.4.1). Inactive users are answered, deleted ones are not."""
    wanted = wanted_of(call.offered, call.request)
    record, grouped = await _record(call, lock=False)
    version = wire.version_of(record)
    if names_version(call.request.headers.get("if-none-match"), version):
        return Answer(HTTPStatus.NOT_MODIFIED, headers=(("etag", version),))
    return _one(call, HTTPStatus.OK, record, wanted, await _groups(call, record, wanted) if grouped else {})


async def search(call: Call) -> Answer:
    """GET /Users (RFC 7644, 3.4.2). Without another order, that in which users were first made."""
    return await searching.search(call, (listed(call.offered),))


async def search_by_post(call: Call) -> Answer:
    """POST /Users/.search (RFC 7644, 3.4.3): the query stands in the body."""
    return await search(from_body(call))


@dataclass(frozen=True, slots=True)
class _Found:
    """A user of a list, with the groups."""

    record: Record
    groups: list[tuple[GroupId, str]]


@lru_cache(maxsize=256)
def listed(offered: Offered) -> Listed[_Found]:
    """Users, as lists and searches see them in a tenant."""
    return Listed(
        kind=offered.users,
        catalogue=offered.catalogue,
        binding=offered.binding,
        sorts=offered.sorts,
        table="source_record r",
        columns=f"{queries.RECORD}, {GROUPS_OF_RECORD}",
        key="r.resource_id",
        having="r.tenant_id = $1 AND r.source_id = $2 AND r.present",
        made=_found,
        shown=_shown,
    )


def _found(row: Row) -> _Found:
    return _Found(queries.record_of(row), [(group_id, name) for group_id, name in row["groups"]])


async def _shown(call: Call, users: Sequence[_Found], wanted: Projection) -> list[Document]:
    """The users as they are asked for."""
    with_groups = wanted.includes("groups")
    return [
        _document(call, one.record, wanted, {one.record.resource_id: one.groups} if with_groups and one.groups else {})
        for one in users
    ]


def _document(call: Call, record: Record, wanted: Projection, groups: Groups) -> Document:
    document = wire.rendered(record, f"{call.base_url}/Users")
    if record.resource_id in groups:
        document["groups"] = memberships(groups[record.resource_id], call.base_url)
    return projected(document, wanted)


# ------------------------------------------------------------------ writing


async def create(call: Call) -> Answer:
    """POST /Users (RFC 7644, 3.3). A user who is inactive or deleted and bears the same externalId or userName comes
    back under the old id.

    That too is answered 201: Okta and Entra take it as the end of an assignment, and read the id from the body.
    """
    wanted_of(call.offered, call.request)
    asserted = asserted_by(call.offered, json_of(call.request))
    await awaiting.before_users(call)
    made = await actions.provision(call.tx, call.source_id, asserted)
    match made:
        case Provisioned():
            return await provisioned(call, made)
        case Refused():
            return _refused(made)
        case _:
            assert_never(made)


def asserted_by(offered: Offered, body: object) -> Asserted:
    """What the body of a POST says of a person. Raises ScimError."""
    kind = offered.users
    return wire.asserted(created(kind, normalised_resource(kind, body)), active=True)


async def provisioned(call: Call, made: Provisioned) -> Answer:
    """The answer to the POST of a user who is there now, and in the groups that awaited them."""
    record = made.record
    arrived = await awaiting.arrived(call, record)
    headers = (("location", f"{call.base_url}/Users/{record.resource_id}"),)
    wanted = wanted_of(call.offered, call.request)
    # A new record is in no group else.
    groups: Groups = await _groups(call, record, wanted) if made.revived or arrived else {}
    word = Word.REVIVED if made.revived else Word.LINKED if made.linked else Word.CREATED
    answer = _one(call, HTTPStatus.CREATED, record, wanted, groups, headers)
    return _told(answer, record, word, made.rule, made.written)


async def replace(call: Call) -> Answer:
    """PUT /Users/{id} (RFC 7644, 3.5.1)."""
    return await _edited(call, replacing(call.offered, call.request))


async def patch(call: Call) -> Answer:
    """PATCH /Users/{id} (RFC 7644, 3.5.2): all operations or none. The resource is returned."""
    return await _edited(call, patching(call.offered, call.request))


def replacing(offered: Offered, request: Request) -> Edit:
    """What a PUT has a user's record say. Raises ScimError, at once or of the record."""
    kind = offered.users
    body = normalised_resource(kind, json_of(request))

    def edited(record: Record, effort: Effort) -> Asserted:
        del effort
        after = replaced(kind, respelt(kind, wire.document_of(record)), body)
        return wire.asserted(after, active=record.asserted_active)

    return edited


def patching(offered: Offered, request: Request) -> Edit:
    """What a PATCH has a user's record say. Raises ScimError, at once or of the record."""
    kind = offered.users
    operations = normalised_patch(kind, json_of(request))

    def edited(record: Record, effort: Effort) -> Asserted:
        standing = respelt(kind, wire.document_of(record))
        effort.spend(effort_of(standing, operations))
        return wire.asserted(patched(kind, standing, operations), active=record.asserted_active)

    return edited


async def _edited(call: Call, edit: Edit) -> Answer:
    wanted = wanted_of(call.offered, call.request)
    await awaiting.before_users(call)
    record, grouped = await _record(call, lock=True)
    outcome = await actions.assert_record(call.tx, record, edit(record, call.effort))
    if isinstance(outcome, Refused):
        return _refused(outcome)
    arrived = await awaiting.arrived(call, outcome.record, record)
    return changed(call, outcome, await _groups(call, record, wanted) if grouped or arrived else {})


def changed(call: Call, outcome: Changed | Unchanged, groups: Groups) -> Answer:
    """The answer to a PUT or a PATCH. groups: those of the user, if the answer is to have them."""
    answer = _one(call, HTTPStatus.OK, outcome.record, wanted_of(call.offered, call.request), groups)
    return _changed(answer, outcome, Word.UPDATED)


async def delete(call: Call) -> Answer:
    """DELETE /Users/{id} (RFC 7644, 3.6): access ends, history stays, and the id is 404 until a POST brings the user
    back.
    """
    record, _ = await _record(call, lock=True)
    outcome = await actions.remove_record(call.tx, record)
    return _changed(Answer(HTTPStatus.NO_CONTENT), outcome, Word.REMOVED)


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


def wanted_of(offered: Offered, request: Request) -> Projection:
    """What of a user the answer is to show. Raises ScimError."""
    return projection(offered.users, request.query.get("attributes"), request.query.get("excludedAttributes"))


async def _groups(call: Call, record: Record, wanted: Projection) -> Groups:
    return await groups_of(call.tx, [record.resource_id]) if wanted.includes("groups") else {}


def _one(
    call: Call,
    status: int,
    record: Record,
    wanted: Projection,
    groups: Groups,
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    document = _document(call, record, wanted, groups)
    return json_answer(status, document, (("etag", wire.version_of(record)), *headers))


def _refused(refused: Refused) -> Answer:
    """409, of which an alert tells."""
    return dataclasses.replace(refused_answer(refused), refused=refused)
