"""Accounts to sign in with, and a clock that a test moves."""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from stoa.access.operators import NewOperator, Operator, create_operator
from stoa.access.permissions import Role
from stoa.db.database import Database, open_database
from stoa.kernel.clock import system_clock
from stoa.kernel.ids import TenantId
from tests.conftest import ConnectArgs

MakeAccount = Callable[..., Awaitable["Account"]]


@dataclass
class MovingClock:
    """The system's clock, ahead by as much as a test wants."""

    ahead: timedelta = field(default=timedelta(0))

    def __call__(self) -> datetime:
        return system_clock() + self.ahead

    def move(self, **by: float) -> None:
        self.ahead += timedelta(**by)


@dataclass(frozen=True)
class Account:
    """An account and its password."""

    operator: Operator
    password: str


@pytest.fixture
def clock() -> MovingClock:
    """Moves the time of `database`."""
    return MovingClock()


@pytest.fixture
async def database(connect_args: ConnectArgs, clock: MovingClock) -> AsyncGenerator[Database]:
    """Pools whose clock is `clock`; wide enough for attempts that race."""
    opened = await open_database(connect_args, clock=clock, sizes={"platform": 12})
    yield opened
    await opened.close()


@pytest.fixture
async def make_account(database: Database) -> MakeAccount:
    """Makes an account with a fresh address; a viewer of the platform unless a role is given."""

    async def make(
        role: Role | None = Role.PLATFORM_VIEWER, tenants: dict[TenantId, Role] | None = None, **given: Any
    ) -> Account:
        email = given.pop("email", f"{secrets.token_hex(6)}@example.com")
        async with database.platform() as tx:
            new = NewOperator(email, given.pop("name", "Ada Byron"), role, tenants or {})
            return Account(*await create_operator(tx, new))

    return make


@pytest.fixture
async def no_admins(database: Database) -> None:
    """Disables whatever platform administrators other tests have left."""
    async with database.platform() as tx:
        await tx.execute(
            "UPDATE operator SET disabled_at = $1 WHERE platform_role = 'platform_admin' AND disabled_at IS NULL",
            tx.now,
        )
