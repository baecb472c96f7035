"""Stamps: what a form's values were when it was shown, so that it does not undo what somebody else has saved since.

A stamp holds a digest of each value and no value, because it goes through the page. It is no secret and grants nothing.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from stoa.kernel.problems import Conflict

_DIGEST_BYTES: Final = 6


class ChangedMeanwhile(Conflict):
    """Somebody else has saved another value since the form was shown, and this form would undo it.

    Look at what it is now, then save again or leave it.

    Attributes:
        fields: the names of those values.
    """

    code = "changed_meanwhile"

    def __init__(self, fields: frozenset[str]) -> None:
        super().__init__(
            f"Somebody else has saved other values since: {', '.join(sorted(fields))}.",
            hint="Look at what stands there now, then save again if yours should take its place.",
        )
        self.fields = fields


def stamp_of(values: Mapping[str, object]) -> str:
    """The stamp of a form's values, by name: JSON values."""
    return ".".join(f"{name}-{_digest(value)}" for name, value in sorted(values.items()))


def refuse_stale(stamp: str | None, now: Mapping[str, object], given: Mapping[str, object]) -> None:
    """Lets pass what undoes nobody's work.

    stamp: as the form brought it back; None or empty when it had none, which passes.
    now: the values that are stored, read in the transaction that writes, with the row locked.
    given: those that would take their place.

    Raises:
        ChangedMeanwhile: some stored value is another than when the form was shown, and than the form's own.
    """
    if not stamp:
        return
    shown = {name: digest for name, _, digest in (part.rpartition("-") for part in stamp.split("."))}
    unset = _digest(None)
    # A name that one side lacks is a value that is not set.
    stale = {
        name
        for name in {*now, *given}
        if shown.get(name, unset) != _digest(now.get(name)) and now.get(name) != given.get(name)
    }
    if stale:
        raise ChangedMeanwhile(frozenset(stale))


def _digest(value: object) -> str:
    return hashlib.blake2b(msgspec.json.encode(value, order="deterministic"), digest_size=_DIGEST_BYTES).hexdigest()
