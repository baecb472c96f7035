"""Who may be the same person: what people are compared by, and how much it says. Pure.

Two people are compared only if they share a key. A name alone is none: it counts together with a manager, department,
hire date or phone that are shared too. So no common name makes everybody who bears it a pair of everybody else.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b
from typing import Final
from unicodedata import category, normalize
from uuid import UUID

from stoa.kernel.fold import fold

# How much each kind says by itself, from 0 to 1.
WEIGHTS: Final[Mapping[str, float]] = {
    "employee_id": 0.9,
    "email": 0.8,
    "address": 0.55,
    "user_name": 0.5,
    "name_phone": 0.7,
    "name_hire_date": 0.55,
    "name_manager": 0.5,
    "name_department": 0.4,
    "initials_phone": 0.5,
    "initials_hire_date": 0.3,
    "initials_manager": 0.3,
    "initials_department": 0.2,
}
# What speaks against it: what is left of the score.
AGAINST: Final[Mapping[str, float]] = {"not_employee_id": 0.6, "not_source": 0.85}
KINDS: Final = (*WEIGHTS, *AGAINST)
# From which score on a pair is shown.
SHOWN: Final = 30
# Shared by more people than this, a key tells nobody apart: an office's phone, the mailbox of a shop.
COMMON: Final = 20
# A pair that was dismissed comes back for so much more, or for a strong kind that is new.
MUCH_MORE: Final = 15
STRONG: Final = frozenset({"employee_id", "email"})

_SEPARATOR: Final = "\x1f"
_LONGEST_KEY: Final = 200
_MOST_NAMES: Final = 4
_SHORTEST_PHONE: Final = 7
_PHONE_DIGITS: Final = 9
# Letters that have no base letter in Unicode, and pairs that stand for an umlaut.
_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "a", "œ": "o", "ı": "i", "ð": "d", "þ": "th"})
_UMLAUTS: Final = (("ae", "a"), ("oe", "o"), ("ue", "u"))

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is compared of one person.

    Attributes:
        emails: addresses that a record says now; past: that one said before; both folded, as the others.
        sources: those that have a present record.
    """

    given_name: str | None = None
    family_name: str | None = None
    display_name: str | None = None
    department: str | None = None
    phone: str | None = None
    hire_date: date | None = None
    manager_id: UUID | None = None
    employee_ids: Collection[str] = ()
    emails: Collection[str] = ()
    past: Collection[str] = ()
    user_names: Collection[str] = ()
    sources: frozenset[UUID] = field(default_factory=frozenset[UUID])


def keys_of(facts: Facts) -> set[Key]:
    """All that somebody else might share with this person: kind and key."""
    keys: set[Key] = {("employee_id", _short(one)) for one in facts.employee_ids if one}
    keys |= {("email", _short(one)) for one in facts.emails if one}
    named = (one for one in facts.user_names if "@" in one)
    keys |= {("address", _short(one)) for one in (*facts.emails, *facts.past, *named) if one}
    keys |= {("user_name", _short(one)) for one in facts.user_names if one}
    words = name_words(facts.given_name, facts.family_name, facts.display_name)
    beside = _beside(facts)
    if len(words) > 1:
        whole = " ".join(sorted(words))
        keys |= {(f"name_{what}", _short(f"{whole}{_SEPARATOR}{value}")) for what, value in beside}
    for short in _initials(words):
        keys |= {(f"initials_{what}", _short(f"{short}{_SEPARATOR}{value}")) for what, value in beside}
    return keys


def _beside(facts: Facts) -> list[tuple[str, str]]:
    digits = "".join(one for one in facts.phone or "" if one.isdigit())
    found = {
        "manager": "" if facts.manager_id is None else str(facts.manager_id),
        "department": fold(facts.department or "").strip(),
        "hire_date": "" if facts.hire_date is None else facts.hire_date.isoformat(),
        "phone": digits[-_PHONE_DIGITS:] if len(digits) >= _SHORTEST_PHONE else "",
    }
    return [(what, value) for what, value in found.items() if value]


def _short(key: str) -> str:
    # What an index can hold.
    if len(key) <= _LONGEST_KEY:
        return key
    return f"{key[:_SHORTEST_PHONE]}…{blake2b(key.encode(), digest_size=16).hexdigest()}"


def name_words(given: str | None, family: str | None, display: str | None) -> list[str]:
    """The words of a name without case, diacritics and signs: at most four of them, each once."""
    text = " ".join(one for one in (given, family) if one) if given and family else display or family or given or ""
    plain = "".join(
        one if one.isalnum() else " "
        for one in normalize("NFD", fold(text).translate(_LETTERS))
        if category(one) != "Mn" and one not in "'’`"
    )
    for pair, letter in _UMLAUTS:
        plain = plain.replace(pair, letter)
    return list(dict.fromkeys(plain.split()))[:_MOST_NAMES]


def _initials(words: Sequence[str]) -> set[str]:
    """Each whole word with the first letter of another: `byron a` of Ada Byron, of Byron, Ada and of A. Byron."""
    return {f"{whole} {other[0]}" for whole in words if len(whole) > 1 for other in words if other != whole}


# ------------------------------------------------------------------ what it says


def evidence_of(shared: Iterable[str], one: Facts, other: Facts) -> tuple[str, ...]:
    """The kinds that speak for and against two people being one, strongest first.

    shared: kinds of the keys that they share.
    """
    kinds = set(shared)
    if "email" in kinds:
        kinds.discard("address")
    kinds -= {f"initials_{what.removeprefix('name_')}" for what in list(kinds) if what.startswith("name_")}
    if not kinds:
        return ()
    if one.employee_ids and other.employee_ids and not set(one.employee_ids) & set(other.employee_ids):
        kinds.add("not_employee_id")
    if one.sources & other.sources:
        kinds.add("not_source")
    return tuple(kind for kind in KINDS if kind in kinds)


def score_of(evidence: Iterable[str]) -> int:
    """From 0 to 100: kinds that speak for it add up as independent chances; those against it take a part away."""
    doubt, left = 1.0, 1.0
    for kind in evidence:
        doubt *= 1 - WEIGHTS.get(kind, 0.0)
        left *= AGAINST.get(kind, 1.0)
    return round(100 * (1 - doubt) * left)


def comes_back(before: int, known: Iterable[str], score: int, evidence: Iterable[str]) -> bool:
    """Whether a pair that was dismissed with one score and evidence is to be looked at again."""
    return score >= before + MUCH_MORE or bool((STRONG & set(evidence)) - set(known))
