"""Merges as values: what is asked, what would follow, what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from stoa.changes.model import RunState
from stoa.kernel.ids import PersonId, ResourceId, RunId, SourceId
from stoa.kernel.problems import BadInput, Conflict, NotFound
from stoa.kernel.references import OnMerge
from stoa.people.columns import PERSON_VALUES
from stoa.people.fields import PERSON_FIELDS, Value

Side = Literal["survivor", "absorbed"]
SIDES: Final[tuple[Side, ...]] = ("survivor", "absorbed")
# What may be picked. Access is nobody's pick: the strictest word of the sources wins. A manager is named by a record of
# the same source, which the console's source has none of.
PICKABLE: Final = PERSON_FIELDS
assert set(PERSON_VALUES) - set(PICKABLE) == {"active", "manager_id"}
# The reasons of changes that link records to other people.
MERGED: Final = "merged"
SPLIT: Final = "split"
# The change of a link, and no other: what a record asserts has no such member.
IS_LINK: Final = "coalesce(c.after ? 'person_id', false)"


@dataclass(frozen=True, slots=True)
class MergeAsk:
    """Who is to be merged into whom.

    Attributes:
        picks: field to whose value is to be in force; other fields follow the order of sources.
        note: why, for whoever looks at it later.
    """

    survivor_id: PersonId
    absorbed_id: PersonId
    picks: Mapping[str, Side] = field(default_factory=dict[str, Side])
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge that was made, and its split if it was.

    Attributes:
        moved: tables and columns of other rooms whose rows name the survivor since.
    """

    run_id: RunId
    survivor_id: PersonId
    absorbed_id: PersonId
    state: Literal["merged", "split"]
    picks: Mapping[str, Side]
    note: str | None
    made_by: str
    made_at: datetime
    split_run: RunId | None
    split_by: str | None
    split_at: datetime | None
    moved: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, slots=True)
class FieldPreview:
    """One field of both, and what results.

    Attributes:
        survivor, absorbed: what is in force now.
        result: what would be in force; source_id: whose word that is, if anybody's.
        picked: whose value was picked; overruled: it was, and a source of more authority says something else.
    """

    name: str
    survivor: Value | PersonId
    absorbed: Value | PersonId
    result: Value | PersonId
    source_id: SourceId | None = None
    picked: Side | None = None
    overruled: bool = False

    @property
    def differs(self) -> bool:
        """Whether the two are not of one word."""
        return self.survivor != self.absorbed


@dataclass(frozen=True, slots=True)
class Identity:
    """A record that would move, or has moved.

    Attributes:
        whose: on which side it stands.
    """

    resource_id: ResourceId
    source_id: SourceId
    external_id: str
    scim_external_id: str | None
    present: bool
    active: bool
    whose: Side
    groups: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Moving:
    """Rows that name the absorbed person in one column, and what becomes of them."""

    table: str
    column: str
    on_merge: OnMerge
    rows: int


@dataclass(frozen=True, slots=True)
class BothHere:
    """A source that has present records of both: by its own word they are two people."""

    source_id: SourceId
    survivor: Sequence[ResourceId]
    absorbed: Sequence[ResourceId]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a merge would do.

    Attributes:
        access: `active` of both, and what results: the strictest word of all sources.
        roles: of both, and what results.
        reports: how many people have the absorbed person for a manager.
        holds: how many values of the absorbed person's records wait for approval.
        barred: why it is refused, if it is.
    """

    survivor_id: PersonId
    absorbed_id: PersonId
    fields: Sequence[FieldPreview]
    access: FieldPreview
    manager: FieldPreview
    identities: Sequence[Identity]
    moving: Sequence[Moving]
    both_here: Sequence[BothHere]
    roles: Mapping[str, Sequence[str]]
    reports: int
    holds: int
    barred: str | None


@dataclass(frozen=True, slots=True)
class Returning:
    """What a split would do.

    Attributes:
        back: records that would go back; staying: those that stay where they are, with the reason's code.
        withdrawn: picks that would be taken back; kept: those that somebody has changed since.
        fields: of the survivor now (`survivor`), of the survivor (`result`) and the one split off (`absorbed`)
            afterwards.
    """

    merge: Merge
    survivor_id: PersonId
    back: Sequence[Identity]
    staying: Sequence[tuple[Identity | None, str, str]]
    withdrawn: Sequence[str]
    kept: Sequence[str]
    fields: Sequence[FieldPreview]


@dataclass(frozen=True, slots=True)
class Split:
    """A merge that was split."""

    merge: Merge
    run_id: RunId
    run_state: RunState
    moved: int
    conflicts: int


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge that was made.

    Attributes:
        moved: how many records; overruled: picks that are not in force, because a source of more authority says
            something else.
    """

    merge: Merge
    moved: int
    overruled: Sequence[str]
    figures: Mapping[str, Any] = field(default_factory=dict[str, Any])


class SamePerson(BadInput):
    """Both ids name the same person.

    Name two people. An id of somebody who was merged means the one who is left.
    """

    code = "same_person"


class AlreadyMerged(Conflict):
    """One of the two was merged into the other before. Nothing was changed.

    The list of merges shows when and by whom.
    """

    code = "already_merged"


class MergeBarred(Conflict):
    """An admin of the tenant decided that this person, or whoever is known to this source, is never merged.

    The same admin, or another, can lift that on the page of the person, or on that of duplicates.
    """

    code = "merge_barred"


class BadPick(BadInput):
    """The pick names a field that cannot be picked, or a side that says nothing of it.

    Picks are by field, of the one or of the other; access and manager follow from the sources.
    """

    code = "bad_pick"


class LastAdminMerged(Conflict):
    """After the merge nobody with the role admin would have access.

    Give the role to somebody else first, or mend what makes the person inactive.
    """

    code = "last_admin"


class NoSuchMerge(NotFound):
    """The tenant has no merge with this id. The list of merges has those that there are."""

    code = "no_such_merge"


class CannotSplit(Conflict):
    """The merge was split before, or a rollback of it waits for a decision.

    The page of the merge tells which; a rollback that waits is approved or rejected on its own page.
    """

    code = "cannot_split"
