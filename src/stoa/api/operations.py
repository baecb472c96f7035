"""Operations of the public API, declared as values: what serves them and what documents them read the same words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar

import msgspec

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import TenantId
from stoa.kernel.problems import Problem

if TYPE_CHECKING:
    from asyncio import Event

    from starlette.responses import Response

    from stoa.access.model import Credential
    from stoa.db.database import Database
    from stoa.db.transactions import Origin

Query = TypeVar("Query")
Body = TypeVar("Body")
Need = Literal["required", "optional", "none"]
MEBIBYTE: Final = 1_048_576


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operation without query parameters."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose sender is known.

    Attributes:
        path: the values of the path's parameters, decoded.
        headers: by lower-case name.
        base_url: scheme, host and port under which clients reach this server, without a slash at its end.
        version: of the API, a date such as `2026-11-23`.
    """

    tenant_id: TenantId
    tenant: str
    credential: Credential
    path: Mapping[str, str]
    headers: Mapping[str, str]
    base_url: str
    version: str


@dataclass(frozen=True, slots=True)
class Call(Generic[Query, Body]):
    """A request inside its tenant's transaction, which is committed when the handler has returned. It is read-only for
    GET.
    """

    tx: TenantTx
    asked: Asked
    query: Query
    body: Body
    operation: Operation

    @property
    def credential(self) -> Credential:
        """Who calls."""
        return self.asked.credential

    @property
    def path(self) -> Mapping[str, str]:
        """The values of the path's parameters, decoded."""
        return self.asked.path

    @property
    def now(self) -> datetime:
        """The tenant's clock."""
        return self.tx.now

    def url(self, path: str) -> str:
        """The absolute address of a path of this API."""
        return f"{self.asked.base_url}{path}"


@dataclass(frozen=True, slots=True)
class OutsideCall(Generic[Query]):
    """A request of an operation that opens its transactions itself: one that waits, or streams.

    Attributes:
        stopping: set when the server stops, so that streams end.
        still_good: whether the credential still opens the operation; asks the database.
        headers: those that the answer must bear (budgets, version).
    """

    database: Database
    origin: Origin
    asked: Asked
    query: Query
    operation: Operation
    stopping: Event
    still_good: Callable[[], Awaitable[bool]]
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered.

    Attributes:
        content: encoded as JSON by msgspec; of the type that the operation declares for the status.
        etag: without quotes.
        problem: answered in place of all else, once what the handler has written is committed: a refusal that is noted
            for somebody. It is not kept under an Idempotency-Key.
    """

    status: int = 200
    content: object = None
    headers: tuple[tuple[str, str], ...] = ()
    etag: str | None = None
    problem: Problem | None = None


Handler: TypeAlias = "Callable[[Call[Any, Any]], Awaitable[Answer]]"
OutsideHandler: TypeAlias = "Callable[[OutsideCall[Any]], Awaitable[Response]]"


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter in a path.

    Attributes:
        format: of JSON Schema, for example `uuid`.
        pattern: a regular expression that the whole value matches.
    """

    description: str
    format: str | None = None
    pattern: str | None = None
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Deprecation:
    """An operation that will go.

    Attributes:
        since: when it was said so (the Deprecation header, RFC 9745).
        sunset: from when on it may be gone (the Sunset header, RFC 8594).
        instead: what to use, for the documentation.
    """

    since: date
    sunset: date
    instead: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        id: of the OpenAPI document; camelCase, the verb first: `listPeople`.
        path: with parameters in braces: `/v1/people/{person_id}`.
        scope: what the credential must be granted; None where any credential will do.
        query: a Struct whose fields are the query parameters.
        body: a Struct, or None for an operation without a body.
        answers: the type of the answer by status; None for an answer without a body.
        problems: what the handler may raise besides what every operation may.
        idempotency: whether an Idempotency-Key header is needed, of use, or of none.
        match: the same of If-Match.
        decoded_as: what a body is decoded as, where its handler decodes parts of it one by one; `body` describes it.
        cost: units of the budget that a call takes.
        bytes_per_unit: a further unit for each so many bytes of the body; 0 for none.
        outside: in place of `handler`, for what waits or streams.
        media_type: of an answer with a body.
    """

    id: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    tag: str
    summary: str
    scope: str | None
    description: str = ""
    handler: Handler | None = None
    outside: OutsideHandler | None = None
    query: type[msgspec.Struct] = NoQuery
    body: Any = None
    decoded_as: Any = None
    path_params: Mapping[str, Param] = field(default_factory=dict[str, Param])
    answers: Mapping[int, Any] = field(default_factory=dict[int, Any])
    problems: tuple[type[Problem], ...] = ()
    idempotency: Need = "none"
    match: Need = "none"
    cost: int = 1
    bytes_per_unit: int = 0
    deprecated: Deprecation | None = None
    max_bytes: int = MEBIBYTE
    body_example: Mapping[str, object] | None = None
    media_type: str = "application/json"

    def __post_init__(self) -> None:
        """Raises ValueError for a declaration that cannot be served."""
        if (self.handler is None) == (self.outside is None):
            raise ValueError(f"{self.id}: an operation has a handler, or one outside of a transaction")
        named = {part[1:-1] for part in self.path.split("/") if part.startswith("{")}
        if named != set(self.path_params):
            raise ValueError(f"{self.id}: the path's parameters are {sorted(named)}, which is not what is described")
        if self.idempotency != "none" and self.method != "POST":
            raise ValueError(f"{self.id}: only POST needs an Idempotency-Key")
