"""What tokens and scopes look like. Pure, but for the random bits that are passed in."""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from stoa.access.scopes import SCOPES
from stoa.kernel.problems import BadInput

SECRET_CHARS: Final = 43
PREFIX_CHARS: Final = 6
MOST_SCOPES: Final = 20
LONGEST_NAME: Final = 200
_AT: Final = "stoa_at_"

_SCOPE = re.compile(r"[a-z][a-z0-9-]{0,29}(:[a-z][a-z0-9-]{0,29})?")
# The kind tells people and secret scanners what they are looking at.
_TOKEN = re.compile(r"stoa_([a-z][a-z0-9-]{0,29})_([A-Za-z0-9_-]{43})")


def checked_scopes(scopes: Iterable[str]) -> list[str]:
    """The scopes in order, each once.

    Raises:
        BadInput: there is none, there are more than twenty, or one is not spelt like `scim` or `api:read`.
    """
    wanted = sorted(set(scopes))
    if not wanted or len(wanted) > MOST_SCOPES:
        raise BadInput(f"A credential has 1 to {MOST_SCOPES} scopes.", hint="Name what it is for, for example scim.")
    for scope in wanted:
        if not _SCOPE.fullmatch(scope):
            raise BadInput(f"{scope[:80]!r} is not a scope.", hint="Scopes are spelt like scim or api:read.")
    return wanted


def checked_name(text: str) -> str:
    """`text` without white space around it, if it has 1 to 200 printable characters.

    Raises:
        BadInput: it has not.
    """
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadInput(f"The credential's name must have 1 to {LONGEST_NAME} printable characters.")
    return name


def token_text(scopes: Iterable[str], secret: str) -> str:
    """The token of 43 URL-safe characters of secret (256 bits): `stoa_<kind>_<secret>`.

    The kind is `api` for scopes of the API, else what all scopes have in common before the colon, else `key`.
    """
    scopes = set(scopes)
    if scopes <= SCOPES.keys():
        return f"stoa_api_{secret}"
    families = {scope.partition(":")[0] for scope in scopes}
    kind = families.pop() if len(families) == 1 else "key"
    return f"stoa_{kind}_{secret}"


def access_token_text(secret: str) -> str:
    """The access token of 43 URL-safe characters of secret."""
    return _AT + secret


def is_access_token(token: str) -> bool:
    """Whether the text is spelt like what /oauth/token gives."""
    return token.startswith(_AT)


def token_prefix(token: str) -> str:
    """What may be shown of a token: all before the secret, and six characters of it, which leaves 220 bits unknown."""
    return token[: PREFIX_CHARS - SECRET_CHARS]


def token_hash(token: str) -> bytes | None:
    """The SHA-256 digest under which a token is stored, or None if the text cannot be a token.

    A token has 256 random bits, so an unsalted fast hash cannot be searched; and looking a digest up by index tells an
    attacker nothing by its timing, for nobody can choose a digest's first bytes.
    """
    return hashlib.sha256(token.encode("ascii")).digest() if _TOKEN.fullmatch(token) else None
