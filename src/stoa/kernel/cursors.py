"""Cursors: where the next page of a list begins, as text that means something to this server alone.

A cursor holds the position in a list and a digest of the list's scope (its name, tenant, order and filter), so that a
cursor of another list is refused instead of skipping rows silently. It is no secret and grants nothing: whoever makes
one up gets another page of a list that it may read anyway.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from stoa.kernel.ids import parse_id
from stoa.kernel.problems import BadInput

Mark: TypeAlias = str | int | None
Position: TypeAlias = tuple[Mark, ...]

_LONGEST: Final = 4_000
_DIGEST_BYTES: Final = 9
# Changed when positions come to mean something else: older cursors are then refused.
_VERSION: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# In the year 4253, in microseconds.
_LATEST: Final = 2**56
_GREATEST: Final = 2**63 - 1


class BadCursor(BadInput):
    """The cursor is damaged, or belongs to another list, order, filter or tenant.

    Begin the list again without a cursor. Go on with the parameters under which a cursor was given, unchanged.
    """

    code = "bad_cursor"


def encode_cursor(scope: str, position: Position) -> str:
    """The cursor of a position in the list that `scope` names.

    position: the sort values and the id of the last row of the page; times and ids as text.
    """
    body = msgspec.json.encode((_VERSION, position))
    return base64.urlsafe_b64encode(_digest(scope, body) + body).decode().rstrip("=")


def decode_cursor(text: str, scope: str) -> Position:
    """The position in a cursor of this scope.

    Raises:
        BadCursor: it is damaged, or was made for another list, order, filter, tenant or version of Stoa.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        body = raw[_DIGEST_BYTES:]
        if len(text) > _LONGEST or raw[:_DIGEST_BYTES] != _digest(scope, body):
            raise _refused()
        version, position = msgspec.json.decode(body, type=tuple[int, tuple[str | int | None, ...]])
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise _refused() from None
    if version != _VERSION:
        raise _refused()
    return position


# ------------------------------------------------------------------ reading a position
# It went through the visitor's hands: each value is checked before it comes near a statement.


def read_position(position: Position, *readers: Callable[[Mark], object]) -> tuple[object, ...]:
    """The values of a position, each read by the reader in its place: `text_mark`, `moment_mark`, `id_mark`, or one of
    `number_mark`.

    Raises:
        BadCursor: there are more values or fewer, or one is not what is read there.
    """
    if len(position) != len(readers):
        raise _refused()
    return tuple(read(mark) for read, mark in zip(readers, position, strict=True))


def mark_of(moment: datetime) -> int:
    """A moment as a position holds it: microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_mark(mark: Mark) -> datetime:
    """The moment that `mark_of` was given. Raises BadCursor."""
    return _EPOCH + number_mark(0, _LATEST)(mark) * _MICROSECOND


def text_mark(mark: Mark) -> str:
    """Text that the database may hold, which is any without a NUL. Raises BadCursor."""
    if not isinstance(mark, str) or "\0" in mark:
        raise _refused()
    return mark


def id_mark(mark: Mark) -> UUID:
    """An id. Raises BadCursor."""
    found = parse_id(mark) if isinstance(mark, str) else None
    if found is None:
        raise _refused()
    return found


def number_mark(least: int = -_GREATEST, most: int = _GREATEST) -> Callable[[Mark], int]:
    """What reads a whole number from `least` to `most`: by default, what a bigint holds."""

    def read(mark: Mark) -> int:
        # bool is an int to Python, and no number to the database.
        if not isinstance(mark, int) or isinstance(mark, bool) or not least <= mark <= most:
            raise _refused()
        return mark

    return read


# ------------------------------------------------------------------ inside


def _refused() -> BadCursor:
    return BadCursor(
        "The cursor does not belong to this list, order and filter.", hint="Begin again at the list's first page."
    )


def _digest(scope: str, body: bytes) -> bytes:
    return hashlib.blake2b(scope.encode() + b"\0" + body, digest_size=_DIGEST_BYTES).digest()
