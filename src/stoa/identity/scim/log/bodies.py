"""What of a request is written down, and how: secrets never, names as keyed digests, the rest sealed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit

import msgspec

from stoa.identity.scim.bulk.model import BULK_RESPONSE
from stoa.identity.scim.log.model import MOST_ANSWER, MOST_REQUEST, Noted, Sealed
from stoa.identity.scim.model import LIST_SCHEMA, Mutability
from stoa.identity.scim.own.model import OwnSchema
from stoa.identity.scim.schemas import USERS
from stoa.identity.scim.validation import is_list, is_object
from stoa.kernel.fold import fold
from stoa.kernel.ids import TenantId, parse_id

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
# A part of a name that says of its value that nobody may read it, whichever schema it is of.
_SECRET: Final = re.compile("passw|passphrase|secret(?!ar)|token|credential|apikey|api_key|privatekey|private_key|otp$")
_WRITE_ONLY: Final = frozenset(
    one.name.lower() for one in USERS.schema.attributes if one.mutability is Mutability.WRITE_ONLY
)
_NOT_KEPT: Final = "[not kept]"
_ENDPOINT: Final = re.compile(r"[A-Za-z.]{1,30}")
_EQUALS: Final = re.compile(
    r'\b(userName|externalId|emails(?:\[[^\]]*\])?(?:\.value)?)\s+eq\s+"((?:[^"\\]|\\.)*)"', re.IGNORECASE
)
_LIST: Final = f'"{LIST_SCHEMA}"'.encode()
_BULK: Final = f'"{BULK_RESPONSE}"'.encode()
_DEEPEST: Final = 40
# Of a name; what is longer is no name of ours.
_LONGEST_NAME: Final = 300
# Of a request; in those behind them nobody looks for names.
_MOST_OPERATIONS: Final = 1_000


def is_secret(name: str, more: AbstractSet[str] = frozenset()) -> bool:
    """Whether the value of an attribute of this name, or at this path, is never kept.

    more: names, in lower case, of attributes that the tenant has made write-only.
    """
    secret, parts = _secret_parts(name[:_LONGEST_NAME])
    return secret or not more.isdisjoint(parts)


@lru_cache(maxsize=4096)
def _secret_parts(name: str) -> tuple[bool, frozenset[str]]:
    """Whether a name is secret in every tenant, and the attributes that it names."""
    last = re.sub(r"\[[^\]]*\]", "", name).rpartition(":")[2].lower()
    parts = frozenset(last.split("."))
    return any(part in _WRITE_ONLY or _SECRET.search(part) is not None for part in parts), parts


# ------------------------------------------------------------------ taking secrets out


@dataclass(slots=True)
class Cleaning:
    """Takes out of a body, as JSON, what is secret. An operation of a PATCH whose path names a secret goes as a whole.

    Attributes:
        removed: where something stood that was taken out. more: as of `is_secret`.
        left: how much more of the body is kept, in bytes at least. What comes after it would be cut off anyway, and is
            not looked through: a body of megabytes must not hold up the requests of others.
    """

    removed: list[str]
    more: AbstractSet[str]
    left: int = MOST_REQUEST

    def of(self, value: Any, at: str = "", depth: int = 0) -> Any:
        """What is kept of a value, which stands at a place."""
        if depth > _DEEPEST:
            self._remove(at)
            return None
        if is_object(value):
            return self._object(value, at, depth)
        if is_list(value):
            return self._list(value, at, depth)
        self.left -= len(value) if isinstance(value, str) else 1
        return value

    def _object(self, value: Mapping[str, Any], at: str, depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, one in value.items():
            if self.left <= 0:
                break
            self.left -= len(name) + 3
            place = f"{at}.{name}" if at else name
            if is_secret(name, self.more):
                self._remove(place)
            elif not depth and isinstance(one, str) and name.lower() == "filter":
                # Of a search whose query stands in the body.
                kept[name] = safe_query(one, self.more)
            else:
                kept[name] = self.of(one, place, depth + 1)
        return kept

    def _list(self, value: Sequence[Any], at: str, depth: int) -> list[Any]:
        kept: list[Any] = []
        for number, one in enumerate(value):
            if self.left <= 0:
                break
            self.left -= 1
            place = f"{at}[{number}]"
            if is_object(one) and _sets_secret(one, self.more):
                self._remove(place)
            else:
                kept.append(self.of(one, place, depth + 1))
        return kept

    def _remove(self, place: str) -> None:
        self.left -= len(place)
        self.removed.append(place[:_LONGEST_NAME])


def _sets_secret(operation: Mapping[str, Any], more: AbstractSet[str]) -> bool:
    path = next((value for name, value in operation.items() if name.lower() == "path"), None)
    return isinstance(path, str) and is_secret(path, more)


def safe_query(query: str, more: AbstractSet[str] = frozenset()) -> str:
    """The query as it was sent; nothing of it if it names something secret."""
    asked = unquote_plus(query).lower()
    return _NOT_KEPT if _SECRET.search(asked) is not None or any(name in asked for name in more) else query


def write_only_of(schemas: Iterable[OwnSchema]) -> frozenset[str]:
    """The names, in lower case, of attributes that a tenant has made write-only; those of retired schemas too, which
    clients may send still.
    """
    found: set[str] = set()
    waiting = [attribute for schema in schemas for attribute in schema.attributes]
    while waiting:
        one = waiting.pop()
        waiting.extend(one.sub_attributes)
        if one.mutability == Mutability.WRITE_ONLY.value:
            found.add(one.name.lower())
    return frozenset(found)


# ------------------------------------------------------------------ what is stored


def shown_path(path: tuple[str, ...]) -> str:
    """The path without what might be somebody's name: parts that are neither an endpoint's name nor an id are left
    out.
    """
    parts = [
        part if (not number and _ENDPOINT.fullmatch(part)) or part == ".search" or parse_id(part) else "…"
        for number, part in enumerate(path[:4])
    ]
    return "/" + "/".join(parts)


def sealed_of(noted: Noted, more: AbstractSet[str] = frozenset(), why: str = "") -> tuple[Sealed, Any]:
    """What is sealed of a request, and its body as JSON; None where there is none.

    more: as of `is_secret`.
    """
    request = noted.request
    cleaning = Cleaning([], more)
    body: Any = None
    kept, no_json = b"", False
    if request.body:
        try:
            body = _decode(request.body)
            # Written anew in any case: of a name that stands twice, what stood first was not looked at.
            kept = _encode(cleaning.of(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            body, no_json = None, True
    answer = _answer(noted.answer.body)
    return Sealed(
        path="/" + "/".join(request.path),
        query=safe_query(noted.arrival.query, more),
        request=kept[:MOST_REQUEST],
        request_bytes=len(request.body),
        cut=len(kept) > MOST_REQUEST or cleaning.left <= 0,
        no_json=no_json,
        removed=cleaning.removed,
        answer=answer[:MOST_ANSWER],
        answer_bytes=len(noted.answer.body),
        answer_cut=len(answer) > MOST_ANSWER,
        why=why,
    ), body


def _answer(body: bytes) -> bytes:
    """The answer as it is kept: of a list of several users their ids alone, for such a line is about nobody, and would
    not go with those whom it shows; of a long answer to a bulk request the operations that were refused alone.
    """
    if _BULK in body[:4_000] and len(body) > MOST_ANSWER:
        return _refused_of(body)
    if _LIST not in body[:4_000]:
        return body
    listed = _decode(body)
    found: list[Any] = listed.get("Resources", [])
    if len(found) < 2:
        return body
    return _encode({**listed, "Resources": [{"id": one.get("id")} for one in found]})


def _refused_of(body: bytes) -> bytes:
    """Of the answer to a bulk request those operations that were refused, as many as are kept."""
    told = _decode(body)
    refused: list[bytes] = []
    left = MOST_ANSWER - 1_000
    for operation in told["Operations"]:
        if "response" in operation:
            text = _encode(operation)
            left -= len(text) + 1
            if left < 0:
                break
            refused.append(text)
    return _encode({**told, "Operations": [msgspec.Raw(one) for one in refused]})


def only_resource(body: bytes) -> str | None:
    """The id of the one user in the answer to a search; None where it shows none, or several."""
    if _LIST not in body[:4_000]:
        return None
    found: list[Any] = _decode(body).get("Resources", [])
    return found[0].get("id") if len(found) == 1 else None


# ------------------------------------------------------------------ names


def digest(key: bytes, tenant_id: TenantId, name: str) -> int:
    """A name as the log is searched by it: 64 bits that say nothing to whoever has no key."""
    made = blake2b(tenant_id.bytes + fold(name.strip()).encode(errors="replace"), digest_size=8, key=key).digest()
    return int.from_bytes(made, signed=True)


def names_of(query: str, body: Any) -> dict[str, str]:
    """The names in a request: `user_name`, `external_id` and `email`, those that there are; of a search, those that it
    asked for.
    """
    found: dict[str, str] = {}
    if is_object(body):
        _of_document(body, found)
        given: Any = body.get("Operations")
        operations: list[Any] = given if is_list(given) else []
        for operation in islice(operations, _MOST_OPERATIONS):
            if is_object(operation):
                _of_operation(operation, found)
    asked = unquote_plus(query) if query else ""
    if is_object(body) and isinstance(body.get("filter"), str):
        asked = body["filter"]
    for name, value in _EQUALS.findall(asked):
        found.setdefault(_FIELD[name.lower()[:5]], value.replace('\\"', '"').replace("\\\\", "\\"))
    return {name: value for name, value in found.items() if 0 < len(value) <= 1_000}


_FIELD: Final = {"usern": "user_name", "exter": "external_id", "email": "email"}


def _of_document(document: Mapping[str, Any], found: dict[str, str]) -> None:
    for name, value in document.items():
        match name.lower():
            case "username" if isinstance(value, str):
                found.setdefault("user_name", value)
            case "externalid" if isinstance(value, str):
                found.setdefault("external_id", value)
            case "emails" if is_list(value):
                for one in value:
                    if is_object(one) and isinstance(one.get("value"), str):
                        found.setdefault("email", one["value"])
            case _:
                pass


def _of_operation(operation: Mapping[str, Any], found: dict[str, str]) -> None:
    path, value = operation.get("path"), operation.get("value")
    if is_object(value):
        _of_document(value, found)
    elif isinstance(path, str) and isinstance(value, str):
        field = _FIELD.get(path.rpartition(":")[2].lower()[:5])
        if field is not None:
            found.setdefault(field, value)


def path_of(text: str) -> tuple[str, ...]:
    """The path of a sealed line in parts, as a request has it."""
    return tuple(part for part in urlsplit(text).path.split("/") if part)
