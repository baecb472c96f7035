"""A client that does not wait, and remembers how long it would have."""

import datetime
from collections.abc import AsyncGenerator

import pytest

from stoa.outbound.http import HttpClient

NOW = datetime.datetime(2026, 1, 1, 12, 0, tzinfo=datetime.UTC)


class Sleeps(list[float]):
    """Records the waits instead of waiting."""

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
async def client(sleeps: Sleeps) -> AsyncGenerator[HttpClient]:
    async with HttpClient(sleep=sleeps.sleep, chance=lambda: 0.0, clock=lambda: NOW) as made:
        yield made
