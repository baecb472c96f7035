"""Filters as RFC 7644, 3.4.2.2, has them, decided plainly over the documents that a client reads; to hold the server
against. It shares no code with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from hypothesis import strategies as st

from .plain_patch import CORE, ENTERPRISE, Json

# Attributes with single texts: those that tell case apart, and the others.
EXACT = ("externalId", f"{ENTERPRISE}:manager.value")
FOLDED = (
    *("userName", "displayName", "title", "userType", "name.givenName", "name.familyName"),
    *(f"{ENTERPRISE}:department", f"{ENTERPRISE}:employeeNumber"),
)
# By these people are told and looked for: an empty text tells nobody, and counts as none.
BLANK = ("displayName", "externalId", "employeeNumber", "manager.value")
LISTS = ("emails", "roles")
SUBS = ("value", "type", "display")
_ORDER = ("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le")
WORDS = (
    "ann",
    "ANN",
    "Ann B",
    "Straße",
    "STRASSE",
    "änn",
    "a\u0308nn",
    "",
    "a%b",
    "a_b",
    "x\\y",
    'q"t',
    "b",
    "\U0001f600",
)
_words = st.sampled_from(WORDS)


@dataclass(frozen=True)
class Filter:
    """A filter as text, and what it says of a document."""

    text: str
    holds: Callable[[Json], bool]


def folded(text: str) -> str:
    """Without regard to case and to how characters are put together."""
    return normalize("NFKC", normalize("NFKC", text).casefold())


def value_at(document: Json, path: str) -> Any:
    """What stands at a path with a single value."""
    if path.startswith(f"{ENTERPRISE}:"):
        document, path = document.get(ENTERPRISE, {}), path.removeprefix(f"{ENTERPRISE}:")
    name, _, sub = path.partition(".")
    value = document.get(name)
    value = value.get(sub) if sub and isinstance(value, dict) else value
    return None if value == "" and path in BLANK else value


def _text_holds(found: Any, op: str, wanted: str, *, exact: bool) -> bool:
    if op == "ne":
        return not _text_holds(found, "eq", wanted, exact=exact)
    if not isinstance(found, str):
        return False
    one, other = (found, wanted) if exact else (folded(found), folded(wanted))
    return {
        "eq": one == other,
        "co": other in one,
        "sw": one.startswith(other),
        "ew": one.endswith(other),
        "gt": one > other,
        "ge": one >= other,
        "lt": one < other,
        "le": one <= other,
    }[op]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _single(path: str, op: str, word: str, spelt: int) -> Filter:
    shown = f"{CORE}:{path}" if spelt == 1 and not path.startswith("urn:") else path.swapcase() if spelt == 2 else path
    shown = shown if not path.startswith("urn:") else path
    told = op.upper() if spelt == 2 else op
    exact = path in EXACT
    return Filter(
        f"{shown} {told} {_quoted(word)}", lambda one: _text_holds(value_at(one, path), op, word, exact=exact)
    )


def _element(name: str, sub: str, op: str, word: str) -> Filter:
    def holds(one: Json) -> bool:
        elements = one.get(name, [])
        if op == "ne":
            return not any(_text_holds(e.get(sub), "eq", word, exact=False) for e in elements)
        return any(_text_holds(e.get(sub), op, word, exact=False) for e in elements)

    path = name if sub == "value" and len(word) % 2 else f"{name}.{sub}"
    return Filter(f"{path} {op} {_quoted(word)}", holds)


def _present(path: str) -> Filter:
    def holds(one: Json) -> bool:
        name, _, sub = path.partition(".")
        if name in LISTS:
            return any(sub in e if sub else e for e in one.get(name, []))
        return value_at(one, path) is not None

    return Filter(f"{path} pr", holds)


def _flag(op: str, value: bool, null: int) -> Filter:
    if null == 0:
        return Filter(f"active {op} null", lambda one: (one.get("active") is None) is (op == "eq"))
    shown = f'"{value}"' if null == 1 else str(value).lower()
    return Filter(f"active {op} {shown}", lambda one: (one.get("active") is value) is (op == "eq"))


def _of_element(sub: str, op: str, word: str) -> Filter:
    return Filter(f"{sub} {op} {_quoted(word)}", lambda e: _text_holds(e.get(sub), op, word, exact=False))


def _primary(op: str, value: bool) -> Filter:
    return Filter(f"primary {op} {str(value).lower()}", lambda e: (e.get("primary") is value) is (op == "eq"))


def _not(inner: Filter) -> Filter:
    return Filter(f"not ({inner.text})", lambda one: not inner.holds(one))


def _and(one: Filter, other: Filter) -> Filter:
    return Filter(f"({one.text}) and ({other.text})", lambda d: one.holds(d) and other.holds(d))


def _or(one: Filter, other: Filter) -> Filter:
    return Filter(f"{one.text} or {other.text}", lambda d: one.holds(d) or other.holds(d))


def _joined(leaves: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.builds(_not, inner), st.builds(_and, inner, inner), st.builds(_or, inner, inner)),
        max_leaves=5,
    )


_ops = st.sampled_from(_ORDER)
_elements = _joined(
    st.one_of(
        st.builds(_of_element, st.sampled_from(SUBS), _ops, _words),
        st.builds(_primary, st.sampled_from(["eq", "ne"]), st.booleans()),
        st.sampled_from(SUBS).map(lambda sub: Filter(f"{sub} pr", lambda e: sub in e)),
    )
)


def _bracketed(name: str, inner: Filter) -> Filter:
    return Filter(f"{name}[{inner.text}]", lambda one: any(inner.holds(e) for e in one.get(name, [])))


_leaves = st.one_of(
    st.builds(_single, st.sampled_from([*EXACT, *FOLDED]), _ops, _words, st.integers(0, 2)),
    st.builds(_element, st.sampled_from(LISTS), st.sampled_from(SUBS), _ops, _words),
    st.sampled_from([*EXACT, *FOLDED, "name", "emails", "roles.type", "active", "id"]).map(_present),
    st.builds(_flag, st.sampled_from(["eq", "ne"]), st.booleans(), st.integers(0, 3)),
    st.builds(_bracketed, st.sampled_from(LISTS), _elements),
)
user_filters = _joined(_leaves)
group_filters = _joined(
    st.one_of(
        st.builds(_single, st.sampled_from(["externalId", "displayName"]), _ops, _words, st.just(0)),
        st.sampled_from(["externalId", "displayName", "id"]).map(_present),
        st.sampled_from(["members", "members.value"]).map(
            lambda path: Filter(f"{path} pr", lambda one: bool(one.get("members")))
        ),
    )
)
SORTS = ("userName", "displayName", "title", "externalId", "active", "name.familyName", f"{ENTERPRISE}:department")
