"""A server on the loopback that outlasts the tests: to begin and to end one takes longer than most of them."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class Host:
    """Serves one application at a time, at the same address; nothing is found there in between.

    address: host and port.
    """

    address: str
    _app: ASGIApp = field(default_factory=Starlette)

    @contextmanager
    def serving(self, app: ASGIApp) -> Generator[None]:
        """Serves `app` for the length of the block."""
        before, self._app = self._app, app
        yield
        self._app = before

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        await self._app(scope, receive, send)


@asynccontextmanager
async def hosting() -> AsyncGenerator[Host]:
    """A server on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = Host(f"127.0.0.1:{listener.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(host, lifespan="off", ws="none", log_level="warning"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield host
        server.should_exit = True
        await serving
