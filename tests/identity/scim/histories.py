"""Random histories of a tenant whom two identity providers push to, each in its own way, while admins merge, split,
decide, reorder the authority and undo.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from .patches import elements, steps
from .plain_patch import ENTERPRISE, Step

_pick = st.integers(0, 9)
_provider = st.integers(0, 1)
_names = st.sampled_from(["ada", "Ada", "bob", "cleo", "dora"])
_mails = st.sampled_from(["ann@acme.example", "Bob@acme.example", "cleo@acme.example", "ann@other.example"])
_numbers = st.sampled_from(["E1", "e1", "E2", "E3"])
bodies = st.fixed_dictionaries(
    {"userName": _names},
    optional={
        "externalId": st.sampled_from(["x1", "x2", "x3"]),
        "active": st.booleans(),
        "title": st.sampled_from(["Dr", ""]),
        "emails": _mails.map(lambda one: [{"value": one, "type": "work"}]) | st.lists(elements, max_size=1),
        ENTERPRISE: st.fixed_dictionaries({"employeeNumber": _numbers}, optional={"department": st.just("Sales")}),
    },
)


@dataclass(frozen=True)
class Post:
    """A user made by a provider."""

    provider: int
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Bulk:
    """Users made by a provider in one request."""

    provider: int
    bodies: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Put:
    """A user replaced."""

    provider: int
    pick: int
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Patch:
    """A user patched."""

    provider: int
    pick: int
    steps: Sequence[Step]


@dataclass(frozen=True)
class Delete:
    """A user deleted."""

    provider: int
    pick: int


@dataclass(frozen=True)
class Push:
    """A group made, or, where it is there, its members put, added or taken away."""

    provider: int
    name: str
    how: str
    picks: frozenset[int]


@dataclass(frozen=True)
class Arrive:
    """Somebody signs in."""

    subject: str
    email: str


@dataclass(frozen=True)
class Admin:
    """What an admin does: merge, split, decide who it is, rank, undo a provider since a moment of the history, or
    approve or reject what waits.
    """

    what: str
    one: int
    other: int


_patch_number = st.builds(Step, st.just("replace"), st.just("employeeNumber"), _numbers, extension=st.just(True))
writes = st.one_of(
    st.builds(Post, _provider, bodies),
    st.builds(Post, _provider, bodies),
    st.builds(Bulk, _provider, st.lists(bodies, min_size=2, max_size=4)),
    st.builds(Put, _provider, _pick, bodies),
    st.builds(Patch, _provider, _pick, st.lists(steps | _patch_number, min_size=1, max_size=3)),
    st.builds(Delete, _provider, _pick),
    st.builds(
        *(Push, _provider, st.sampled_from(["Team", "Crew"])),
        *(st.sampled_from(["put", "add", "remove", "replace", "delete"]), st.frozensets(_pick, max_size=3)),
    ),
    st.builds(Arrive, st.sampled_from(["s1", "s2"]), _mails),
)
admins = st.builds(
    Admin, st.sampled_from(["merge", "split", "decide", "rank", "undo", "approve", "reject"]), _pick, _pick
)
histories = st.lists(st.one_of(writes, writes, writes, admins), min_size=2, max_size=12)
