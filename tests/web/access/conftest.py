"""The pages about accounts before a browser that runs no scripts."""

import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from html import unescape

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from stoa.access import operators
from stoa.access.operators import NewOperator, Operator, create_operator
from stoa.access.passwords import hashed
from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.web.access import access_pages
from stoa.web.visiting import Shell
from tests.web.rendering import shared_pages

PASSWORD = "seven llamas upstairs"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
Browser = httpx2.AsyncClient
MakeOperator = Callable[..., Awaitable[Operator]]


@asynccontextmanager
async def opened(app: ASGIApp, base_url: str = "http://127.0.0.1") -> AsyncGenerator[Browser]:
    """A browser of its own: it keeps cookies and follows no redirect by itself."""
    headers = {"User-Agent": FIREFOX, "Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=base_url, headers=headers) as client:
        yield client


@pytest.fixture
def app(database: Database) -> ASGIApp:
    """The pages about accounts, composed as the server composes them."""
    return Starlette(routes=access_pages(Shell(shared_pages(), database, development=False)))


@pytest.fixture
async def browser(app: ASGIApp) -> AsyncGenerator[Browser]:
    """A browser in which nobody is signed in."""
    async with opened(app) as client:
        yield client


@pytest.fixture
async def admin_account(make_operator: MakeOperator) -> Operator:
    """An administrator of the platform."""
    return await make_operator(Role.PLATFORM_ADMIN)


@pytest.fixture
async def admin(app: ASGIApp, admin_account: Operator) -> AsyncGenerator[Browser]:
    """A browser in which `admin_account` is signed in."""
    async with opened(app) as client:
        await sign_in(client, admin_account.email)
        yield client


@pytest.fixture(autouse=True)
async def nothing_counted(database: Database) -> None:
    async with database.platform() as tx:
        await tx.execute("DELETE FROM sign_in_attempt")


@pytest.fixture
def make_operator(database: Database) -> MakeOperator:
    """Makes an account with PASSWORD as its own, or with a first password that must be changed."""

    async def make(
        role: Role | None = Role.PLATFORM_VIEWER, tenants: dict[TenantId, Role] | None = None, *, first: bool = False
    ) -> Operator:
        email = f"{secrets.token_hex(6)}@example.com"
        async with database.platform() as tx:
            made, _ = await create_operator(tx, NewOperator(email, "Ada Byron", role, tenants or {}))
            await tx.execute(
                "UPDATE operator SET password_hash = $2, must_change_password = $3 WHERE operator_id = $1",
                *(made.operator_id, await hashed(PASSWORD), first),
            )
            return await operators.operator_by_id(tx, made.operator_id)

    return make


async def sign_in(browser: Browser, email: str, password: str = PASSWORD, **more: str) -> httpx2.Response:
    return await browser.post("/console/sign-in", data={"email": email, "password": password, **more})


def said_in(page: httpx2.Response) -> str:
    """A page's text without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def token_of(browser: Browser) -> str | None:
    return browser.cookies.get("stoa_session")
