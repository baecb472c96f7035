"""Serving operations: find, let in, read, work in one transaction, answer; whatever happens, in a known form."""

import traceback
from asyncio import Event
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from stoa.access.budgets import Budgets, Spent
from stoa.api import idempotency
from stoa.api.discovery import OPEN
from stoa.api.entering import Entrance, Known, bearer_token, holder_of, let_in, origin_of
from stoa.api.errors import (
    InsufficientScope,
    InternalError,
    MethodNotAllowed,
    NotAuthenticated,
    PreconditionFailed,
    PreconditionRequired,
    RateLimited,
    ServiceUnavailable,
    TooSlow,
)
from stoa.api.faults import HEADER, Fault, fault_of, suffer
from stoa.api.operations import Answer, Asked, Call, Operation, OutsideCall
from stoa.api.problems import MEDIA_TYPE, problem_document
from stoa.api.reading import Bodies, headers_of, if_match, if_none_match, read_body, read_query
from stoa.api.routing import Found, Router
from stoa.api.versions import version_of
from stoa.db.database import Database
from stoa.db.errors import COLLISION, UNAVAILABLE, TookTooLong, UniqueViolation
from stoa.kernel.problems import Conflict, Problem
from stoa.tenants.sealing import Sealer

_ATTEMPTS: Final = 4
_STATEMENT_SECONDS: Final = 20
_encode = msgspec.json.Encoder(decimal_format="number").encode
_log: Final[Any] = structlog.get_logger("stoa.api")
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Service:
    """What the API is served from: one for each process.

    Attributes:
        base_url: scheme, host and port under which clients reach this server, without a slash at its end.
        stopping: set when the server stops, so that streams end.
        sealer: of the answers that are kept for a while.
    """

    database: Database
    budgets: Budgets
    base_url: str
    stopping: Event
    sealer: Sealer
    bodies: Bodies = field(default_factory=Bodies)


def with_api(app: ASGIApp, service: Service, operations: Iterable[Operation]) -> ASGIApp:
    """Wraps an application: what lies below /v1 is the API's, but for what anybody may read (`discovery`).

    It stands before the application's routes, which are looked through one by one.
    """
    endpoint = _Endpoint(service, Router(operations), Entrance(service.database))

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        of_api = scope["type"] == "http" and f"{scope['path']}/".startswith("/v1/") and scope["path"] not in OPEN
        await (endpoint if of_api else app)(scope, receive, send)

    return wrapped


@dataclass(slots=True)
class _Request:
    """One request on its way in. told: headers that every answer to it bears, as they come to be known."""

    scope: Scope
    receive: Receive
    headers: Mapping[str, str]
    trace_id: str | None
    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    fault: Fault | None = None

    @property
    def address(self) -> str | None:
        """From where it came."""
        client: tuple[str, int] | None = self.scope.get("client")
        return None if client is None else client[0]


@dataclass(frozen=True, slots=True)
class _Sent:
    """An answer as bytes."""

    status: int
    body: bytes
    headers: Headers
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class _Endpoint:
    service: Service
    router: Router
    entrance: Entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = _Request(scope, receive, headers_of(scope), scope.get("state", {}).get("trace_id"))
        try:
            sent = await self._answer(request, send)
        except Problem as problem:
            sent = self._problem(problem, request)
        except UNAVAILABLE as error:
            _log.warning("api_database_unavailable", trace_id=request.trace_id, **_told(error))
            sent = self._problem(_later(10), request)
        except Exception as error:
            _log.error("api_request_failed", trace_id=request.trace_id, **_told(error))
            sent = self._problem(
                InternalError("The server failed. Its log has the reason under the trace id."), request
            )
        if sent is None:
            return
        if request.fault is Fault.LOST_ANSWER:
            await _begin_only(send)
            return
        await _send(send, sent, request.told, head=scope["method"] == "HEAD")

    def _problem(self, problem: Problem, request: _Request) -> _Sent:
        body = problem_document(problem, base_url=self.service.base_url, trace_id=request.trace_id)
        headers: list[tuple[str, str]] = []
        match problem:
            case NotAuthenticated() | InsufficientScope():
                headers.append(("www-authenticate", _challenge(problem, request.headers)))
            case MethodNotAllowed():
                allowed: Any = problem.extra["allow"]
                headers.append(("allow", ", ".join(allowed)))
            case RateLimited() | ServiceUnavailable():
                headers.append(("retry-after", str(problem.extra["retry_after"])))
            case _:
                pass
        return _Sent(problem.status, body, tuple(headers), MEDIA_TYPE)

    async def _answer(self, request: _Request, send: Send) -> _Sent | None:
        scope = request.scope
        method: str = scope["method"]
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        if method == "OPTIONS":
            return self._options(raw)
        found = self.router.find(method, raw.split(b"?", 1)[0].decode("latin-1"))
        operation = found.operation
        if operation.deprecated is not None:
            request.told.extend(_deprecation(operation))
        known = await self.entrance.known(bearer_token(request.headers))
        await self._spend(request, known, operation)
        version = version_of(request.headers.get("stoa-version"), known.credential.version)
        request.told.append(("stoa-version", version))
        request.fault = fault_of(request.headers.get(HEADER), sandbox=known.sandbox)
        await suffer(request.fault)
        query = read_query(operation, scope.get("query_string", b""))
        body = await read_body(request.receive, request.headers, operation.max_bytes) if method != "GET" else b""
        content = self.service.bodies.read(operation, request.headers, body)
        asked = Asked(
            known.tenant_id, known.tenant, known.credential, found.path, request.headers, self.service.base_url, version
        )
        if operation.outside is not None:
            await self._outside(request, send, known, asked, query, operation)
            return None
        work = _Work(self.service, self.entrance, request, known, asked, found, query, content, body)
        try:
            async with self.entrance.turn(known.tenant_id):
                return await work.done()
        except NotAuthenticated:
            self.entrance.forget(known)
            raise

    def _options(self, raw: bytes) -> _Sent:
        try:
            self.router.find("OPTIONS", raw.split(b"?", 1)[0].decode("latin-1"))
        except MethodNotAllowed as found:
            allowed: Any = found.extra["allow"]
            return _Sent(204, b"", (("allow", ", ".join(allowed)),))
        raise AssertionError("no operation has the method OPTIONS")

    async def _spend(self, request: _Request, known: Known, operation: Operation) -> None:
        budgets, holder = self.service.budgets, known.holder
        cost = _cost(operation, request.headers)
        spent = budgets.spend_now(known.tenant_id, holder, cost)
        if spent is None:
            spent = await budgets.spend(known.tenant_id, holder, cost)
        request.told.extend(_budget_headers(spent))
        if not spent.allowed:
            seconds = max(1, spent.retry_after or 1)
            whose = next((one for one in spent.standings if one.remaining < cost), spent.standings[0])
            raise RateLimited(
                f"The {whose.name}'s budget of {whose.quota} requests in {whose.window} seconds is used up.",
                hint=f"Repeat the request in {seconds} seconds. The RateLimit headers tell what is left.",
                retry_after=seconds,
            )

    async def _outside(
        self, request: _Request, send: Send, known: Known, asked: Asked, query: Any, operation: Operation
    ) -> None:
        service = self.service
        origin = origin_of(known.credential, request.trace_id, request.address)

        async def still_good() -> bool:
            try:
                async with service.database.tenant(known.tenant_id, origin, read_only=True, also=known.unchanged) as tx:
                    await let_in(tx, known, operation, request.address)
            except Problem:
                return False
            return True

        async with service.database.tenant(known.tenant_id, origin, read_only=True, also=known.unchanged) as tx:
            credential = await let_in(tx, known, operation, request.address)
        asked = replace(asked, credential=credential)
        call = OutsideCall(
            service.database, origin, asked, query, operation, service.stopping, still_good, tuple(request.told)
        )
        assert operation.outside is not None
        answer = await operation.outside(call)
        for name, value in (*request.told, ("cache-control", "no-store")):
            answer.headers[name] = value
        if request.scope["method"] == "HEAD":
            # What streams is not begun: it would go on behind an answer that has ended for its reader.
            await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await answer(request.scope, request.receive, send)


@dataclass(frozen=True, slots=True)
class _Work:
    """A request that was read, and is done in one transaction."""

    service: Service
    entrance: Entrance
    request: _Request
    known: Known
    asked: Asked
    found: Found
    query: Any
    content: Any
    body: bytes

    async def done(self) -> _Sent:
        """The answer; done again when the database chose the transaction to give way to another one."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._once()
            except UniqueViolation:
                # Somebody made the same a moment ago: the next attempt sees it and says so.
                if attempt == _ATTEMPTS:
                    raise Conflict("Another request has just made the same.", hint="Read it, then decide.") from None
            except COLLISION:
                if attempt == _ATTEMPTS:
                    raise _later(1) from None
            except TookTooLong:
                raise TooSlow(
                    "This takes longer than a request may.",
                    hint="Filter by a member that has an index, or ask for less.",
                ) from None
        raise AssertionError("unreachable")

    async def _once(self) -> _Sent:
        operation, known, request = self.found.operation, self.known, self.request
        origin = origin_of(known.credential, request.trace_id, request.address)
        reading = operation.method == "GET"
        async with self.service.database.tenant(
            known.tenant_id, origin, read_only=reading, limit_seconds=_STATEMENT_SECONDS, also=known.unchanged
        ) as tx:
            credential = await let_in(tx, known, operation, request.address)
            asked = self.asked
            if credential is not asked.credential:
                self.entrance.note(known, credential)
                asked = replace(asked, credential=credential)
            key = idempotency.key_of(operation, holder_of(credential), request.headers, self._address(), self.body)
            if key is not None:
                stored = await idempotency.begin(tx, key, self.service.sealer)
                if stored is not None:
                    replayed = ("idempotency-replayed", "true")
                    return _Sent(stored.status, stored.body, (*stored.headers, replayed))
            if operation.match == "required" and "if-match" not in request.headers:
                raise PreconditionRequired(
                    "This needs an If-Match header.", hint="Read it first, and send the ETag of that answer."
                )
            assert operation.handler is not None
            answer = await operation.handler(Call(tx, asked, self.query, self.content, operation))
            sent = _encoded(answer, operation, request.headers)
            if key is not None and answer.problem is None:
                kept = idempotency.Stored(sent.status, sent.headers, sent.body)
                await idempotency.store(tx, key, kept, self.service.sealer)
        if answer.problem is not None:
            raise answer.problem
        return sent

    def _address(self) -> str:
        scope = self.request.scope
        return f"{scope['path']}?{scope.get('query_string', b'').decode('latin-1')}"


def _cost(operation: Operation, headers: Mapping[str, str]) -> int:
    """Units of the budget: of a body whose length is not announced, those of the longest that there may be."""
    if operation.bytes_per_unit == 0:
        return operation.cost
    announced = headers.get("content-length", "")
    length = int(announced) if announced.isdigit() and len(announced) <= 12 else operation.max_bytes
    return operation.cost + min(length, operation.max_bytes) // operation.bytes_per_unit


def check_match(call: Call[Any, Any], etag: str | None) -> None:
    """Refuses to change what is not as the client last saw it.

    etag: of what is to be changed, without quotes; None where there is nothing yet, which no If-Match fits.

    Raises:
        PreconditionFailed, BadHeader.
    """
    wanted = if_match(call.asked.headers)
    if wanted is None or (etag is not None and ("*" in wanted or etag in wanted)):
        return
    told = "There is nothing here yet." if etag is None else "It has changed since: its ETag is another one."
    raise PreconditionFailed(told, hint="Read it again, and decide by what it says now.", etag=etag)


def _encoded(answer: Answer, operation: Operation, headers: Mapping[str, str]) -> _Sent:
    more = answer.headers
    if answer.etag is not None:
        more = (*more, ("etag", f'"{answer.etag}"'))
        asked = None if operation.method != "GET" else if_none_match(headers)
        if asked is not None and (answer.etag in asked or "*" in asked):
            return _Sent(304, b"", more)
    body = b"" if answer.content is None else _encode(answer.content)
    return _Sent(answer.status, body, more, operation.media_type)


def _challenge(problem: NotAuthenticated | InsufficientScope, headers: Mapping[str, str]) -> str:
    """RFC 6750, 3: what is wrong with a token that was shown; nothing of that to whoever has shown none."""
    realm = 'Bearer realm="stoa"'
    if isinstance(problem, InsufficientScope):
        return f'{realm}, error="insufficient_scope", scope="{problem.extra["scope"]}"'
    shown = headers.get("authorization", "").strip().lower().startswith("bearer ")
    return f'{realm}, error="invalid_token"' if shown else realm


def _later(seconds: int) -> ServiceUnavailable:
    return ServiceUnavailable(
        "The database is busy or away.", hint="Repeat the request in some seconds.", retry_after=seconds
    )


def _told(error: Exception) -> dict[str, str]:
    """What failed and where, without the message, which may quote personal data."""
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": type(error).__name__, "at": " < ".join(f"{one.name}:{one.lineno}" for one in reversed(frames))}


def _budget_headers(spent: Spent) -> Headers:
    """draft-ietf-httpapi-ratelimit-headers: quota and window in seconds, then remaining and seconds to the reset."""
    client, tenant = spent.standings
    policy = f'"client";q={client.quota};w={client.window}, "tenant";q={tenant.quota};w={tenant.window}'
    left = f'"client";r={client.remaining};t={client.reset_in}, "tenant";r={tenant.remaining};t={tenant.reset_in}'
    return (("ratelimit-policy", policy), ("ratelimit", left))


def _deprecation(operation: Operation) -> Headers:
    told = operation.deprecated
    assert told is not None
    since, sunset = (datetime.combine(day, time(), UTC) for day in (told.since, told.sunset))
    return (("deprecation", f"@{int(since.timestamp())}"), ("sunset", format_datetime(sunset, usegmt=True)))


async def _begin_only(send: Send) -> None:
    """Begins an answer and leaves it: the server then ends the connection."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"", "more_body": True})


async def _send(send: Send, sent: _Sent, told: Iterable[tuple[str, str]], *, head: bool) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*sent.headers, *told)]
    if sent.body:
        headers.append((b"content-type", sent.media_type.encode()))
    if sent.status not in {204, 304}:
        headers.append((b"content-length", str(len(sent.body)).encode()))
    # What is answered is true for one credential at one time.
    headers.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": sent.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else sent.body})
