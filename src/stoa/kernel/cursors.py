"""Cursors: where the next page of a list begins, as text that means something to this server alone.

A cursor holds the position in a list and a digest of the list's scope (its name, tenant, order and filter), so that a
cursor of another list is refused instead of skipping rows silently. It is no secret and grants nothing: whoever makes
one up gets another page of a list that it may read anyway.
"""

import base64
import binascii
import hashlib
from typing import Final

import msgspec

from stoa.kernel.problems import BadInput

Position = tuple[str | int | None, ...]

_LONGEST: Final = 4_000
_DIGEST_BYTES: Final = 9
# Changed when positions come to mean something else: older cursors are then refused.
_VERSION: Final = 1


class BadCursor(BadInput):
    """The cursor is damaged, or belongs to another list, order, filter or tenant."""

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


def _refused() -> BadCursor:
    return BadCursor(
        "The cursor does not belong to this list, order and filter.", hint="Begin again at the list's first page."
    )


def _digest(scope: str, body: bytes) -> bytes:
    return hashlib.blake2b(scope.encode() + b"\0" + body, digest_size=_DIGEST_BYTES).digest()
