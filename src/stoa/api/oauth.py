"""The token endpoint (RFC 6749, 3.2) and what it says of itself (RFC 8414). Errors are told in OAuth's own form."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoa.access.budgets import Budgets
from stoa.access.client_attempts import count_refusal, forget_refusals, is_worth_telling, wait_before
from stoa.access.clients_queries import tenant_of_client
from stoa.access.granting import (
    ClientRefused,
    Grant,
    Proof,
    Reason,
    ScopeRefused,
    grant_token,
    prove,
    tell_refused,
    unknown_client,
)
from stoa.access.jwks import ALGORITHMS
from stoa.access.scopes import SCOPES
from stoa.api.oauth_reading import InvalidRequest, check_grant, named_client, read_proof, read_token_request
from stoa.db.database import Database
from stoa.db.errors import UNAVAILABLE
from stoa.db.transactions import Origin
from stoa.kernel.ids import TenantId
from stoa.kernel.problems import BadInput, Problem

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - an address
METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
_METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")
# An answer with a token, or about one, is kept nowhere (RFC 6749, 5.1).
_NOT_KEPT: Final = {"cache-control": "no-store", "pragma": "no-cache"}
_SECOND: Final = timedelta(seconds=1)
_log: Final[Any] = structlog.get_logger("stoa.oauth")


class TooManyAttempts(Problem):
    """The client, or its address, has to wait: it was refused too often, or has made all the requests of its budget.

    Wait for the seconds in Retry-After. Mend the client's id, secret or key if they were refused, and keep an access
    token until it expires.

    Attributes:
        seconds: how long, in whole seconds.
    """

    code = "too_many_attempts"
    status = 429

    def __init__(self, detail: str, seconds: int) -> None:
        super().__init__(detail, hint=f"Try again in {seconds} s.")
        self.seconds = seconds


def oauth_routes(database: Database, base_url: str, budgets: Budgets) -> list[Route]:
    """The routes of the token endpoint.

    base_url: scheme, host and port under which clients reach this server; it is the issuer.
    budgets: those of the API: a token costs its client one request.
    """
    issuer = base_url.rstrip("/")
    endpoint = _Endpoint(database, budgets, frozenset({issuer, issuer + TOKEN_PATH}))

    async def metadata(_: Request) -> Response:
        return JSONResponse(_metadata(issuer), headers={"cache-control": "public, max-age=3600"})

    return [
        Route(TOKEN_PATH, endpoint.serve, methods=["POST"]),
        Route(METADATA_PATH, metadata, methods=["GET"]),
    ]


def _metadata(issuer: str) -> dict[str, object]:
    return {
        "issuer": issuer,
        "token_endpoint": issuer + TOKEN_PATH,
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "scopes_supported": list(SCOPES),
        "token_endpoint_auth_methods_supported": list(_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": [one for names in ALGORITHMS.values() for one in names],
        "service_documentation": f"{issuer}/docs/api",
    }


@dataclass(frozen=True, slots=True)
class _Endpoint:
    database: Database
    budgets: Budgets
    audiences: frozenset[str]

    async def serve(self, request: Request) -> Response:
        """Answers one token request."""
        address = (request.client.host if request.client else "") or ""
        try:
            return _granted(await self._grant(request, address))
        except (BadInput, ClientRefused, TooManyAttempts) as problem:
            return _refused(problem)
        except UNAVAILABLE as error:
            _log.warning("oauth_database_unavailable", error=type(error).__name__)
            return _error(503, "temporarily_unavailable", "The database is away. Try again.", {"retry-after": "10"})

    async def _grant(self, request: Request, address: str) -> Grant:
        fields = await read_token_request(request)
        check_grant(fields)
        authorization = request.headers.get("authorization")
        named = named_client(fields, authorization)
        # One round trip each, so that whoever is refused again and again costs little.
        async with self.database.platform_at_once() as tx:
            wait = await wait_before(tx, named, address)
        if wait:
            raise TooManyAttempts("Too many requests were refused.", -(-wait // _SECOND))
        origin_trace: str | None = getattr(request.state, "trace_id", None)
        try:
            proof = read_proof(fields, authorization)
            async with self.database.platform_at_once() as tx:
                tenant_id = await tenant_of_client(tx, proof.client_id)
            if tenant_id is None:
                raise unknown_client()
        except ClientRefused as refused:
            await self._count(named, address, refused.reason)
            raise
        origin = Origin(f"client:{proof.client_id}", "api", origin_trace, address or None)
        try:
            grant = await self._granted_to(tenant_id, origin, proof, fields.get("scope"))
        except ClientRefused as refused:
            await self._count(named, address, refused.reason)
            async with self.database.platform() as tx:
                worth_telling = await is_worth_telling(tx, named)
            if worth_telling:
                async with self.database.tenant(tenant_id, origin) as tx:
                    tell_refused(tx, proof.client_id, refused.reason)
            raise
        async with self.database.platform() as tx:
            await forget_refusals(tx, named, address)
        return grant

    async def _granted_to(self, tenant_id: TenantId, origin: Origin, proof: Proof, asked: str | None) -> Grant:
        holder = str(proof.client_id)
        async with self.database.tenant(tenant_id, origin) as tx:
            proven = await prove(
                tx, proof, audiences=self.audiences, clock_now=self.database.clock(), address=origin.address
            )
            # Not before the client has shown who it is: a stranger must not spend what is its own.
            spent = self.budgets.spend_now(tenant_id, holder)
            if spent is not None and not spent.allowed:
                raise TooManyAttempts("The client, or its tenant, has made all its requests.", spent.retry_after or 1)
            grant = await grant_token(tx, proven, asked)
        if spent is None:
            # A block has to be taken first, which waits for the database: with no transaction open meanwhile.
            await self.budgets.spend(tenant_id, holder)
        return grant

    async def _count(self, named: str, address: str, reason: Reason) -> None:
        async with self.database.platform() as tx:
            await count_refusal(tx, named, address)
        _log.info("oauth_client_refused", reason=reason)


def _granted(grant: Grant) -> Response:
    body = {
        "access_token": grant.token,
        "token_type": "Bearer",
        "expires_in": grant.expires_in,
        "scope": " ".join(grant.scopes),
    }
    return JSONResponse(body, headers=_NOT_KEPT)


def _refused(problem: Problem) -> Response:
    """In the form of RFC 6749, 5.2, with its names of what can go wrong."""
    match problem:
        case TooManyAttempts():
            return _error(429, "temporarily_unavailable", str(problem), {"retry-after": str(problem.seconds)})
        case ClientRefused():
            return _error(401, "invalid_client", str(problem), {"www-authenticate": 'Basic realm="stoa"'})
        case ScopeRefused():
            return _error(400, "invalid_scope", str(problem), {})
        case InvalidRequest():
            return _error(problem.status, "invalid_request", str(problem), {})
        case _:
            return _error(problem.status, problem.code, str(problem), {})


def _error(status: int, error: str, description: str, headers: dict[str, str]) -> Response:
    # RFC 6749, 5.2 takes printable ASCII without quotes and backslashes.
    said = "".join(one if " " <= one <= "~" and one not in '"\\' else "'" for one in description)
    return JSONResponse({"error": error, "error_description": said}, status, {**_NOT_KEPT, **headers})
