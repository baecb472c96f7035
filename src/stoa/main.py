"""The web process: every route of every room in one ASGI application."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from stoa.api.answers import problem_answer, trace_of
from stoa.api.health import health_routes
from stoa.api.trace import traced
from stoa.composition import VERSION, Platform, Store, platform
from stoa.identity.scim.routes import scim_routes
from stoa.logs import set_up_logging
from stoa.settings import Settings, read_settings
from stoa.web.assets import load_assets
from stoa.web.errors import error_handlers
from stoa.web.landing import web_routes
from stoa.web.security import security_headers
from stoa.web.templates import make_pages

_log = structlog.get_logger()


class Application:
    """Opens the platform when the server starts it, and closes it when the server stops."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._serve: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await Starlette(lifespan=self._lifespan)(scope, receive, send)
            return
        assert self._serve is not None, "the server did not start the application"
        await self._serve(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        async with platform(self._settings, self._store) as parts:
            self._serve = serve(parts)
            _log.info("started", version=VERSION)
            yield
        _log.info("stopped")


def serve(parts: Platform) -> ASGIApp:
    """The application over an open platform."""
    pages = make_pages(load_assets())
    token = parts.settings.metrics_token
    routes: list[BaseRoute] = [
        *health_routes(parts.database, version=VERSION, metrics_token=token.get_secret_value() if token else None),
        *scim_routes(
            parts.database, base_url=parts.settings.base_url or f"http://{parts.settings.host}:{parts.settings.port}"
        ),
        *web_routes(pages, version=VERSION),
    ]
    app = Starlette(routes=routes, exception_handlers=error_handlers(pages, problem_answer, trace_of=trace_of))
    return traced(security_headers(app))


def create_app(settings: Settings | None = None) -> Callable[..., object]:
    """The factory that uvicorn calls in each process: settings come from the environment."""
    settings = settings or read_settings()
    set_up_logging(settings, "web")
    assert settings.database_url is not None, "STOA_DATABASE_URL is set by whoever starts the web process"
    return Application(settings, Store(settings.database_url, settings.key_ring_path))
