"""SCIM's addresses: `/t/{slug}/scim/v2/...`. Thin: find the endpoint, let the sender in, call one function, render.

Each endpoint is an ASGI application of its own, so that it answers every method itself, in SCIM's form.
"""

import re
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from stoa.db.database import Database
from stoa.db.errors import COLLISION, UNAVAILABLE, UniqueViolation
from stoa.identity.scim import discovery, users
from stoa.identity.scim.bulk import endpoint as bulk
from stoa.identity.scim.bulk.model import MAX_PAYLOAD
from stoa.identity.scim.dialects import entra
from stoa.identity.scim.entrance import Senders, Slugs, bearer_token, refusal, sender
from stoa.identity.scim.errors import ScimError, ScimType, bad, error_body, not_found
from stoa.identity.scim.failures import Failures
from stoa.identity.scim.groups import endpoint as groups
from stoa.identity.scim.http import (
    MAX_BODY,
    Answer,
    Call,
    Request,
    error_answer,
    headers_of,
    query_of,
    read_body,
    send_answer,
)
from stoa.identity.scim.joining.together import Together
from stoa.identity.scim.lists import everything
from stoa.identity.scim.log.model import Arrival
from stoa.identity.scim.log.writer import RequestLog
from stoa.identity.scim.own.offers import Offers
from stoa.identity.scim.turns import Crowded, Turns
from stoa.kernel.ids import SourceId, TenantId

Handler = Callable[[Call], Awaitable[Answer]]
_ATTEMPTS: Final = 4
_NO_ENDPOINT: Final = (
    "There is nothing at this address. The base URL ends in /scim/v2; the endpoints below it are listed under "
    "/ResourceTypes."
)
# SQLSTATE of a statement that met its timeout.
_QUERY_CANCELED: Final = "57014"
# Requests whose statements take lists or filters, which are planned for what they ask.
_PLANNED_ANEW: Final = frozenset({(".search",), ("Bulk",)})
_READING: Final = frozenset({"GET", "HEAD"})
_WRITING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_BELOW: Final = re.compile("/t/[^/]+/scim/v2(?:/|$)")
_JOINED: Final = frozenset({"GET", "POST", "PUT", "PATCH"})
# Of what failed, the innermost: a body can make an error as deep as the interpreter goes.
_MOST_FRAMES: Final = 30
_log: Final[Any] = structlog.get_logger("stoa.scim")


async def _nobody(_: Call) -> Answer:
    detail = (
        "/Me would be the person behind the token (RFC 7644, 3.11). A SCIM token stands for a provisioning client, "
        "which is no person: address users as /Users/{id}."
    )
    raise ScimError(HTTPStatus.NOT_IMPLEMENTED, detail)


_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Path below the tenant's SCIM address, `{id}` for any one part, to the functions of its methods.
ENDPOINTS: Final[Mapping[str, Mapping[str, Handler]]] = {
    "Users": {"GET": users.search, "POST": users.create},
    "Users/.search": {"POST": users.search_by_post},
    "Users/{id}": {"GET": users.read, "PUT": users.replace, "PATCH": users.patch, "DELETE": users.delete},
    "": {"GET": everything.search},
    ".search": {"POST": everything.search_by_post},
    "ServiceProviderConfig": {"GET": discovery.config},
    "Schemas": {"GET": discovery.schemas},
    "Schemas/{id}": {"GET": discovery.schema},
    "ResourceTypes": {"GET": discovery.resource_types},
    "ResourceTypes/{id}": {"GET": discovery.resource_type},
    "Me": dict.fromkeys(_METHODS, _nobody),
    "Bulk": {"POST": bulk.handle},
    "Groups": {"GET": groups.search, "POST": groups.create},
    "Groups/.search": {"POST": groups.search_by_post},
    "Groups/{id}": {"GET": groups.read, "PUT": groups.replace, "PATCH": groups.patch, "DELETE": groups.delete},
}


def scim_routes(database: Database, *, base_url: str, log: RequestLog | None = None) -> list[Route]:
    """The routes of every tenant's SCIM service.

    base_url: scheme, host and port under which clients reach this server, for the locations in answers.
    log: where requests are written down; None for nowhere.
    """
    senders, offers, turns = Senders(), Offers(), Turns()
    together = Together(database, senders, offers, turns)
    service = _Service(
        database, base_url.rstrip("/"), Slugs(database), senders, offers, Failures(database), turns, together, log
    )
    root = "/t/{slug}/scim/v2"
    routes = [Route(f"{root}/{path}", _Endpoint(service), name=f"scim:{path}") for path in ENDPOINTS]
    # Whatever else stands below the address, or was joined to it in an odd way, is answered in SCIM's form too.
    return [*routes, Route(root, _Endpoint(service)), Route(root + "/{rest:path}", _Endpoint(service))]


def with_scim(app: ASGIApp, routes: Sequence[Route]) -> ASGIApp:
    """Wraps an application: what lies below a tenant's SCIM address goes to these routes (`scim_routes`), before the
    application's are looked through one by one.
    """
    router = Router(routes, redirect_slashes=False, default=app)

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        of_scim = scope["type"] == "http" and _BELOW.match(scope["path"]) is not None
        await (router if of_scim else app)(scope, receive, send)

    return wrapped


@dataclass(frozen=True, slots=True)
class _Service:
    database: Database
    base_url: str
    slugs: Slugs
    senders: Senders
    offers: Offers
    failures: Failures
    turns: Turns
    together: Together
    log: RequestLog | None


@dataclass(frozen=True, slots=True)
class _Found:
    """An endpoint with what the path says beside it."""

    handlers: Mapping[str, Handler]
    resource_id: str


@dataclass(frozen=True, slots=True)
class _Endpoint:
    service: _Service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; whatever happens, in SCIM's form."""
        method: str = scope["method"]
        trace_id: str | None = scope.get("state", {}).get("trace_id")
        arrival = Arrival(trace_id=trace_id)
        try:
            answer = await _answer(self.service, scope, receive, arrival)
        except ScimError as error:
            answer = error_answer(error)
        except UNAVAILABLE as error:
            _log.warning("scim_database_unavailable", trace_id=trace_id, **_told(error))
            answer = error_answer(_later(10))
        except Exception as error:
            _log.error("scim_request_failed", method=method, trace_id=trace_id, **_told(error))
            detail = f"The server failed. The operator finds the reason under the trace id {trace_id}."
            answer = Answer(500, error_body(500, detail))
        if self.service.log is not None:
            self.service.log.note(arrival, answer)
        await send_answer(send, answer, head=method == "HEAD")


def _told(error: Exception) -> dict[str, str]:
    """What failed and where, without the message, which may quote personal data."""
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    return {"error": type(error).__name__, "at": " < ".join(f"{one.name}:{one.lineno}" for one in reversed(frames))}


async def _answer(service: _Service, scope: Scope, receive: Receive, arrival: Arrival) -> Answer:
    slug: str = scope["path_params"]["slug"]
    path, query = _address(scope, slug)
    method: str = scope["method"]
    found = _find(path)
    if method == "OPTIONS" and found is not None:
        return Answer(HTTPStatus.NO_CONTENT, headers=(_allow(found),))
    headers = headers_of(scope)
    token = bearer_token(headers)
    body = await read_body(receive, headers, most=MAX_PAYLOAD if path == ("Bulk",) else MAX_BODY)
    tenant_id = await service.slugs.tenant_of(slug)
    client: tuple[str, int] | None = scope.get("client")
    arrival.address = client[0] or None if client else None
    arrival.tenant_id, arrival.query = tenant_id, query
    arrival.request = Request(method, path, {}, headers, body)
    visit = _Visit(service, slug, tenant_id, token, arrival)
    answer = await _joined(visit, query)
    if answer is not None:
        return answer
    seen = service.senders.has_seen(tenant_id, token)
    try:
        async with service.turns.taken(tenant_id, len(body), known=seen):
            return await _noting_failures(visit, arrival.request, query, found)
    except Crowded:
        raise _later(1, "More requests of this connection wait than are kept. Send fewer at once.") from None


def _address(scope: Scope, slug: str) -> tuple[tuple[str, ...], str]:
    """The path below the tenant's SCIM address, in parts, and the query as it was sent."""
    path: str = scope["path"]
    query = scope.get("query_string", b"").decode("latin-1")
    if entra.has_flag(path, query):
        path, query = entra.without_flag(path, query)
    below = path.partition(f"/t/{slug}/scim/v2")[2]
    return tuple(part for part in below.split("/") if part), query


def _find(path: tuple[str, ...]) -> _Found | None:
    whole = ENDPOINTS.get("/".join(path))
    if whole is not None:
        return _Found(whole, "")
    one = ENDPOINTS.get(f"{path[0]}/{{id}}") if len(path) == 2 else None
    return None if one is None else _Found(one, path[1])


def _allow(found: _Found) -> tuple[str, str]:
    methods = {*found.handlers, "OPTIONS", *({"HEAD"} if "GET" in found.handlers else ())}
    return "allow", ", ".join(sorted(methods))


@dataclass(slots=True)
class _Visit:
    """One request on its way in. source_id: in whose name it speaks, once that is known."""

    service: _Service
    slug: str
    tenant_id: TenantId
    token: str
    arrival: Arrival
    source_id: SourceId | None = None

    @property
    def base_url(self) -> str:
        """The tenant's SCIM address."""
        return f"{self.service.base_url}/t/{self.slug}/scim/v2"

    @property
    def trace_id(self) -> str | None:
        """By which the operator finds it in the logs."""
        return self.arrival.trace_id


async def _joined(visit: _Visit, query: str) -> Answer | None:
    """The answer to a request that was done together with others; None for one that is to be done by itself."""
    request = visit.arrival.request
    if request is None or request.path[:1] != ("Users",) or request.method not in _JOINED:
        return None
    together = visit.service.together
    return await together.answered(visit.arrival, visit.tenant_id, visit.token, request, query, visit.base_url)


async def _noting_failures(visit: _Visit, request: Request, query: str, found: _Found | None) -> Answer:
    """Has an alert raised about what went wrong, once its transaction has ended. Strangers raise none."""
    failures = visit.service.failures
    try:
        answer = await _in_transaction(visit, request, query, found)
    except (ScimError, *UNAVAILABLE):
        raise
    except Exception as error:
        if visit.source_id is not None:
            await failures.request_failed(visit.tenant_id, error, visit.trace_id)
        raise
    if answer.refused is not None and visit.source_id is not None:
        await failures.user_refused(visit.tenant_id, visit.source_id, answer.refused, visit.trace_id)
    return answer


async def _in_transaction(visit: _Visit, request: Request, query: str, found: _Found | None) -> Answer:
    """One transaction for the whole request. Done again when the database chose it to give way to another one."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await _visited(visit, request, query, found)
        except UniqueViolation:
            # Somebody made the same a moment ago: the next attempt sees it and says so.
            if attempt == _ATTEMPTS:
                raise ScimError(HTTPStatus.CONFLICT, "Another request made the same.", ScimType.UNIQUENESS) from None
        except COLLISION:
            if attempt == _ATTEMPTS:
                raise _later(1) from None
        except Exception as error:
            if getattr(error, "sqlstate", None) != _QUERY_CANCELED:
                raise
            if not _searches(request):
                raise _later(10) from None
            detail = "The filter or the order takes too long. Compare userName too, and sort by it or not at all."
            raise bad(ScimType.TOO_MANY, detail) from None
    raise AssertionError("unreachable")


def _later(seconds: int, detail: str = "The database is busy or away. Try again.") -> ScimError:
    """503 with the time after which identity providers try again."""
    return ScimError(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=(("retry-after", str(seconds)),))


class _Stale(Exception):
    """What was remembered of the credential, or of the tenant's schemas, does not hold any more."""


async def _visited(visit: _Visit, request: Request, query: str, found: _Found | None) -> Answer:
    try:
        return await _entered(visit, request, query, found, trusting=True)
    except _Stale:
        return await _entered(visit, request, query, found, trusting=False)


async def _entered(visit: _Visit, request: Request, query: str, found: _Found | None, *, trusting: bool) -> Answer:
    """trusting: what is remembered may do. A reading request then only reads: looking its sender up anew may have to
    note the use of the token.
    """
    service = visit.service
    _, unchanged = service.senders.known(visit.tenant_id, visit.token) if trusting else (None, "")
    also, held = service.offers.unchanged(visit.tenant_id, unchanged)
    reads = bool(also) and request.method in _READING
    async with service.database.tenant(visit.tenant_id, also=also, read_only=reads, one_plan=_writes(request)) as tx:
        if reads and not tx.found:
            raise _Stale
        known = await sender(tx, service.senders, visit.token, visit.trace_id, visit.arrival.address)
        if known is not None:
            credential, source_id = known
            visit.source_id = visit.arrival.source_id = source_id
            visit.arrival.credential_id = credential.credential_id
            handler = _handler(found, request.method)
            asked = Request(request.method, request.path, query_of(query), request.headers, request.body)
            resource_id = "" if found is None else found.resource_id
            offered = await service.offers.of(tx, held)
            return await handler(Call(tx, credential, source_id, asked, resource_id, visit.base_url, offered))
    raise await refusal(service.failures, visit.tenant_id, visit.token, visit.arrival)


def handler_of(path: tuple[str, ...], method: str) -> tuple[Handler, str]:
    """The function that answers a method at a path below the SCIM address, and the resource's id in the path. Raises
    ScimError: 404 for an unknown path, 405 for a method that the endpoint does not have.
    """
    found = _find(path)
    return _handler(found, method), "" if found is None else found.resource_id


def _searches(request: Request) -> bool:
    return request.method in _READING or request.path[-1:] == (".search",)


def _writes(request: Request) -> bool:
    return request.method in _WRITING and request.path[-1:] not in _PLANNED_ANEW


def _handler(found: _Found | None, method: str) -> Handler:
    """Raises ScimError: 404 for an unknown path, 405 for a method that the endpoint does not have."""
    if found is None:
        raise not_found(_NO_ENDPOINT)
    handler = found.handlers.get("GET" if method == "HEAD" else method)
    if handler is None:
        detail = f"{method[:20]} is not possible here."
        raise ScimError(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers=(_allow(found),))
    return handler
