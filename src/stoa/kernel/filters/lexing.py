"""The filter cut into tokens: strings, words (names, operators, numbers, keywords) and the marks ( ) [ ]."""

import json
import re
from decimal import Decimal
from typing import NamedTuple

from .errors import FilterError
from .syntax import AttrPath, Literal

MAX_LENGTH = 10_000
"""Longest filter, in characters."""

MAX_DIGITS = 40
MAX_EXPONENT = 100

_SPACE = " \t\r\n"
_NAME = r"\$?[A-Za-z][A-Za-z0-9_-]*"
_TOKEN = re.compile(
    r"[ \t\r\n]*(?:"
    r'(?P<string>"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\\x00-\x1f]*)*")'
    r'|(?P<word>[^ \t\r\n()\[\]"]+)'
    r"|(?P<mark>[()\[\]])"
    r")"
)
_STRING_PART = re.compile(r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*')
_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(\.[0-9]+)?(?:[eE]([+-]?[0-9]+))?")
_ATTRIBUTE = re.compile(rf"(?:([A-Za-z][A-Za-z0-9+.-]*:[!-~]+):)?({_NAME})(?:\.({_NAME}))?")
_ATTRIBUTE_START = re.compile(rf"{_NAME}(\.{_NAME})?")
_SURROGATE = re.compile("[\ud800-\udfff]")

_NOT_STORABLE = "characters that cannot be stored (U+0000 or half of a surrogate pair)"


class Token(NamedTuple):
    """`kind` is string, word, mark or end; `text` is as written; `start` and `stop` are its character offsets."""

    kind: str
    text: str
    start: int
    stop: int


def tokenise(text: str) -> list[Token]:
    """The tokens of `text`, closed by one of kind `end`. Raises FilterError for a broken string or a text that is too
    long.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"The filter is longer than {MAX_LENGTH} characters", position=MAX_LENGTH)
    tokens: list[Token] = []
    position = 0
    while (match := _TOKEN.match(text, position)) is not None:
        kind = match.lastgroup or ""
        start, position = match.span(kind)
        tokens.append(Token(kind, match[kind], start, position))
    rest = text[position:].lstrip(_SPACE)
    if rest:
        raise _string_error(text, len(text) - len(rest))
    tokens.append(Token("end", "", len(text), len(text)))
    return tokens


def _string_error(text: str, start: int) -> FilterError:
    """Why the string that opens at `start` is none."""
    match = _STRING_PART.match(text, start + 1)
    at = start + 1 if match is None else match.end()
    if at >= len(text):
        return FilterError('The string that begins here has no closing "', position=start)
    if text[at] == "\\":
        return FilterError(
            "Unknown escape in a string",
            position=at,
            hint='JSON knows \\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four hexadecimal digits.',
        )
    return FilterError(
        f"A string cannot contain the control character U+{ord(text[at]):04X}",
        position=at,
        hint=f"Write it as \\u{ord(text[at]):04x}.",
    )


def string_value(token: Token) -> str:
    """The text that a string token stands for. Raises FilterError for what no store could hold."""
    value = token.text[1:-1]
    if "\\" in value:
        loaded: str = json.loads(token.text)
        value = loaded
    if "\0" in value or (not value.isascii() and _SURROGATE.search(value) is not None):
        raise FilterError(f"The string contains {_NOT_STORABLE}", position=token.start)
    return value


def number_value(token: Token) -> Literal:
    """The number that a word token stands for, or None if it is no JSON number. Raises FilterError for one that is
    too long.
    """
    match = _NUMBER.fullmatch(token.text)
    if match is None:
        return None
    _, whole, fraction, exponent = match.groups()
    if (
        len(whole) + len(fraction or "") > MAX_DIGITS
        or len(exponent or "") > 4
        or abs(int(exponent or 0)) > MAX_EXPONENT
    ):
        raise FilterError(
            f"The number has more than {MAX_DIGITS} digits or an exponent beyond {MAX_EXPONENT}", position=token.start
        )
    return int(token.text) if fraction is None and exponent is None else Decimal(token.text)


def attribute_path(token: Token) -> AttrPath:
    """The attribute that a word token names: [schema URN ":"] name ["." sub-attribute]. Raises FilterError at the
    wrong character.
    """
    match = _ATTRIBUTE.fullmatch(token.text)
    if match is None:
        raise _attribute_error(token)
    urn, name, sub = match.groups()
    return AttrPath(name, sub, urn, token.start)


def is_name(text: str) -> bool:
    """Whether `text` is one attribute name, without schema and sub-attribute."""
    return re.fullmatch(_NAME, text) is not None


def _attribute_error(token: Token) -> FilterError:
    word = token.text
    tail_start = word.rfind(":") + 1
    match = _ATTRIBUTE_START.match(word, tail_start)
    at = tail_start if match is None else match.end()
    if at < len(word) and word[at] == "." and match is not None and match[1]:
        return FilterError(
            f"{quoted(word)} has more than one level of sub-attributes",
            position=token.start + at,
            hint="SCIM attributes have one level, as in name.familyName.",
        )
    if at == len(word) and match is not None:
        return FilterError(
            f"Expected a schema URN before the last colon of {quoted(word)}",
            position=token.start,
            hint="As in urn:ietf:params:scim:schemas:core:2.0:User:userName.",
        )
    found = "it ends" if at == len(word) else f"found {quoted(word[at])}"
    return FilterError(
        f"Expected an attribute name, but in {quoted(word)} {found}",
        position=token.start + at,
        hint="Names begin with a letter; letters, digits, - and _ follow. Leave a space before the operator.",
    )


def quoted(text: str) -> str:
    """A short, printable quotation of user input for a message."""
    clipped = text if len(text) <= 60 else text[:57] + "..."
    return (
        json.dumps(clipped, ensure_ascii=not clipped.isprintable())
        if '"' not in clipped
        else f"'{ascii(clipped)[1:-1]}'"
    )
