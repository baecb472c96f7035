"""Changes of records, and what became of people for them, as events. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from stoa.db.transactions import Row
from stoa.events.model import Event
from stoa.kernel.ids import RunId

# What happened to a record, in the event's type: `person_record.created`.
_HAPPENED: Final = {
    "create": "created",
    "link": "linked",
    "update": "updated",
    "deactivate": "deactivated",
    "reactivate": "reactivated",
    "remove": "removed",
}
# Columns of the store that mean nothing outside it; as do the folded copies, whose names end in _KEY.
_INTERNAL: Final = frozenset({"row_hash", "raw"})
_KEY: Final = "_key"
_GROUP: Final = "group"
_AWAITED: Final = "awaited:"
# What a record says that is no value of the person.
_MERGED_INTO: Final = "merged_into"
_OF_RECORD: Final = frozenset({"present", "asserted_active", "manager_ref", "scim_external_id"})


def event_of(row: Mapping[str, Any] | Row, run_id: RunId) -> Event:
    """The event of one change of a run, or, where `effect` is true, of what became of a person for it.

    row: has target, person_id, before and after; of a change also action, reason, subject, source_id, resource_id; of
        an effect version, and of a new person's made: what their record says.
    """
    return _effect(row) if row["effect"] else _change(row, run_id)


def _change(row: Mapping[str, Any] | Row, run_id: RunId) -> Event:
    if row["target"] == _GROUP:
        return _of_group(row, run_id)
    body = {
        "action": row["action"],
        "reason": row["reason"],
        "run_id": str(run_id),
        "source_id": str(row["source_id"]),
        "external_id": row["subject"],
        "resource_id": str(row["resource_id"]),
        "before": outside(row["before"]),
        "after": outside(row["after"]),
    }
    type_ = f"{row['target']}_record.{_HAPPENED[row['action']]}"
    return Event(type_, subject=str(row["person_id"]), body=body)


def _of_group(row: Mapping[str, Any] | Row, run_id: RunId) -> Event:
    """A change of a group itself, of a membership, whose subject is `group/record`, or of somebody who is not here yet:
    `group/awaited:name`.
    """
    group_id, _, record = row["subject"].partition("/")
    action: str = row["action"]
    before, after = outside(row["before"]), outside(row["after"])
    body: dict[str, Any] = {
        "action": action,
        "reason": row["reason"],
        "run_id": str(run_id),
        "source_id": str(row["source_id"]),
        "group_id": group_id,
    }
    if record.startswith(_AWAITED):
        type_ = "group.member_awaited" if action == "create" else "group.member_not_awaited"
        return Event(type_, f"group:{group_id}", body | {"before": before, "after": after})
    if record:
        type_ = "group.member_added" if action == "create" else "group.member_removed"
        return Event(type_, str(row["person_id"]), body | {"resource_id": record, "before": before, "after": after})
    # A group that goes leaves its row behind, and may come back to it.
    before = None if before is None or action == "create" else _without_state(before)
    after = None if after is None or action == "remove" else _without_state(after)
    return Event(f"group.{_HAPPENED[action]}", f"group:{group_id}", body | {"before": before, "after": after})


def _without_state(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "present"}


def _effect(row: Mapping[str, Any] | Row) -> Event:
    before: dict[str, Any] | None = row["before"]
    after: dict[str, Any] | None = row["after"]
    linked: dict[str, Any] | None = None
    if after is not None and _MERGED_INTO in after:
        # A person who is part of another from now on: gone, for whoever keeps a copy.
        what, after, linked = "merged", None, {_MERGED_INTO: after[_MERGED_INTO]}
    elif before is not None and _MERGED_INTO in before:
        what, before, linked = "split", None, {"split_from": before[_MERGED_INTO]}
    else:
        if before is None:
            after = {**_of_person(row["made"] or {}), **(after or {})}
        what = _what(before, after)
    body = {"before": before, "after": after, "version": row["version"], **(linked or {})}
    return Event(f"{row['target']}.{what}", subject=str(row["person_id"]), body=body)


def _what(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    if before is None:
        return "created"
    if after is None:
        return "removed"
    if "active" not in after:
        return "updated"
    return "reactivated" if after["active"] else "deactivated"


def _of_person(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in record.items()
        if value is not None and is_outside(name) and name not in _OF_RECORD
    }


def is_outside(name: str) -> bool:
    """Whether a member of a change's before and after means something outside the store."""
    return name not in _INTERNAL and not name.endswith(_KEY)


def outside(doc: dict[str, Any] | None) -> dict[str, Any] | None:
    """A change's before or after without the columns that mean nothing outside of the store."""
    return None if doc is None else {name: value for name, value in doc.items() if is_outside(name)}
