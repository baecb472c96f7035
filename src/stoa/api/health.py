"""For whoever watches the server: alive, ready, and figures."""

import asyncio
import hmac
from ipaddress import ip_address

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stoa.db.database import Database
from stoa.db.errors import UNAVAILABLE
from stoa.db.migrations import missing
from stoa.kernel.problems import Problem

_READY_SECONDS = 3


def health_routes(database: Database, *, version: str, metrics_token: str | None) -> list[Route]:
    """`/healthz`: the process answers. `/readyz`: so does the database, with a schema that is current. `/metrics`:
    Prometheus figures, for this
    machine or the token's bearer.
    """

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok", "version": version})

    async def readyz(_: Request) -> Response:
        try:
            async with asyncio.timeout(_READY_SECONDS), database.platform() as tx:
                lacking = await missing(tx.connection, before_serving=True)
        except (TimeoutError, Problem, *UNAVAILABLE) as error:
            return JSONResponse({"status": "not ready", "database": type(error).__name__}, status_code=503)
        if lacking:
            return JSONResponse({"status": "not ready", "migrations": lacking}, status_code=503)
        return JSONResponse({"status": "ready", "version": version})

    async def metrics(request: Request) -> Response:
        if not _may_read(request, metrics_token):
            return PlainTextResponse("Not Found", status_code=404)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def _may_read(request: Request, token: str | None) -> bool:
    if token is not None:
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    # Behind a proxy every request comes from this machine; then it says for whom.
    if request.client is None or "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
