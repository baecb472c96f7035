"""What happens to people: as they are (`person.`), and as one source tells of them (`person_record.`)."""

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from stoa.events.catalogue import Body, EventType
from stoa.people.groups_event_types import GROUP_EVENT_TYPES

_Text = str | UnsetType | None
_Flag = bool | UnsetType
_Date = Annotated[str | UnsetType | None, Meta(description="RFC 3339 full-date: `2026-03-01`.")]


class Fields(Body, frozen=True):
    """What is known of a person. In `before` and `after` of a change: the fields that it touches."""

    user_name: Annotated[_Text, Meta(description="What they sign in with at their identity provider.")] = UNSET
    email: _Text = UNSET
    employee_id: _Text = UNSET
    display_name: _Text = UNSET
    given_name: _Text = UNSET
    family_name: _Text = UNSET
    phone: _Text = UNSET
    title: _Text = UNSET
    job_code: _Text = UNSET
    department: _Text = UNSET
    division: _Text = UNSET
    cost_center: _Text = UNSET
    organization: _Text = UNSET
    location: _Text = UNSET
    worker_type: _Text = UNSET
    time_zone: _Text = UNSET
    locale: _Text = UNSET
    hire_date: _Date = UNSET
    termination_date: _Date = UNSET


class PersonValues(Fields, frozen=True):
    """A person as they are: of each field the word of the source that wins it."""

    active: Annotated[_Flag, Meta(description="Whether they may come in.")] = UNSET
    manager_id: Annotated[_Text, Meta(description="The person who is their manager.")] = UNSET


class RecordValues(Fields, frozen=True):
    """A person as one source tells of them."""

    present: Annotated[_Flag, Meta(description="Whether the source still has the record.")] = UNSET
    asserted_active: Annotated[_Flag, Meta(description="What the source says of their state.")] = UNSET
    active: Annotated[_Flag, Meta(description="The state in force: also the dates of hire and termination count.")] = (
        UNSET
    )
    manager_ref: Annotated[_Text, Meta(description="The source's key of their manager's record.")] = UNSET
    scim_external_id: Annotated[_Text, Meta(description="The SCIM client's own id (RFC 7643, section 3.1).")] = UNSET
    person_id: Annotated[_Text, Meta(description="Whose the record is; only where a merge or split moved it.")] = UNSET


class PersonChanged(Body, frozen=True):
    """A person before and after. Whoever applies each `after` in turn has the people of the tenant as they are."""

    before: Annotated[
        PersonValues | None, Meta(description="The fields that changed, as they were; null for a new person.")
    ]
    after: Annotated[
        PersonValues | None, Meta(description="The fields that changed, as they are; null for a person who is gone.")
    ]
    version: Annotated[int, Meta(description="The person's version since; of one who is gone, their last.")]


class HeldRoles(Body, frozen=True):
    """Roles beside that of a learner, which everybody has."""

    roles: Annotated[
        list[str], Meta(description="`admin`, `author`, `instructor`, `manager`, `reporter`; in order, each once.")
    ]


class RolesChanged(Body, frozen=True):
    """A person's roles before and after. They follow from groups (`role_rule.added`), for inactive people too."""

    before: HeldRoles
    after: HeldRoles
    version: Annotated[int, Meta(description="The person's version at the time: roles do not raise it.")]


class RoleRuleChanged(Body, frozen=True):
    """A group gives a role, or does so no longer."""

    rule_id: str
    role: Annotated[str, Meta(description="`admin`, `author`, `instructor`, `manager` or `reporter`.")]
    group_id: str
    group: Annotated[str, Meta(description="The group's display name at the time.")]
    source_id: Annotated[str, Meta(description="The source that has the group.")]
    gains: Annotated[int, Meta(description="People who got a role by it.")]
    loses: Annotated[int, Meta(description="People who lost a role by it.")]


class PersonMerged(PersonChanged, frozen=True):
    """A person who is part of another one from now on: their records, and with them their values, are the other's."""

    merged_into: Annotated[str, Meta(description="The person whom this id means from now on.")]


class PersonSplit(PersonChanged, frozen=True):
    """A person who was part of another one, and is themselves again."""

    split_from: Annotated[str, Meta(description="The person into whom they had been merged.")]


class RecordChanged(Body, frozen=True):
    """One source's record of a person before and after."""

    action: Annotated[str, Meta(description="`create`, `link`, `update`, `deactivate`, `reactivate` or `remove`.")]
    reason: Annotated[str, Meta(description="Why, as a word: `absent_from_report`, `termination_date_passed`, ...")]
    run_id: Annotated[str, Meta(description="The run whose change it is.")]
    source_id: Annotated[str, Meta(description="The source.")]
    external_id: Annotated[str, Meta(description="The record's key in its source.")]
    resource_id: Annotated[str, Meta(description="The record's id here: its SCIM id.")]
    before: Annotated[
        RecordValues | None, Meta(description="The fields that changed, as they were; null for a new record.")
    ]
    after: Annotated[
        RecordValues | None, Meta(description="The fields that changed, as they are; null for a record taken away.")
    ]


class DuplicateDecided(Body, frozen=True):
    """Two people who may be one, of whom somebody decided."""

    person_a: Annotated[str, Meta(description="The lower id of the two.")]
    person_b: Annotated[str, Meta(description="The higher one.")]
    score: Annotated[int | UnsetType, Meta(description="How much speaks for it, from 0 to 100.")] = UNSET
    evidence: Annotated[list[str] | UnsetType, Meta(description="What the two share: `email`, ...")] = UNSET


class MergingBarred(Body, frozen=True):
    """Whether merges are forbidden."""

    what: Annotated[str, Meta(description="`person`, or `source` for whoever has a record of it.")]


class AuthorityChanged(Body, frozen=True):
    """Which source wins which field."""

    version: Annotated[int, Meta(description="The version in force from now on.")]
    ranking: Annotated[
        dict[str, list[str]], Meta(description="Fields to sources, strongest first; others keep the default.")
    ]
    before: Annotated[
        dict[str, list[str]], Meta(description="Of the fields that rank anew, the order that was in force.")
    ]
    after: Annotated[dict[str, list[str]], Meta(description="Of the same fields, the order in force from now on.")]


class GuardFigures(Body, frozen=True):
    """From where on effects of one kind wait for an admin."""

    enabled: Annotated[bool, Meta(description="False lets everything pass, but for the last administrator's loss.")]
    absolute: Annotated[int, Meta(description="More than so many within the window wait.")]
    percent: Annotated[float, Meta(description="As does more than this share of all.")]
    floor: Annotated[int, Meta(description="So many always pass.")]
    window_minutes: Annotated[int, Meta(description="How far back is counted.")]


class GuardChanged(Body, frozen=True):
    """From where on effects of one kind wait, before and after."""

    kind: Annotated[str, Meta(description="`deactivate`, `empty_group` or `grant_role`.")]
    source_id: Annotated[str | None, Meta(description="Of this source alone; null of all that have no own.")]
    before: Annotated[GuardFigures | None, Meta(description="Null where the default, or the tenant's, held.")]
    after: Annotated[GuardFigures | None, Meta(description="Null where it is taken away again.")]


class ClaimsChanged(Body, frozen=True):
    """By what a source recognises people who came by other sources."""

    source_id: Annotated[str, Meta(description="The source that recognises them.")]
    before: Annotated[
        dict[str, str | None],
        Meta(description="Of the other sources whose rule changed: `user_name`, `external_id`, `email`, or null."),
    ]
    after: dict[str, str | None]


class Decided(Body, frozen=True):
    """What an admin says of somebody whom a source could not tell."""

    verdict: Annotated[str | None, Meta(description="`person`, `new` or `ignore`; null while it is open.")]
    person_id: Annotated[str | None, Meta(description="Who it is, of the verdict `person`.")]


class DecisionMade(Body, frozen=True):
    """A decision about somebody whom a source could not tell, before and after."""

    decision_id: str
    source_id: Annotated[str, Meta(description="The source that could not tell them.")]
    rule: Annotated[str, Meta(description="Why it was refused, as a word: `ambiguous_employee_id`, ...")]
    before: Decided
    after: Decided


_SOURCE: Final = "01980f5e-6f2a-7c3e-9a51-0d6f4b1c2a10"
_OTHER_SOURCE: Final = "01980f5e-6f2a-7c3e-9a51-0d6f4b1c2a11"
_UNDECIDED: Final = {"verdict": None, "person_id": None}
_DECISION: Final = {
    "decision_id": "01980f61-77aa-7b21-8c4f-2f6f0a9f4c55",
    "source_id": _SOURCE,
    "rule": "ambiguous_employee_id",
}
_BEFORE: Final = {"department": "Sales", "title": "Account Manager"}
_AFTER: Final = {"department": "Marketing", "title": "Campaign Manager"}
_WHOLE: Final = {
    "active": True,
    "user_name": "ada@acme.example",
    "email": "ada@acme.example",
    "employee_id": "1001",
    "display_name": "Ada Byron",
    "hire_date": "2026-03-01",
}
_ONE: Final = "01980f60-2b7e-7a44-b0a9-77c2d5e8f101"
_OTHER: Final = "01980f60-2b7e-7a44-b0a9-77c2d5e8f102"
_ON, _OFF = {"active": True}, {"active": False}


def _person(name: str, summary: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> EventType:
    example = {"before": before, "after": after, "version": 1 if before is None else 4}
    return EventType(
        name=f"person.{name}", version=1, body=PersonChanged, summary=summary, example=example, personal=True
    )


def _record(
    name: str, action: str, reason: str, summary: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> EventType:
    example = {
        "action": action,
        "reason": reason,
        "run_id": "01980f5f-0c11-7d12-8b54-5a3d1c9e7f00",
        "source_id": _SOURCE,
        "external_id": "1001",
        "resource_id": "01980f60-2b7e-7a44-b0a9-77c2d5e8f101",
        "before": before,
        "after": after,
    }
    return EventType(
        name=f"person_record.{name}", version=1, body=RecordChanged, summary=summary, example=example, personal=True
    )


def _role_rule(name: str, summary: str, gains: int, loses: int) -> EventType:
    example = {
        "rule_id": "01980f61-3c8f-7b55-a1ba-88d3e6f90212",
        "role": "author",
        "group_id": "01980f61-0a10-7c01-9b02-2f3a4b5c6d7e",
        "group": "Course authors",
        "source_id": _SOURCE,
        "gains": gains,
        "loses": loses,
    }
    return EventType(name=f"role_rule.{name}", version=1, body=RoleRuleChanged, summary=summary, example=example)


_STAYS: Final = {**_ON, "asserted_active": True, "present": True}
_LEFT: Final = {**_OFF, "asserted_active": False, "present": False}

EVENT_TYPES: Final[tuple[EventType, ...]] = (
    *GROUP_EVENT_TYPES,
    EventType(
        name="authority.changed",
        version=1,
        body=AuthorityChanged,
        summary="Another order of sources is in force. Events of the people whom it changes follow.",
        example={
            "version": 2,
            "ranking": {"email": [_SOURCE]},
            "before": {"email": [_OTHER_SOURCE, _SOURCE]},
            "after": {"email": [_SOURCE]},
        },
    ),
    EventType(
        name="guard.changed",
        version=1,
        body=GuardChanged,
        summary="Somebody set from where on effects of single requests wait for an admin.",
        example={
            "kind": "deactivate",
            "source_id": None,
            "before": None,
            "after": {"enabled": True, "absolute": 20, "percent": 5.0, "floor": 5, "window_minutes": 60},
        },
    ),
    EventType(
        name="source.claims_changed",
        version=1,
        body=ClaimsChanged,
        summary="People of other sources are recognised by another rule when this source sends them.",
        example={"source_id": _SOURCE, "before": {_OTHER_SOURCE: None}, "after": {_OTHER_SOURCE: "user_name"}},
    ),
    EventType(
        name="decision.made",
        version=1,
        body=DecisionMade,
        summary="An admin said who somebody is whom a source could not tell. The source's next try follows it.",
        example={**_DECISION, "before": _UNDECIDED, "after": {"verdict": "person", "person_id": _OTHER}},
    ),
    EventType(
        name="decision.revoked",
        version=1,
        body=DecisionMade,
        summary="A decision was taken back before the source used it.",
        example={**_DECISION, "before": {"verdict": "new", "person_id": None}, "after": _UNDECIDED},
    ),
    _person("created", "There is a new person.", None, _WHOLE),
    _person("updated", "Something about a person changed, other than their state.", _BEFORE, _AFTER),
    _person("deactivated", "A person lost access; other fields may have changed with it.", _ON, _OFF),
    _person("reactivated", "A person has access again; other fields may have changed with it.", _OFF, _ON),
    _person("removed", "A person is gone: a run was undone that had made them.", _WHOLE, None),
    EventType(
        name="person.roles_changed",
        version=1,
        body=RolesChanged,
        summary="A person has other roles: their groups changed, or the rules by which groups give roles.",
        example={"before": {"roles": ["author"]}, "after": {"roles": ["admin", "author"]}, "version": 4},
        personal=True,
    ),
    _role_rule("added", "Whoever is in a group has a role from now on. Events of the people who got it follow.", 12, 0),
    _role_rule("removed", "A group gives a role no longer. Events of the people who lost it follow.", 0, 12),
    EventType(
        name="person.merged",
        version=1,
        body=PersonMerged,
        summary="A person was merged into another, and is gone as one of their own.",
        example={"before": _WHOLE, "after": None, "version": 5, "merged_into": _OTHER},
        personal=True,
    ),
    EventType(
        name="person.split",
        version=1,
        body=PersonSplit,
        summary="A merge was split: the person is there again.",
        example={"before": None, "after": _WHOLE, "version": 6, "split_from": _OTHER},
        personal=True,
    ),
    EventType(
        name="duplicate.dismissed",
        version=1,
        body=DuplicateDecided,
        summary="Somebody decided that two people are not one.",
        example={"person_a": _ONE, "person_b": _OTHER, "score": 55, "evidence": ["name_hire_date"]},
    ),
    EventType(
        name="duplicate.reopened",
        version=1,
        body=DuplicateDecided,
        summary="Somebody took back that two people are not one.",
        example={"person_a": _ONE, "person_b": _OTHER},
    ),
    EventType(
        name="merge.barred",
        version=1,
        body=MergingBarred,
        summary="A person, or whoever has a record of a source, is never merged from now on.",
        example={"what": "person"},
    ),
    EventType(
        name="merge.allowed",
        version=1,
        body=MergingBarred,
        summary="A person, or whoever has a record of a source, may be merged again.",
        example={"what": "source"},
    ),
    _record(
        "created", "create", "nobody_matches", "A source has a new record, of a new person.", None, {**_WHOLE, **_STAYS}
    ),
    _record("linked", "link", "same_employee_id", "A source has a record of a known person.", None, _WHOLE),
    _record("updated", "update", "moved", "A source says something else of a person.", _BEFORE, _AFTER),
    _record("deactivated", "deactivate", "absent_from_report", "A record is out of force.", _STAYS, _LEFT),
    _record("reactivated", "reactivate", "hire_date_reached", "A record is in force again.", _OFF, _ON),
    _record("removed", "remove", "rollback", "A record was taken away by undoing the run that made it.", _WHOLE, None),
)
