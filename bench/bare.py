"""A server of bare routes, `python -m bench.bare FD`: each runs the main query of one page in a transaction of its own
and answers the rows as JSON. It signs nobody in, looks up no tenant by its slug and renders nothing.

The main query is the very statement by which the page gets what it is about, text for text: of the board, the list of
people and the plan the one of their rows; of a person the one that reads all that is known of them, with its sources,
holds, reports and the end of the journal. What pages read besides (names of a plan's people, the run, figures) is not
among it.
"""

import os
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stoa.changes.queries import STATE
from stoa.cli.children import die_with_parent
from stoa.composition import Store
from stoa.db.database import Database, open_database
from stoa.db.transactions import Row
from stoa.kernel.filters import check, parse
from stoa.kernel.ids import TenantId
from stoa.people.catalogue import CATALOGUE
from stoa.people.listing import Part, PeopleAsk, page_query
from stoa.people.profile_sql import PROFILE
from stoa.people.searching import found_by
from stoa.tenants.board import BoardAsk, board_query

ROWS: Final = 50
_BY_NAME: Final = ("display_name_key", "person_id")
_NAMED: Final = Part("p.display_name_key IS NOT NULL", _BY_NAME, _BY_NAME)
_PLAN: Final = f"""
SELECT c.run_id, c.ord, c.action, c.reason, c.subject, c.source_id, c.resource_id, c.person_id, c.before, c.after,
  {STATE} AS state, c.note, c.at
FROM change c JOIN run r ON r.tenant_id = c.tenant_id AND r.run_id = c.run_id
WHERE c.tenant_id = $1 AND c.run_id = $2 ORDER BY c.ord LIMIT $3"""


class _Bare:
    """The routes over one database."""

    def __init__(self) -> None:
        self._open: Database | None = None

    @property
    def database(self) -> Database:
        assert self._open is not None, "the server did not start the application"
        return self._open

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        store = Store(os.environ["STOA_DATABASE_URL"], Path(os.environ["STOA_KEY_RING"]))
        self._open = await open_database(store.connect_args)
        yield
        await self._open.close()

    async def board(self, _: Request) -> Response:
        async with self.database.platform() as tx:
            text, params = board_query(BoardAsk(limit=ROWS), tx.now)
            return _rows(await tx.fetch(text, *params))

    async def people(self, request: Request) -> Response:
        """The list, searched by `q` or filtered by `filter`."""
        where = request.query_params.get("filter")
        ask = PeopleAsk(
            search=request.query_params.get("q", ""),
            where=check(parse(where), CATALOGUE) if where else None,
            limit=ROWS,
        )
        async with self.database.tenant(_tenant(request), read_only=True) as tx:
            text, params = page_query(tx, ask, found_by(ask.search), _NAMED, None)
            return _rows(await tx.fetch(text, *params))

    async def person(self, request: Request) -> Response:
        return await self._one(request, PROFILE, UUID(request.path_params["person_id"]))

    async def plan(self, request: Request) -> Response:
        return await self._one(request, _PLAN, UUID(request.path_params["run_id"]), ROWS + 1)

    async def _one(self, request: Request, text: str, *params: object) -> Response:
        async with self.database.tenant(_tenant(request), read_only=True) as tx:
            return _rows(await tx.fetch(text, tx.tenant_id, *params))


def _tenant(request: Request) -> TenantId:
    return TenantId(UUID(request.path_params["tenant_id"]))


def _rows(rows: Sequence[Row]) -> Response:
    # The parts of a row are rows too.
    body = msgspec.json.encode([dict(row) for row in rows], enc_hook=tuple)
    return Response(body, media_type="application/json")


def main() -> None:
    """Serves until it is ended."""
    die_with_parent()
    bare = _Bare()
    app = Starlette(
        lifespan=bare.lifespan,
        routes=[
            Route("/board", bare.board),
            Route("/{tenant_id}/people", bare.people),
            Route("/{tenant_id}/people/{person_id}", bare.person),
            Route("/{tenant_id}/runs/{run_id}/changes", bare.plan),
        ],
    )
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on")
    # As `stoa web --fd` takes its socket, and for the same reason.
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
