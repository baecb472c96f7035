"""HTTP as SCIM needs it: what a request brought, what an answer holds, and how much of a body is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from starlette.types import Receive, Scope, Send

from stoa.access.model import Credential
from stoa.db.transactions import TenantTx
from stoa.identity.scim.effort import Effort
from stoa.identity.scim.errors import ScimError, ScimType, error_body, invalid_syntax, invalid_value
from stoa.identity.scim.own.offered import PLAIN, Offered
from stoa.kernel.ids import SourceId
from stoa.people.model import Refused, Written

MEDIA_TYPE: Final = "application/scim+json"
MAX_BODY: Final = 1_048_576
MAX_QUERY_FIELDS: Final = 100
_ACCEPTED_TYPES: Final = frozenset({MEDIA_TYPE, "application/json"})
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, before anybody knows by whom.

    Attributes:
        path: below the tenant's SCIM address, split at slashes, decoded.
        headers: by lower-case name; of a repeated header the last.
    """

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose sender is known, in the sender's tenant.

    Attributes:
        resource_id: the last part of the path, where the endpoint has one.
        base_url: the tenant's SCIM address, absolute, without a slash at its end.
        offered: the schemas that hold in the tenant.
        effort: what is left of it, for all that the request asks.
    """

    tx: TenantTx
    credential: Credential
    source_id: SourceId
    request: Request
    resource_id: str
    base_url: str
    offered: Offered = PLAIN
    effort: Effort = field(default_factory=Effort)


class Word(StrEnum):
    """What came of a request, in one word."""

    READ = "read"
    CREATED = "created"
    LINKED = "linked"
    REVIVED = "revived"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    HELD = "held"
    REFUSED = "refused"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request did and why, for the log that an admin reads.

    Attributes:
        reason: the resolver's rule, the reason of the change, or the run that a held effect waits for.
        resource_id, person_id: whom it was about, if it was about one.
        written: the change in the journal, if there is one.
    """

    word: Word
    reason: str = ""
    resource_id: UUID | None = None
    person_id: UUID | None = None
    written: Written | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and JSON of a response. Without a body nothing but the status is sent.

    Attributes:
        refused: who was not let in, of which an alert tells.
        outcome: what the request did; None for one that only read.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=())
    refused: Refused | None = None
    outcome: Outcome | None = None


def json_answer(status: int, content: object, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer with `content` as JSON."""
    return Answer(status, _encode(content), headers)


def error_answer(error: ScimError) -> Answer:
    """The answer that a ScimError stands for."""
    return Answer(error.http_status, error_body(error.http_status, error.detail, error.scim_type), error.headers)


def refused_answer(refused: Refused) -> Answer:
    """409: returned by a handler, not raised, so that what was decided of it is kept."""
    body = error_body(HTTPStatus.CONFLICT, f"{refused.detail} (rule {refused.rule})", ScimType.UNIQUENESS)
    return Answer(HTTPStatus.CONFLICT, body, outcome=Outcome(Word.REFUSED, refused.rule))


def names_version(condition: str | None, version: str) -> bool:
    """Whether an If-Match or If-None-Match names this version. Tags are compared weakly (RFC 9110, 8.8.3.2), for ours
    are weak.
    """
    if condition is None:
        return False
    tags = [tag.strip() for tag in condition.split(",")]
    return "*" in tags or any(tag.removeprefix("W/") == version.removeprefix("W/") for tag in tags)


def require_version(request: Request, version: str, what: str) -> None:
    """Raises ScimError 412 where the request's If-Match names another version of `what`, such as `user`, than this."""
    condition = request.headers.get("if-match")
    if condition is not None and not names_version(condition, version):
        raise ScimError(
            HTTPStatus.PRECONDITION_FAILED,
            f"The {what} has changed since: the version is now {version}. Read it again first.",
        )


def query_of(text: str) -> dict[str, str]:
    """The query parameters by their canonical name; of a repeated one the last. Raises ScimError."""
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict")
    except UnicodeDecodeError:
        raise invalid_value("The query is not UTF-8.") from None
    except ValueError:
        raise invalid_value(f"The query has more than {MAX_QUERY_FIELDS} parameters.") from None
    return {_PARAMETERS.get(name.lower(), name): value for name, value in fields}


_PARAMETERS: Final = {
    name.lower(): name
    for name in (
        *("filter", "startIndex", "count", "cursor", "sortBy", "sortOrder"),
        *("attributes", "excludedAttributes"),
    )
}


async def read_body(receive: Receive, headers: Mapping[str, str], *, most: int = MAX_BODY) -> bytes:
    """The request's body, of at most so many bytes. Raises ScimError 413 as soon as it is known to be too long, and
    what was sent of it is not kept.
    """
    announced = headers.get("content-length", "")
    if announced.isdigit() and (len(announced) > 12 or int(announced) > most):
        raise _too_large(most)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ScimError(HTTPStatus.BAD_REQUEST, "The connection ended before the whole request had come.")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most: int) -> ScimError:
    return ScimError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request takes at most {most} bytes.")


def json_of(request: Request) -> Any:
    """The body as JSON. Raises ScimError: 415 for another media type, invalidSyntax for what is no JSON."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _ACCEPTED_TYPES:
        detail = f"The body must be {MEDIA_TYPE} or application/json, and its Content-Type must say so."
        raise ScimError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    try:
        return _decode(request.body)
    except UnicodeDecodeError:
        raise invalid_syntax("The body is not UTF-8.") from None
    except msgspec.DecodeError as error:
        raise invalid_syntax(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise invalid_syntax("The body nests too deeply.") from None


def whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number from the query. Raises ScimError."""
    text = query.get(name)
    if text is None or text == "":
        return default
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise ScimError(HTTPStatus.BAD_REQUEST, f'"{name}" must be a whole number.', ScimType.INVALID_VALUE)
    return int(text)


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's headers by lower-case name."""
    raw: list[tuple[bytes, bytes]] = scope["headers"]
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}


async def send_answer(send: Send, answer: Answer, *, head: bool) -> None:
    """Sends the answer; after HEAD without its body."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if answer.body:
        headers.append((b"content-type", b"application/scim+json; charset=utf-8"))
    if answer.status != HTTPStatus.NO_CONTENT and answer.status != HTTPStatus.NOT_MODIFIED:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    # What is answered is personal, and true for one token at one time.
    headers.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
