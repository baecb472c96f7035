"""/Groups: one function for each method, each within the caller's transaction.

Members are read only where they are asked for, and changed by themselves (`groups_patch`).
"""

import dataclasses
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, assert_never

from stoa.identity.scim.answering.model import GroupPatch
from stoa.identity.scim.dialects import normalised_operations, normalised_resource, operations_of
from stoa.identity.scim.effort import effort_of
from stoa.identity.scim.errors import ScimType, bad, not_found
from stoa.identity.scim.groups import awaiting, wire
from stoa.identity.scim.groups.catalogue import BINDING, CATALOGUE, SORTS
from stoa.identity.scim.groups.patch import memberships, split_members, split_operations
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
from stoa.identity.scim.projection import Projection, projected, projection
from stoa.identity.scim.rules import created, patched, replaced
from stoa.identity.scim.schemas import GROUPS
from stoa.kernel.ids import GroupId, parse_id
from stoa.people import groups_actions as actions
from stoa.people import groups_queries as queries
from stoa.people.groups_awaited import awaited_of
from stoa.people.groups_model import (
    Group,
    GroupAsserted,
    GroupChanged,
    GroupMade,
    GroupOutcome,
    GroupUnchanged,
    Memberships,
    UnknownMembers,
)
from stoa.people.model import Refused, Written

# Memberships that the groups of one answer may have in all.
MOST_MEMBERS: Final = 200_000
_UNKNOWN: Final = (
    "There is no group with this id: it was deleted, or another connection made it. Look for the group by displayName, "
    "and create it if there is none."
)

# ------------------------------------------------------------------ reading


async def read(call: Call) -> Answer:
    """GET /Groups/{id} (RFC 7644, 3.4.1)."""
    wanted = _wanted(call)
    group = await _group(call, lock=False)
    version = wire.version_of(group)
    if names_version(call.request.headers.get("if-none-match"), version):
        return Answer(HTTPStatus.NOT_MODIFIED, headers=(("etag", version),))
    return await _one(call, HTTPStatus.OK, group, wanted)


async def search(call: Call) -> Answer:
    """GET /Groups (RFC 7644, 3.4.2). Without another order, that in which groups were first made."""
    return await searching.search(call, (LISTED,))


async def search_by_post(call: Call) -> Answer:
    """POST /Groups/.search (RFC 7644, 3.4.3): the query stands in the body."""
    return await search(from_body(call))


async def _shown(call: Call, groups: Sequence[Group], wanted: Projection) -> list[Document]:
    members: dict[GroupId, wire.Named] = {}
    with_members = wanted.includes("members")
    if with_members:
        if sum(group.member_count for group in groups) > MOST_MEMBERS:
            detail = (
                f"The groups of this page have more than {MOST_MEMBERS:,} members. Ask with excludedAttributes=members,"
                ' or with a smaller "count".'
            )
            raise bad(ScimType.TOO_MANY, detail)
        members = await _named(call, groups)
    names = wanted.requests("members", "display")
    documents = [wire.rendered(group, members.get(group.group_id), call.base_url, names=names) for group in groups]
    return [projected(document, wanted) for document in documents]


async def _named(call: Call, groups: Sequence[Group]) -> dict[GroupId, wire.Named]:
    """Whom groups have as members, and whom they await."""
    here = await queries.members_of(call.tx, [group.group_id for group in groups if group.member_count])
    awaited = await awaited_of(call.tx, [group.group_id for group in groups if group.awaited_count])
    return {group.group_id: (here.get(group.group_id, ()), awaited.get(group.group_id, ())) for group in groups}


LISTED: Final[Listed[Group]] = Listed(
    kind=GROUPS,
    catalogue=CATALOGUE,
    binding=BINDING,
    sorts=SORTS,
    table="person_group g",
    columns=queries.GROUP,
    key="g.group_id",
    having="g.tenant_id = $1 AND g.source_id = $2 AND g.present",
    made=queries.group_of,
    shown=_shown,
)


# ------------------------------------------------------------------ writing


async def create(call: Call) -> Answer:
    """POST /Groups (RFC 7644, 3.3). A group that was deleted and had the same externalId or name comes back under the
    old id.
    """
    wanted = _wanted(call)
    body, members = split_members(json_of(call.request))
    document = created(GROUPS, normalised_resource(GROUPS, body))
    await awaiting.before_groups(call)
    members, awaits = await awaiting.understood_all(call, members), awaiting.awaits(call)
    made = await actions.make_group(call.tx, call.source_id, wire.asserted(document), members, awaits=awaits)
    match made:
        case GroupMade(group):
            location = f"{call.base_url}/Groups/{group.group_id}"
            answer = await _one(call, HTTPStatus.CREATED, group, wanted, (("location", location),))
            word = Word.HELD if made.held is not None else Word.REVIVED if made.revived else Word.CREATED
            reason = str(made.held) if made.held is not None else ""
            return _told(answer, group, word, reason, made.written)
        case UnknownMembers():
            raise wire.refused_members(made)
        case Refused():
            return refused_answer(made)
        case _:
            assert_never(made)


async def replace(call: Call) -> Answer:
    """PUT /Groups/{id} (RFC 7644, 3.5.1). Members that it does not speak of stay."""
    wanted = _wanted(call)
    body, members = split_members(json_of(call.request))
    plain = normalised_resource(GROUPS, body)
    await awaiting.before_groups(call)
    group = await _group(call, lock=True)
    asserted = wire.asserted(replaced(GROUPS, wire.document_of(group), plain))
    outcome = await _change(call, group, asserted, await awaiting.understood_all(call, members))
    if isinstance(outcome, Refused):
        return refused_answer(outcome)
    return _changed(await _one(call, HTTPStatus.OK, outcome.group, wanted), outcome)


async def patch(call: Call) -> Answer:
    """PATCH /Groups/{id} (RFC 7644, 3.5.2): all operations or none.

    It is answered 204, so that nobody waits for ten thousand members to be written out, unless the tenant has chosen
    otherwise for the source; who names `attributes` is given them, as the RFC has it.
    """
    wanted = _wanted(call)
    rest, edits = split_operations(operations_of(json_of(call.request)))
    operations = normalised_operations(GROUPS, rest)
    await awaiting.before_groups(call)
    group = await _group(call, lock=True)
    asserted: GroupAsserted | None = None
    if operations:
        standing = wire.document_of(group)
        call.effort.spend(effort_of(standing, operations))
        asserted = wire.asserted(patched(GROUPS, standing, operations))

    async def elements() -> list[Document]:
        there = await _named(call, [group])
        return wire.members_shown(there[group.group_id], call.base_url, names=True)

    meant, came = await awaiting.understood(call, edits)
    members = awaiting.with_came(await memberships(meant, elements, call.effort), came)
    outcome = await _change(call, group, asserted, members)
    if isinstance(outcome, Refused):
        return refused_answer(outcome)
    if call.request.query.get("attributes") or _gives_back(call, outcome.group, wanted):
        return _changed(await _one(call, HTTPStatus.OK, outcome.group, wanted), outcome)
    etag = ("etag", wire.version_of(outcome.group))
    return _changed(Answer(HTTPStatus.NO_CONTENT, headers=(etag,)), outcome)


async def delete(call: Call) -> Answer:
    """DELETE /Groups/{id} (RFC 7644, 3.6): its members are in it no longer, and the id is 404 until a POST brings it
    back.
    """
    await awaiting.before_groups(call)
    group = await _group(call, lock=True)
    outcome = await actions.remove_group(call.tx, group)
    return _changed(Answer(HTTPStatus.NO_CONTENT), outcome, Word.REMOVED)


async def _change(
    call: Call, group: Group, asserted: GroupAsserted | None, members: Memberships | None
) -> GroupChanged | GroupUnchanged | Refused:
    awaits = awaiting.awaits(call)
    outcome: GroupOutcome = await actions.change_group(call.tx, group, asserted, members, awaits=awaits)
    if isinstance(outcome, UnknownMembers):
        raise wire.refused_members(outcome)
    return outcome


def _gives_back(call: Call, group: Group, wanted: Projection) -> bool:
    """Whether a PATCH is answered with the group. One of more members than an answer holds is not."""
    chosen = call.offered.answering_of(call.source_id).group_patch
    return chosen is GroupPatch.GROUP and (group.member_count <= MOST_MEMBERS or not wanted.includes("members"))


def _changed(answer: Answer, outcome: GroupChanged | GroupUnchanged, word: Word = Word.UPDATED) -> Answer:
    match outcome:
        case GroupChanged(group):
            if outcome.held is not None:
                return _told(answer, group, Word.HELD, str(outcome.held), outcome.written)
            return _told(answer, group, word, outcome.reason, outcome.written)
        case GroupUnchanged(group):
            return _told(answer, group, Word.UNCHANGED, "", None)


def _told(answer: Answer, group: Group, word: Word, reason: str, written: Written | None) -> Answer:
    return dataclasses.replace(answer, outcome=Outcome(word, reason, group.group_id, None, written))


# ------------------------------------------------------------------ shared


async def _group(call: Call, *, lock: bool) -> Group:
    """The group that the path names. Raises ScimError: 404 for an unknown id, 412 for another version than If-Match."""
    group_id = parse_id(call.resource_id)
    group = None if group_id is None else await queries.group_by_id(call.tx, call.source_id, group_id, lock=lock)
    if group is None:
        raise not_found(_UNKNOWN)
    if lock:
        require_version(call.request, wire.version_of(group), "group")
    return group


def _wanted(call: Call) -> Projection:
    query = call.request.query
    return projection(GROUPS, query.get("attributes"), query.get("excludedAttributes"))


async def _one(
    call: Call, status: int, group: Group, wanted: Projection, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    (document,) = await _shown(call, [group], wanted)
    return json_answer(status, document, (("etag", wire.version_of(group)), *headers))
