"""Requests to the tenant's own SCIM service without a network: each goes through the service's own table of addresses
and its handlers, in one transaction that is undone as a whole, so that no check leaves anything behind: no people, no
events, no alerts.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final
from urllib.parse import quote

import msgspec

from stoa.access.model import Credential
from stoa.db.errors import TookTooLong, UniqueViolation
from stoa.db.transactions import TenantTx
from stoa.identity.scim.dialects import entra
from stoa.identity.scim.entrance import SCOPE, bearer_token
from stoa.identity.scim.errors import ScimError, ScimType, bad
from stoa.identity.scim.http import MEDIA_TYPE, Answer, Call, Request, error_answer, query_of
from stoa.identity.scim.own.offers import offered_in
from stoa.identity.scim.routes import handler_of
from stoa.identity.scim.validation import is_list, is_object
from stoa.kernel.ids import CredentialId, SourceId, new_id

_LONGEST_SHOWN: Final = 4_000
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
# What may be shown of a resource of a real person: nothing but what every resource has alike.
_PLAIN: Final = frozenset({"schemas", "resourcetype", "type", "scimtype", "status", "detail", "version"})
_HIDDEN: Final = "…"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, as they may be shown. milliseconds: what the answer took."""

    method: str
    path: str
    body: str
    status: int
    answer: str
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Came:
    """An answer, read. headers: by lower-case name."""

    status: int
    body: Any
    headers: dict[str, str]
    milliseconds: int


@dataclass(slots=True)
class Bench:
    """A source of a tenant under test.

    Attributes:
        is_scratch: the source was made for the checks, so that its users are nobody; else its users' values are hidden
            in what is shown.
        exchanges: what went to and fro since the check began.
    """

    tx: TenantTx
    source_id: SourceId
    base_url: str
    is_scratch: bool
    exchanges: list[Exchange] = field(default_factory=list[Exchange])

    async def __call__(self, method: str, path: str, body: Any = None, *, authorised: bool = True) -> Came:
        """The answer to one request. path: below the SCIM address, with its query."""
        began = perf_counter()
        try:
            async with self.tx.savepoint():
                answer = await self._answer(method, path, body, authorised=authorised)
        except UniqueViolation:
            answer = error_answer(ScimError(HTTPStatus.CONFLICT, "Another request made the same.", ScimType.UNIQUENESS))
        except TookTooLong:
            answer = error_answer(bad(ScimType.TOO_MANY, "The filter takes too long."))
        except ScimError as error:
            answer = error_answer(error)
        milliseconds = round((perf_counter() - began) * 1000)
        came = Came(answer.status, _decode(answer.body) if answer.body else None, dict(answer.headers), milliseconds)
        self.exchanges.append(
            Exchange(method, path, _shown(body, hides=False), came.status, self._told(came), milliseconds)
        )
        return came

    async def find(self, kind: str, text: str, *, flagged: bool = False, more: str = "") -> Came:
        """A list with a filter. kind: `Users` or `Groups`. flagged: with Entra's flag. more: further parameters."""
        flag = f"{entra.FLAG}&" if flagged else ""
        return await self("GET", f"/{kind}?{flag}filter={quote(text, safe='')}{more}")

    async def _answer(self, method: str, path: str, body: Any, *, authorised: bool) -> Answer:
        if not authorised:
            bearer_token({})
        plain, _, query = path.partition("?")
        if entra.has_flag(plain, query):
            plain, query = entra.without_flag(plain, query)
        parts = tuple(part for part in plain.split("/") if part)
        handler, resource_id = handler_of(parts, method)
        headers = {} if body is None else {"content-type": MEDIA_TYPE}
        request = Request(method, parts, query_of(query), headers, b"" if body is None else _encode(body))
        offered = await offered_in(self.tx)
        call = Call(self.tx, self._credential(), self.source_id, request, resource_id, self.base_url, offered)
        return await handler(call)

    def _credential(self) -> Credential:
        """A credential that is stored nowhere and opens nothing."""
        return Credential(
            CredentialId(new_id()), "Conformance", "", frozenset({SCOPE}), self.source_id, self.tx.now, None, None, None
        )

    def _told(self, came: Came) -> str:
        return _shown(came.body, hides=not self.is_scratch)


def _shown(value: Any, *, hides: bool) -> str:
    if value is None:
        return ""
    text = msgspec.json.format(_encode(_hidden(value) if hides else value), indent=2).decode()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}\n{_HIDDEN}"


def _hidden(value: Any, name: str = "") -> Any:
    """The document with the shape of every value, and the value of none that says who somebody is."""
    if is_object(value):
        return {key: _hidden(inner, key) for key, inner in value.items()}
    if is_list(value):
        return [_hidden(inner, name) for inner in value]
    return _HIDDEN if isinstance(value, str) and name.lower() not in _PLAIN else value
