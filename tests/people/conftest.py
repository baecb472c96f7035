"""A database and a loop of one's own for property tests: their examples share them, and each makes its own tenant."""

import asyncio
import os
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

import pytest

from stoa.db.database import Database, open_database
from stoa.kernel.ids import TenantId
from stoa.tenants.actions import create_tenant
from stoa.tenants.model import NewTenant

from ..conftest import ConnectArgs

T = TypeVar("T")
# How many random histories each property is tried with; a longer search sets more.
EXAMPLES = int(os.environ.get("STOA_TEST_EXAMPLES", "20"))
_numbers = count(1)


@dataclass
class World:
    """Runs coroutines, and has the time that it is told."""

    runner: asyncio.Runner
    now: datetime
    opened: Database | None = None

    @property
    def database(self) -> Database:
        """The pools; their clock is this world's."""
        assert self.opened is not None
        return self.opened

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`."""
        return self.runner.run(work)

    def pass_time(self, **delta: float) -> None:
        """Lets time pass."""
        self.now += timedelta(**delta)

    async def tenant(self) -> TenantId:
        """A fresh tenant with one proven domain, on the world's first day."""
        self.now = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)
        number = next(_numbers)
        new = NewTenant(slug=f"world-{id(self)}-{number}", name=f"World {number}", domains=("acme.example",))
        return (await create_tenant(self.database, new)).tenant_id


@pytest.fixture(scope="module")
def world(connect_args: ConnectArgs) -> Generator[World]:
    """One for each module."""
    with asyncio.Runner() as runner:
        made = World(runner, datetime(2026, 3, 10, 9, 30, tzinfo=UTC))
        made.opened = runner.run(open_database(connect_args, clock=lambda: made.now))
        yield made
        runner.run(made.opened.close())
