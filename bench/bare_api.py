"""A server of bare routes, `python -m bench.bare_api DSN FD`: one indexed select on an unprotected copy of the people,
its rows as JSON, by the superuser, for whoever asks.
"""

import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stoa.cli.children import die_with_parent
from stoa.people.wire import COLUMNS

PAGE: Final = 100
_COLUMNS: Final = ", ".join(("person_id", *COLUMNS, "active", "updated_at"))
_ONE: Final = f"SELECT {_COLUMNS} FROM bare_person WHERE tenant_id = $1 AND person_id = $2"
_PAGE: Final = f"SELECT {_COLUMNS} FROM bare_person WHERE tenant_id = $1 ORDER BY updated_at, person_id LIMIT {PAGE}"
_encode = msgspec.json.Encoder().encode


class _Bare:
    """The routes over one pool."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: Any = None

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        async def keep(_: Any) -> None:
            """Nothing to reset, as in Stoa's own pools."""

        self._pool = await asyncpg.create_pool(self._dsn, min_size=4, max_size=10, reset=keep)
        yield
        await self._pool.close()

    async def ready(self, _: Request) -> Response:
        return Response()

    async def person(self, request: Request) -> Response:
        row = await self._pool.fetchrow(_ONE, _tenant(request), UUID(request.path_params["person_id"]))
        return Response(_encode(dict(row)), media_type="application/json")

    async def people(self, request: Request) -> Response:
        rows = await self._pool.fetch(_PAGE, _tenant(request))
        return Response(_encode([dict(row) for row in rows]), media_type="application/json")


def _tenant(request: Request) -> UUID:
    return UUID(request.path_params["tenant_id"])


def main() -> None:
    """Serves until it is ended."""
    die_with_parent()
    bare = _Bare(sys.argv[1])
    app = Starlette(
        lifespan=bare.lifespan,
        routes=[
            Route("/ready", bare.ready),
            Route("/{tenant_id}/people", bare.people),
            Route("/{tenant_id}/people/{person_id}", bare.person),
        ],
    )
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[2]))])


if __name__ == "__main__":
    main()
