"""Members who are not here yet, of sources that have them awaited (docs/adr/0027): whom a name means, and what becomes
of the groups when a user comes. Of other sources, nothing here asks the database anything.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from stoa.identity.scim.groups.patch import Edit
from stoa.identity.scim.http import Call
from stoa.identity.scim.model import Verb
from stoa.people.groups_admitting import admit
from stoa.people.groups_awaited import LONGEST_NAME, lock_awaited, users_bearing
from stoa.people.groups_model import MemberName, Memberships, Replaced
from stoa.people.model import Record


def awaits(call: Call) -> bool:
    """Whether members who are not here yet are awaited."""
    return call.offered.answering_of(call.source_id).awaits


async def before_users(call: Call) -> None:
    """Taken before a user is locked or made."""
    if awaits(call):
        await lock_awaited(call.tx, call.source_id, alone=False)


async def before_groups(call: Call) -> None:
    """Taken before a group is locked or made."""
    if awaits(call):
        await lock_awaited(call.tx, call.source_id, alone=True)


async def arrived(call: Call, record: Record, before: Record | None = None) -> bool:
    """Whether a user came into groups that await them. before: the user before the request; None for one that was made
    or is back.
    """
    if not awaits(call) or (before is not None and before.scim_external_id == record.scim_external_id):
        return False
    return await admit(call.tx, call.source_id, record) > 0


# ------------------------------------------------------------------ whom a name means


async def understood(call: Call, edits: Sequence[Edit]) -> tuple[list[Edit], frozenset[MemberName]]:
    """The operations with users in place of the external ids that they bear, and the names that were replaced so. What
    is taken away is taken away under both.
    """
    bearing = await _bearing(call, edits) if awaits(call) else {}
    if not bearing:
        return list(edits), frozenset()
    return [_understood(edit, bearing) for edit in edits], frozenset(bearing)


async def understood_all(call: Call, members: Replaced | None) -> Replaced | None:
    """As `understood`, of members that take the place of all."""
    if members is None:
        return None
    (edit,), came = await understood(call, [Edit(0, Verb.REPLACE, members.ids, spelt=members.spelt)])
    return replace(members, ids=edit.ids or frozenset(), came=came)


def with_came(members: Memberships | None, came: frozenset[MemberName]) -> Memberships | None:
    """The memberships with the names under which nobody needs to be awaited any more."""
    return members if members is None or not came else replace(members, came=came)


async def _bearing(call: Call, edits: Sequence[Edit]) -> dict[MemberName, UUID]:
    names: dict[MemberName, str] = {}
    for edit in edits:
        for name in edit.ids or ():
            text = edit.spelt.get(name, str(name)) if isinstance(name, UUID) else name
            if len(text) <= LONGEST_NAME and "\0" not in text:
                names[name] = text
    return await users_bearing(call.tx, call.source_id, names)


def _understood(edit: Edit, bearing: dict[MemberName, UUID]) -> Edit:
    if edit.ids is None:
        return edit
    meant = frozenset(bearing.get(name, name) for name in edit.ids)
    return replace(edit, ids=meant | edit.ids if edit.verb is Verb.REMOVE else meant)
