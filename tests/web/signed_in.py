"""Somebody who is signed in, before an application of some pages, without a network."""

import re
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from html import unescape

import httpx2
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from stoa.access.operators import NewOperator, create_operator
from stoa.access.permissions import PLATFORM_ROLES, Role
from stoa.access.sessions import open_session
from stoa.api.answers import problem_answer, trace_of
from stoa.api.trace import traced
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.web.errors import error_handlers
from stoa.web.landing import web_routes
from stoa.web.security import security_headers
from stoa.web.visiting import Shell
from tests.web.rendering import shared_pages

MakePages = Callable[[Shell], Sequence[BaseRoute]]


def application_of(database: Database, make: MakePages) -> ASGIApp:
    """Some pages, composed as the server composes them."""
    pages = shared_pages()
    shell = Shell(pages=pages, database=database, development=True)
    return traced(
        security_headers(
            Starlette(
                routes=[*web_routes(pages, version="1.2.3"), *make(shell)],
                exception_handlers=error_handlers(pages, problem_answer, trace_of=trace_of),
            )
        )
    )


class Browsers:
    """Signs people in. They send what a browser sends, keep their cookie, and follow no redirect by themselves."""

    def __init__(self, app: ASGIApp, database: Database, stack: AsyncExitStack) -> None:
        self.app, self.database, self._stack = app, database, stack

    async def stranger(self) -> httpx2.AsyncClient:
        """Nobody."""
        return await self._stack.enter_async_context(
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(self.app, raise_app_exceptions=False),
                base_url="http://127.0.0.1",
                headers={"Sec-Fetch-Site": "same-origin", "Accept": "text/html"},
            )
        )

    async def of(self, role: Role, tenant_id: TenantId | None = None, name: str = "Ada <Byron>") -> httpx2.AsyncClient:
        """Somebody with this role, in this tenant if it is a tenant's."""
        platform = role if role in PLATFORM_ROLES else None
        tenants = {} if platform is not None or tenant_id is None else {tenant_id: role}
        async with self.database.platform() as tx:
            new = NewOperator(f"{secrets.token_hex(6)}@example.com", name, platform, tenants)
            operator, _ = await create_operator(tx, new)
            await tx.execute(
                "UPDATE operator SET must_change_password = false WHERE operator_id = $1", operator.operator_id
            )
            token = await open_session(tx, operator.operator_id, user_agent="test", address="127.0.0.1")
        browser = await self.stranger()
        browser.cookies.set("stoa_session", token)
        return browser


@asynccontextmanager
async def browsers(app: ASGIApp, database: Database) -> AsyncGenerator[Browsers]:
    """Browsers that are closed at the end of the block."""
    async with AsyncExitStack() as stack:
        yield Browsers(app, database, stack)


def text_of(page: httpx2.Response) -> str:
    """What is read of a page's main part, without its tags."""
    body = page.text[page.text.index("<main") : page.text.index("</main>")]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body.replace("<wbr>", ""))).split())
