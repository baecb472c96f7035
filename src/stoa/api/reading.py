"""What a request brought, decoded strictly: query, body and headers."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, assert_never, cast
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope

from stoa.api.errors import BadBody, BadHeader, BadQuery, BodyTooLarge, UnsupportedMediaType
from stoa.api.operations import Operation

_MOST_PARAMETERS: Final = 50
_JSON_TYPES: Final = frozenset({"application/json", "application/merge-patch+json"})
# "Expected `int` - at `$.limit`", "Object contains unknown field `x`", "... missing required field `x` - at `$.y`".
_AT: Final = re.compile(r" - at `\$\.?(.*)`$")
_NAMED: Final = re.compile(r"(?:unknown|required) field `([^`]*)`")
# How msgspec tells that a text must hold something besides spaces.
_NOT_BLANK: Final = r"matching regex '\\S'"
_NUL: Final = "\x00"
_NUMBER: Final = re.compile(r"[-+]?[0-9.]+")


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's headers by lower-case name; of a repeated one all values with commas (RFC 9110, 5.3)."""
    raw: list[tuple[bytes, bytes]] = scope["headers"]
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
    if len(found) == len(raw):
        return found
    values: dict[bytes, list[bytes]] = {}
    for name, value in raw:
        values.setdefault(name, []).append(value)
    return {name.decode("latin-1"): b", ".join(each).decode("latin-1") for name, each in values.items()}


def read_query(operation: Operation, text: bytes) -> Any:
    """The query parameters as the operation's Struct.

    Raises:
        BadQuery: one is unknown, repeated, or not of its type; or the text is not UTF-8.
    """
    if not text and not operation.query.__struct_fields__:
        return operation.query()
    given = _pairs(text)
    try:
        found = msgspec.convert(given, operation.query, strict=False)
    except msgspec.ValidationError as error:
        detail, name = _told(error)
        if "unknown field" not in detail:
            raise BadQuery(f"{detail}.", parameter=name[:60]) from None
        known = ", ".join(operation.query.__struct_encode_fields__) or "none"
        raise BadQuery(
            f"This operation has no parameter {name[:60]!r}.", hint=f"Its parameters: {known}.", parameter=name[:60]
        ) from None
    # A parameter may be a word of Python, as `from` is: its field then has another name.
    fields = dict(zip(operation.query.__struct_encode_fields__, operation.query.__struct_fields__, strict=True))
    for name, value in given.items():
        read = getattr(found, fields[name])
        # msgspec reads the text null as an absent value, and a bare number as a moment.
        if read is None or (isinstance(read, datetime) and _NUMBER.fullmatch(value)):
            raise BadQuery(f"{name}: {value[:60]!r} is not a value of it.", parameter=name)
    return found


def _pairs(text: bytes) -> dict[str, str]:
    """The parameters as they were sent. Raises BadQuery."""
    try:
        pairs = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict"
        )
    except UnicodeDecodeError:
        raise BadQuery("The query is not percent-encoded UTF-8.") from None
    except ValueError:
        raise BadQuery(f"The query has more than {_MOST_PARAMETERS} parameters.") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise BadQuery(f"The parameter {name[:60]!r} is given twice.", parameter=name[:60])
        if _NUL in value or _NUL in name:
            raise BadQuery("The query contains a NUL character.", parameter=name[:60].replace(_NUL, ""))
        given[name] = value
    return given


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The request's body.

    Raises:
        BodyTooLarge: as soon as that is known; what was sent of it is not kept.
        BadBody: the connection ended before the whole had come.
    """
    announced = headers.get("content-length", "")
    if announced.isdigit() and (len(announced) > 12 or int(announced) > limit):
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadBody("The connection ended before the whole request had come.")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"This operation takes a body of at most {limit} bytes.", hint="Send the work in several requests.", limit=limit
    )


class Bodies:
    """The decoders of an API's bodies, made once for each type."""

    def __init__(self) -> None:
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}

    def read(self, operation: Operation, headers: Mapping[str, str], body: bytes) -> Any:
        """The body as the operation's type; None where it has none.

        Raises:
            UnsupportedMediaType, BadBody.
        """
        if operation.body is None:
            if body.strip():
                raise BadBody("This operation takes no body.", hint="Send none.")
            return None
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in _JSON_TYPES:
            raise UnsupportedMediaType("The body must be JSON.", hint="Send Content-Type: application/json.")
        if headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
            raise UnsupportedMediaType("The body is compressed.", hint="Send it as it is, without Content-Encoding.")
        try:
            found = self._decoder(operation.decoded_as or operation.body).decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise refused_body(error) from None
        if operation.decoded_as is None:
            refuse_nul(body)
        return found

    def _decoder(self, wanted: Any) -> "msgspec.json.Decoder[Any]":
        decoder = self._decoders.get(wanted)
        if decoder is None:
            decoder = self._decoders[wanted] = msgspec.json.Decoder(wanted)
        return decoder


def refuse_nul(body: bytes) -> None:
    """Raises BadBody for JSON with a NUL character in a text or name, which cannot be stored."""
    if b"\\u0000" in body:
        path = _path_of_nul(msgspec.json.decode(body), "")
        if path is not None:
            raise BadBody("A text contains a NUL character, which cannot be stored.", field=path)


def _path_of_nul(value: Any, path: str) -> str | None:
    """Where the first NUL character is, as msgspec writes paths; None where there is none."""
    within: list[tuple[Any, str]] = []
    match value:
        case str():
            return path if _NUL in value else None
        case dict():
            members = cast("dict[str, Any]", value)
            within = [(one, f"{path}.{name}".lstrip(".")) for name, one in members.items()]
            if any(_NUL in name for name in members):
                return path
        case list():
            items = cast("list[Any]", value)
            within = [(one, f"{path}[{i}]") for i, one in enumerate(items)]
        case _:
            pass
    return next((found for one, at in within if (found := _path_of_nul(one, at)) is not None), None)


def refused_body(error: msgspec.DecodeError | UnicodeDecodeError | RecursionError) -> BadBody:
    """What is wrong with a body, or a part of one, that could not be decoded."""
    match error:
        case msgspec.ValidationError():
            detail, name = _told(error)
            return BadBody(f"{detail}.", field=name or None)
        case msgspec.DecodeError():
            return BadBody(f"The body is not JSON: {error}.")
        case UnicodeDecodeError():
            return BadBody("The body is not UTF-8.")
        case RecursionError():
            return BadBody("The body nests too deeply.")
        case _:
            assert_never(error)


def _told(error: msgspec.ValidationError) -> tuple[str, str]:
    """What is wrong, and the path of the member or parameter."""
    text = str(error)
    at = _AT.search(text)
    named = _NAMED.search(text)
    where = ".".join(part for part in (at[1] if at else "", named[1] if named else "") if part)
    words = _AT.sub("", text).replace("`", "'").replace(_NOT_BLANK, "that is not blank")
    return (f"{where}: {words}" if where and not named else words), where


def if_match(headers: Mapping[str, str]) -> frozenset[str] | None:
    """The ETags of If-Match without quotes, `*` for any; None without the header. Raises BadHeader."""
    return _etags(headers, "if-match", "If-Match")


def if_none_match(headers: Mapping[str, str]) -> frozenset[str] | None:
    """The ETags of If-None-Match without quotes. Raises BadHeader."""
    return _etags(headers, "if-none-match", "If-None-Match")


_ETAG: Final = re.compile(r'\s*(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*')


def _etags(headers: Mapping[str, str], name: str, told: str) -> frozenset[str] | None:
    text = headers.get(name)
    if text is None:
        return None
    if text.strip() == "*":
        return frozenset({"*"})
    found = [_ETAG.fullmatch(part) for part in text.split(",")]
    if any(one is None for one in found):
        raise BadHeader(f'{told} must be * or ETags in quotes, such as "7".', header=told)
    # In quotes it is an ETag that nothing has, and no word for all.
    return frozenset(one[1] for one in found if one is not None and one[1] != "*")
