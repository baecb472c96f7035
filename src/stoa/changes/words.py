"""The codes of runs and changes as sentences, in one place: what a visitor reads of them comes from here alone.

A code that is not here yet is shown as it is spelt, so that a new one is plain instead of missing.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from stoa.changes.model import Action, RunKind, RunState

Gettext = Callable[[str], str]


def N_(message: str) -> str:  # noqa: N802 - the name by which Babel finds texts that are translated later
    """Marks a text that is translated where it is used."""
    return message


# What a change says it is made for.
REASONS: Final[Mapping[str, str]] = {
    "nobody_matches": N_("Nobody with these identifiers is known"),
    "same_employee_id": N_("Same employee id as somebody known"),
    "same_proven_email": N_("Same e-mail address as somebody known, in a proven domain"),
    "claimed_by_user_name": N_("Same user name as somebody of another source, by a rule of this one"),
    "claimed_by_external_id": N_("Same external id as somebody of another source, by a rule of this one"),
    "claimed_by_email": N_("Same e-mail address as somebody of another source, by a rule of this one"),
    "decided_by_admin": N_("An admin decided who it is"),
    "decided_new": N_("An admin decided that it is somebody new"),
    "same_name_in_source": N_("Same user name as a record that had left"),
    "linked_by_id": N_("An API client named the person by their id"),
    "absent_from_report": N_("Not in the report any more"),
    "withdrawn_before_start": N_("Left the report before the first day"),
    "inactive_in_source": N_("Marked inactive in the source"),
    "deleted_in_source": N_("Deleted in the source"),
    "termination_date_passed": N_("The last day has passed"),
    "hire_date_reached": N_("The first day has come"),
    "active_in_source": N_("Marked active in the source"),
    "returned_to_source": N_("Back in the report"),
    "converted": N_("Another type of worker"),
    "moved": N_("Another job, team or place"),
    "renamed": N_("Another name or address"),
    "changed": N_("Other fields"),
    "rollback": N_("Taken back by a rollback"),
    "merged": N_("Two people were merged into one"),
    "split": N_("A merge was split"),
    "picked": N_("Picked when two people were merged"),
    "new_group": N_("A new group"),
    "group_returned": N_("A group that had been deleted is back"),
    "group_renamed": N_("Another name of the group"),
    "group_deleted": N_("The group was deleted in the source"),
    "member_added": N_("Comes into the group"),
    "member_removed": N_("Goes out of the group"),
    "member_awaited": N_("A member who is not here yet, and is awaited"),
    "awaited_came": N_("A member who was awaited is here now"),
    "awaited_dropped": N_("A member who was not here is awaited no longer"),
    "": N_("Not told apart when it was planned"),
}
# Why a change was left alone.
CONFLICTS: Final[Mapping[str, str]] = {
    "changed_since": N_("Left alone: somebody has changed the same fields since."),
    "record_is_gone": N_("Left alone: the record is gone."),
    "linked_since": N_("Left alone: the record belongs to somebody else by now."),
    "merge_barred": N_("Left alone: an admin has said that these two are never merged."),
    "record_exists": N_("Left alone: the record exists by now."),
    "person_exists_since": N_("Left alone: somebody with the same identifiers is known by now."),
    "decision_revoked": N_("Left alone: the decision that the plan followed was taken back."),
    "person_is_gone": N_("Left alone: the person was merged into another, or is gone."),
    "membership_is_gone": N_("Left alone: the person is not in the group any more."),
    "membership_exists": N_("Left alone: the person is in the group by now."),
    "awaited_is_gone": N_("Left alone: the member has come meanwhile, or is awaited no longer."),
    "awaited_exists": N_("Left alone: the member is awaited by now."),
    "group_is_gone": N_("Left alone: the group is gone."),
    "group_has_members": N_("Left alone: the group has got other members since."),
    "group_name_taken": N_("Left alone: another group bears this name, or this external id."),
    "user_name_taken": N_("Left alone: another user bears this user name."),
    "external_id_taken": N_("Left alone: another user bears this external id."),
}
ACTIONS: Final[Mapping[str, str]] = {
    Action.CREATE: N_("Create"),
    Action.LINK: N_("Link"),
    Action.UPDATE: N_("Update"),
    Action.DEACTIVATE: N_("Deactivate"),
    Action.REACTIVATE: N_("Reactivate"),
    Action.REMOVE: N_("Remove"),
}
# A sign for each action, for eyes alone; the word stands beside it for everybody else.
SIGNS: Final[Mapping[str, str]] = {
    Action.CREATE: "+",
    Action.LINK: "=",
    Action.UPDATE: "~",
    Action.DEACTIVATE: "−",
    Action.REACTIVATE: "↑",
    Action.REMOVE: "×",
}
KINDS: Final[Mapping[str, str]] = {
    RunKind.SYNC: N_("Sync"),
    RunKind.SCIM_WINDOW: N_("Requests of an hour"),
    RunKind.SCIM_HOLD: N_("Held effects"),
    RunKind.DUE: N_("Effective dates"),
    RunKind.MERGE: N_("Merge"),
    RunKind.IMPORT: N_("Import"),
    RunKind.BULK: N_("Bulk edit"),
    RunKind.ROLLBACK: N_("Rollback"),
    RunKind.RECOMPUTE: N_("Recomputation"),
}
# Why a run is held, failed or stale: the class of the cause. What exactly was found stands on the run.
CAUSES: Final[Mapping[str, str]] = {
    "deactivate_over_threshold": N_("It would deactivate unusually many people"),
    "reactivate_over_threshold": N_("It would reactivate unusually many people"),
    "update_over_threshold": N_("It would change unusually many people"),
    "create_over_threshold": N_("It would create unusually many people"),
    "link_over_threshold": N_("It would link unusually many records"),
    "remove_over_threshold": N_("It would remove unusually many records"),
    "memberships_over_threshold": N_("Unusually many memberships of groups end"),
    "roles_over_threshold": N_("Unusually many people would get a role"),
    "last_admin": N_("The last administrator would be shut out"),
    "withdrawn": N_("The source took it back itself"),
    "redoes_undone_run": N_("It would bring back what was rolled back"),
    "required_column_missing": N_("A column that must be there is missing from the report"),
    "column_emptied": N_("A column of the report has become empty"),
    "none_admitted": N_("Not one row of the report could be used"),
    "many_quarantined": N_("Unusually many rows had to be set aside"),
    "not_a_report_html": N_("The source sent a web page instead of a report"),
    "wrong_encoding": N_("The report is not in an encoding that can be read"),
    "wrong_columns": N_("The columns of the report cannot be read"),
    "feed_refused": N_("The report cannot be read"),
    "truncated": N_("The report ends in the middle"),
    "empty": N_("The report is empty"),
    "malformed": N_("The report is damaged"),
    "remote_down": N_("The source could not be reached"),
    "remote_refused": N_("The source refused the request"),
    "remote_answer_too_large": N_("The source's answer is too large"),
    "outbound_refused": N_("The source's address is not allowed"),
    "overtaken": N_("Something newer has overtaken it"),
    "plan_failed": N_("A fault in Stoa itself"),
    "misconfigured": N_("The connection is not set up as it must be"),
    "bad_input": N_("The connection's settings are refused"),
    "secret_unreadable": N_("The connection's secret cannot be opened"),
    "not_found": N_("Something that the run needs is gone"),
}
_OTHER_CAUSES: Final[Mapping[str, str]] = {
    RunState.ERRORED: N_("The source could not be read"),
    RunState.STALE: N_("It is out of date"),
}
_ANY_CAUSE: Final = N_("Something needs a look")
# What fields are called. One that is not here yet is spelt out of its name.
FIELDS: Final[Mapping[str, str]] = {
    "active": N_("Access"),
    "asserted_active": N_("Active in the source"),
    "present": N_("In the report"),
    "manager_ref": N_("Manager"),
    "manager_id": N_("Manager"),
    "raw": N_("What was sent"),
    "person_id": N_("Person"),
    "user_name": N_("User name"),
    "email": N_("E-mail"),
    "employee_id": N_("Employee id"),
    "display_name": N_("Name"),
    "given_name": N_("Given name"),
    "family_name": N_("Family name"),
    "phone": N_("Phone"),
    "title": N_("Title"),
    "department": N_("Department"),
    "division": N_("Division"),
    "cost_center": N_("Cost centre"),
    "organization": N_("Organization"),
    "location": N_("Location"),
    "locale": N_("Locale"),
    "job_code": N_("Job code"),
    "worker_type": N_("Type of worker"),
    "time_zone": N_("Time zone"),
    "hire_date": N_("First day"),
    "termination_date": N_("Last day"),
    "scim_external_id": N_("External id"),
    "group": N_("Group"),
    "awaited": N_("Awaited member"),
}


def reason(gettext: Gettext, code: str) -> str:
    """A change's reason."""
    return gettext(REASONS[code]) if code in REASONS else spelt(code)


def conflict(gettext: Gettext, code: str) -> str:
    """Why a change was left alone."""
    return gettext(CONFLICTS[code]) if code in CONFLICTS else spelt(code)


def cause(gettext: Gettext, code: str, state: RunState) -> str:
    """The class of what holds, ended or failed a run."""
    return gettext(CAUSES.get(code) or _OTHER_CAUSES.get(state, _ANY_CAUSE))


def field(gettext: Gettext, name: str) -> str:
    """A field's name."""
    return gettext(FIELDS[name]) if name in FIELDS else spelt(name)


def fields(gettext: Gettext, names: Iterable[str]) -> dict[str, str]:
    """Fields' names."""
    return {name: field(gettext, name) for name in names}


def table(gettext: Gettext, words: Mapping[str, str]) -> dict[str, str]:
    """One of the tables, translated."""
    return {code: gettext(text) for code, text in words.items()}


def spelt(code: str) -> str:
    """A code that has no words: `job_profile` as `Job profile`."""
    return code.replace("_", " ").capitalize()
