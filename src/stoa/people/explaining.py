"""Why a person has the effective values that they have, for somebody to read: who said what, whose word counts, and by
which rule. It follows `rules.effective`, with which property tests hold it together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final
from uuid import UUID

from stoa.kernel.ids import PersonId, SourceId
from stoa.people.fields import PERSON_FIELDS, Value
from stoa.people.rules import Linked, Ranking, in_force, in_order

MANAGER: Final = "manager_ref"


class Why(StrEnum):
    """By which rule the strongest word is the strongest."""

    NOBODY = "nobody"
    ONLY = "only"
    AGREED = "agreed"
    RANKED = "ranked"
    UNRANKED = "unranked"
    PRESENT = "present"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class Word:
    """What one record says of one field.

    Attributes:
        value: what counts of it: the asserted value, or the one before it while that is held. For the manager it is
            the person who is meant.
        asserted: what the record says now.
        held: a hold stands between the two.
        rank: of its source for this field, from 1; None where it is not ranked.
        wins: its value is the effective one, because it is this record's.
        differs: it says something else than the effective value.
    """

    resource_id: UUID
    source_id: SourceId
    present: bool
    value: Value | PersonId
    asserted: Value
    held: bool
    rank: int | None
    wins: bool
    differs: bool

    @property
    def says(self) -> bool:
        """Whether anything of it counts."""
        return self.value is not None


@dataclass(frozen=True, slots=True)
class Explained:
    """One field: its effective value, why, and every word about it from the strongest to the weakest."""

    name: str
    value: Value | PersonId
    why: Why
    words: Sequence[Word]

    @property
    def winner(self) -> Word | None:
        """The word that counts; None where nobody says anything."""
        return next((word for word in self.words if word.wins), None)


def explain(records: Iterable[Linked], ranking: Ranking) -> dict[str, Explained]:
    """Every field of a person, with the manager as `manager_ref`, from all their records."""
    standing = list(records)
    return {name: _field(standing, name, ranking.get(name, ())) for name in (*PERSON_FIELDS, MANAGER)}


def _counted(record: Linked, name: str) -> Value | PersonId:
    if name == MANAGER:
        return record.manager
    return record.held[name] if name in record.held else record.values.get(name)


def _field(records: Sequence[Linked], name: str, ranked: Sequence[SourceId]) -> Explained:
    ordered = in_order(records, ranked)
    saying = [r for r in ordered if _counted(r, name) is not None]
    value = _counted(saying[0], name) if saying else None
    places = {source: place for place, source in enumerate(ranked, start=1)}

    def word(record: Linked) -> Word:
        counted = _counted(record, name)
        return Word(
            record.resource_id,
            record.source_id,
            record.present,
            counted,
            record.values.get(name),
            name in record.held,
            places.get(record.source_id),
            wins=bool(saying) and record is saying[0],
            differs=counted != value,
        )

    told = [r for r in ordered if _counted(r, name) is not None or r.values.get(name) is not None or name in r.held]
    return Explained(name, value, _why(saying, name, places), [word(record) for record in told])


def _why(saying: Sequence[Linked], name: str, places: Mapping[SourceId, int]) -> Why:
    match saying:
        case []:
            return Why.NOBODY
        case [_]:
            return Why.ONLY
        case [first, second, *_]:
            if all(_counted(record, name) == _counted(first, name) for record in saying):
                return Why.AGREED
            if first.source_id != second.source_id:
                return Why.RANKED if first.source_id in places else Why.UNRANKED
            return Why.PRESENT if first.present and not second.present else Why.FIRST
        case _:
            raise AssertionError("a sequence has none, one or more")


# ------------------------------------------------------------------ access


class Stance(StrEnum):
    """Why a record's word on the person's access is what it is."""

    HELD = "held"
    ACTIVE = "active"
    GONE = "gone"
    INACTIVE = "inactive"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    PENDING = "pending"


class AccessWhy(StrEnum):
    """Why a person has access or not."""

    NO_RECORD = "no_record"
    ALL_ACTIVE = "all_active"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AccessWord:
    """What one record says of the person's access.

    Attributes:
        active: the word that counts.
        counts: whether its source's word counts at all.
        decides: the person has no access because of this source's word.
        on: the first or last day that it is about, if it is about one.
    """

    resource_id: UUID
    source_id: SourceId
    active: bool
    stance: Stance
    counts: bool
    decides: bool
    on: date | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Whether a person has access, why, and every record's word on it; those that decide come first."""

    active: bool
    why: AccessWhy
    words: Sequence[AccessWord]


def explain_access(
    records: Iterable[Linked], counted: Sequence[SourceId], asserted: Mapping[UUID, bool], today: date
) -> Access:
    """Why a person has access or not.

    counted: whose word counts (`Authority.ranking["active"]`); none or nobody of them is everybody.
    asserted: what each record says of the state, by resource id, before its dates are considered.
    today: the tenant's date.
    """
    standing = in_order(records, counted)
    heard = {r.source_id for r in standing if r.source_id in counted} or {r.source_id for r in standing}
    says: dict[SourceId, bool] = {}
    for record in standing:
        says[record.source_id] = says.get(record.source_id, False) or _says(record)
    refusing = {source for source in heard if not says[source]}
    words = [
        AccessWord(
            record.resource_id,
            record.source_id,
            _says(record),
            stance,
            record.source_id in heard,
            record.source_id in refusing,
            on,
        )
        for record in standing
        for stance, on in [_stance(record, asserted.get(record.resource_id, record.active), today)]
    ]
    words.sort(key=lambda word: (not word.decides, not word.counts))
    if not standing:
        return Access(active=False, why=AccessWhy.NO_RECORD, words=())
    return Access(not refusing, AccessWhy.REFUSED if refusing else AccessWhy.ALL_ACTIVE, words)


def _says(record: Linked) -> bool:
    return bool(record.held.get("active", record.active))


def _stance(record: Linked, asserted_active: bool, today: date) -> tuple[Stance, date | None]:
    if "active" in record.held:
        return Stance.HELD, None
    if record.active:
        return (Stance.ACTIVE if in_force(asserted_active, record.values, today) else Stance.PENDING), None
    if not record.present:
        return Stance.GONE, None
    if not asserted_active:
        return Stance.INACTIVE, None
    hired, ends = record.values.get("hire_date"), record.values.get("termination_date")
    if isinstance(ends, date) and ends < today:
        return Stance.ENDED, ends
    if isinstance(hired, date) and hired > today:
        return Stance.NOT_STARTED, hired
    return Stance.PENDING, None
