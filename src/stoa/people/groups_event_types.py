"""What happens to the groups that sources push, and who comes into them and goes out."""

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from stoa.events.catalogue import Body, EventType


class GroupValues(Body, frozen=True):
    """What a source says of a group itself. In `before` and `after` of a change: the fields that it touches."""

    display_name: Annotated[str | UnsetType, Meta(description="Its name, unique among the groups of its source.")] = (
        UNSET
    )
    scim_external_id: Annotated[
        str | UnsetType | None, Meta(description="The SCIM client's own id (RFC 7643, section 3.1).")
    ] = UNSET


class GroupChanged(Body, frozen=True):
    """A group before and after."""

    action: Annotated[str, Meta(description="`create`, `update` or `remove`.")]
    reason: Annotated[str, Meta(description="Why, as a word: `new_group`, `group_renamed`, `rollback`, ...")]
    run_id: Annotated[str, Meta(description="The run whose change it is.")]
    source_id: Annotated[str, Meta(description="The source that has the group.")]
    group_id: Annotated[str, Meta(description="The group's id: its SCIM id.")]
    before: Annotated[GroupValues | None, Meta(description="As it was; null for one that is new, or back.")]
    after: Annotated[GroupValues | None, Meta(description="As it is; null for one that is gone.")]


class Membership(Body, frozen=True):
    """In which group somebody is."""

    group_id: str
    display_name: Annotated[str, Meta(description="The group's name at the time.")]


class MembershipChanged(Body, frozen=True):
    """A person comes into a group, or goes out of it. Told when it takes effect: a change that an admin must approve is
    told when that was done. Whoever applies it twice has the same members.
    """

    action: Annotated[str, Meta(description="`create` or `remove`.")]
    reason: Annotated[str, Meta(description="`member_added`, `member_removed` or `rollback`.")]
    run_id: Annotated[str, Meta(description="The run whose change it is.")]
    source_id: Annotated[str, Meta(description="The source that has the group.")]
    group_id: Annotated[str, Meta(description="The group's id: its SCIM id.")]
    resource_id: Annotated[str, Meta(description="The id of the source's record of the person: the user's SCIM id.")]
    before: Annotated[Membership | None, Meta(description="Null for somebody who comes in.")]
    after: Annotated[Membership | None, Meta(description="Null for somebody who goes out.")]


class Awaited(Body, frozen=True):
    """Whom a group awaits."""

    group_id: str
    display_name: Annotated[str, Meta(description="The group's name at the time.")]
    awaited: Annotated[str, Meta(description="The name as its source sent it.")]


class AwaitedChanged(Body, frozen=True):
    """A group begins or ceases to await a member who is not here yet. Nobody is in the group by it."""

    action: Annotated[str, Meta(description="`create` or `remove`.")]
    reason: Annotated[str, Meta(description="`member_awaited`, `awaited_came`, `awaited_dropped` or `rollback`.")]
    run_id: Annotated[str, Meta(description="The run whose change it is.")]
    source_id: Annotated[str, Meta(description="The source that has the group.")]
    group_id: Annotated[str, Meta(description="The group's id: its SCIM id.")]
    before: Annotated[Awaited | None, Meta(description="Null where the waiting begins.")]
    after: Annotated[Awaited | None, Meta(description="Null where it ends.")]


_IDS: Final = {
    "run_id": "01980f5f-0c11-7d12-8b54-5a3d1c9e7f00",
    "source_id": "01980f5e-6f2a-7c3e-9a51-0d6f4b1c2a10",
    "group_id": "01980f62-9d1e-7f04-8a35-1b7c9e2d4f60",
}
_NAMED: Final = {"display_name": "Sales", "scim_external_id": "00g1abcd"}
_IN: Final = {"group_id": _IDS["group_id"], "display_name": "Sales"}


def _group(name: str, action: str, reason: str, summary: str, before: Any, after: Any) -> EventType:
    example = {"action": action, "reason": reason, **_IDS, "before": before, "after": after}
    return EventType(name=f"group.{name}", version=1, body=GroupChanged, summary=summary, example=example)


def _member(name: str, action: str, summary: str, before: Any, after: Any) -> EventType:
    example = {
        "action": action,
        "reason": name,
        **_IDS,
        "resource_id": "01980f60-2b7e-7a44-b0a9-77c2d5e8f101",
        "before": before,
        "after": after,
    }
    return EventType(
        name=f"group.{name}", version=1, body=MembershipChanged, summary=summary, example=example, personal=True
    )


def _awaited(name: str, action: str, reason: str, summary: str, before: Any, after: Any) -> EventType:
    example = {"action": action, "reason": reason, **_IDS, "before": before, "after": after}
    return EventType(
        name=f"group.{name}", version=1, body=AwaitedChanged, summary=summary, example=example, personal=True
    )


_AWAITS: Final = {**_IN, "awaited": "e7c1b2a0-4711"}

GROUP_EVENT_TYPES: Final[tuple[EventType, ...]] = (
    _group("created", "create", "new_group", "A source has a new group, or one that had gone is back.", None, _NAMED),
    _group(
        "updated", "update", "group_renamed", "A source says something else of a group; of its members see below.",
        {"display_name": "Sales"}, {"display_name": "Sales and Marketing"},
    ),
    _group("removed", "remove", "group_deleted", "A source has a group no longer.", _NAMED, None),
    _member("member_added", "create", "Somebody is in a group from now on.", None, _IN),
    _member("member_removed", "remove", "Somebody is in a group no longer.", _IN, None),
    _awaited(
        "member_awaited", "create", "member_awaited", "A source names a member who is not here yet.", None, _AWAITS
    ),
    _awaited(
        "member_not_awaited", "remove", "awaited_came", "A member who was not here came, or is named no longer.",
        _AWAITS, None,
    ),
)  # fmt: skip
