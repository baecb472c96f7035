"""Dated versions of the API (AP6 of the reference): each credential may be pinned to one; a request may name another.

A change that could break a client comes with a new version, and requests of earlier ones are answered as before. What
was added without breaking anybody stands in the change log under the version that was current then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from stoa.api.errors import UnknownVersion

HEADER: Final = "stoa-version"
Kind = Literal["added", "changed", "deprecated", "removed"]


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the change log. breaking: whether a client may have to act."""

    kind: Kind
    text: str
    breaking: bool = False


# Version to what came with it, newest first.
CHANGES: Final[Mapping[str, tuple[Change, ...]]] = {
    "2026-11-23": (Change("added", "The first version of the public API."),),
}
LATEST: Final = next(iter(CHANGES))


def version_of(asked: str | None, pinned: str | None) -> str:
    """The version in which a request is answered: the one it names, else the one its client is pinned to, else the
    latest.

    Raises:
        UnknownVersion: it names none that there is.
    """
    wanted = asked or pinned
    if wanted is None:
        return LATEST
    if wanted not in CHANGES:
        if asked is None:
            return LATEST
        raise UnknownVersion(
            f"There is no version {asked[:40]!r} of the API.", hint=f"The latest is {LATEST}.", header="Stoa-Version"
        )
    return wanted
