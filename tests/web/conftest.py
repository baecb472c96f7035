"""An application with nothing but the page shell, and a route that fails."""

from collections.abc import AsyncGenerator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from stoa.web.errors import error_handlers
from stoa.web.landing import web_routes
from stoa.web.security import security_headers
from tests.web.rendering import shared_pages


async def _fail(_: Request) -> Response:
    raise RuntimeError("the password is hunter2")


async def _refuse(_: Request) -> Response:
    raise HTTPException(429, headers={"Retry-After": "60"})


async def _with_own_policy(_: Request) -> Response:
    return Response("x", headers={"Content-Security-Policy": "sandbox"})


async def _for_programs(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse({"status": status}, status, media_type="application/problem+json")


@pytest.fixture
def application() -> ASGIApp:
    """The shell, composed as the server composes it."""
    pages = shared_pages()
    own = [Route("/fail", _fail), Route("/refuse", _refuse), Route("/own-policy", _with_own_policy)]
    handlers = error_handlers(pages, _for_programs, trace_of=lambda _: "trace-7")
    return security_headers(
        Starlette(routes=[*web_routes(pages, version="1.2.3"), *own], exception_handlers=dict(handlers))
    )


@pytest.fixture
async def client(application: ASGIApp) -> AsyncGenerator[httpx2.AsyncClient]:
    """Speaks to the application without a network; its unforeseen exceptions become the answers that a client gets."""
    transport = httpx2.ASGITransport(application, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as opened:
        yield opened
