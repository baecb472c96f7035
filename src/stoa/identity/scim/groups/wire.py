"""Between SCIM's group documents and `people`: what a document asserts, and how it is given back."""

from collections.abc import Sequence
from typing import Final

from stoa.identity.scim.errors import ScimError, ScimType, bad, invalid_value
from stoa.identity.scim.model import GROUP_SCHEMA, Document
from stoa.identity.scim.validation import is_urn
from stoa.identity.scim.wire import MAX_DOCUMENT_BYTES, MAX_KEY_BYTES, encoded_size, moment
from stoa.kernel.fold import fold
from stoa.kernel.ids import GroupId
from stoa.people.groups_awaited import MOST_AWAITED
from stoa.people.groups_model import Group, GroupAsserted, Member, UnknownMembers

_SHOWN: Final = 5
# A group's members as its source names them: users, and names of those who are not here yet.
Named = tuple[Sequence[Member], Sequence[str]]


def asserted(document: Document) -> GroupAsserted:
    """What a group's document, without its members, says. Raises ScimError for what is too long to be looked up."""
    external_id: str | None = document.get("externalId") or None
    for name, value in (("displayName", document["displayName"]), ("externalId", external_id or "")):
        length = len(fold(value).encode())
        if length > MAX_KEY_BYTES:
            raise invalid_value(f'"{name}" takes {length} bytes; at most {MAX_KEY_BYTES} are kept.')
    size = encoded_size(document)
    if size > MAX_DOCUMENT_BYTES:
        raise invalid_value(f"The group takes {size} bytes; at most {MAX_DOCUMENT_BYTES} are kept.")
    return GroupAsserted(document["displayName"], external_id, document)


def document_of(group: Group) -> Document:
    """What the client set, without the members."""
    return dict(group.raw or {"displayName": group.display_name})


def version_of(group: Group) -> str:
    """The weak entity tag of a group (RFC 7644, 3.14). Its members are part of it."""
    return f'W/"{group.version}"'


def rendered(group: Group, members: Named | None, base_url: str, *, names: bool = False) -> Document:
    """The resource as it is returned. members: None where they are not asked for.

    base_url: the tenant's SCIM address. names: whether members come with theirs.
    """
    document = document_of(group)
    identity = str(group.group_id)
    shown: Document = {
        "schemas": [GROUP_SCHEMA, *(name for name in document if is_urn(name))],
        "id": identity,
        **document,
    }
    if members is not None:
        shown["members"] = members_shown(members, base_url, names=names)
    shown["meta"] = {
        "resourceType": "Group",
        "created": moment(group.created_at),
        "lastModified": moment(group.updated_at),
        "location": f"{base_url}/Groups/{identity}",
        "version": version_of(group),
    }
    return shown


def members_shown(members: Named, base_url: str, *, names: bool = False) -> list[Document]:
    """Members as a group's resource has them. Their names are Stoa's, so they come on request alone: what a client adds
    is what it reads. Of those who are not here yet there is nothing but what was sent.
    """
    users_url = f"{base_url}/Users/"
    here, awaited = members
    shown = [_member(one, users_url, names=names) for one in here]
    return [*shown, *({"value": one} for one in awaited)] if awaited else shown


def _member(member: Member, users_url: str, *, names: bool) -> Document:
    identity = str(member.resource_id)
    shown: Document = {"value": identity, "$ref": users_url + identity, "type": "User"}
    if names and member.display is not None:
        shown["display"] = member.display
    return shown


def memberships(groups: Sequence[tuple[GroupId, str]], base_url: str) -> list[Document]:
    """The `groups` of a user (RFC 7643, 4.1.2), which only a change of the group can change."""
    return [
        {"value": str(group_id), "$ref": f"{base_url}/Groups/{group_id}", "display": name, "type": "direct"}
        for group_id, name in groups
    ]


# ------------------------------------------------------------------ who cannot be a member


def _no_such_member(names: Sequence[str]) -> ScimError:
    """The refusal of members who are no users of this client's. Whoever reads it learns where to have them awaited."""
    shown = ", ".join(f"{name[:60]!a}" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return invalid_value(
        f'"members" names who is no user of this connection: {shown}{more}. Nothing was changed. Provision the user '
        "first, then push the group again; or have an admin of the tenant choose in the console of Stoa, on the "
        "connection's page “Answers”, that members who are not here yet are awaited."
    )


def _too_many_awaited() -> ScimError:
    return invalid_value(
        f"More than {MOST_AWAITED:,} members of the group would be awaited who are no users of this connection. "
        "Nothing was changed. Provision the users first, then push the group again."
    )


def no_nesting(name: str) -> ScimError:
    """The refusal of a group as a member."""
    return bad(
        ScimType.INVALID_VALUE,
        f'"members" names a group: {name[:60]!a}. Only users can be members; nothing was changed. Assign or push the '
        "inner group by itself.",
    )


def refused_members(unknown: UnknownMembers) -> ScimError:
    """The refusal of what `people` did not know."""
    if unknown.groups:
        return no_nesting(str(min(unknown.groups)))
    if unknown.crowded:
        return _too_many_awaited()
    return _no_such_member([str(one) for one in unknown.ids])
