"""Wake-ups within a process, between processes, and across the loss of a connection or of the server."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from stoa.db import embedded
from stoa.db.embedded import EmbeddedConfig
from stoa.db.keyring import KeyRing
from stoa.db.notify import Notifier
from stoa.db.roles import dsn_for
from tests.conftest import ConnectArgs

SECONDS = 20


@pytest.fixture
async def make(connect_args: ConnectArgs) -> AsyncGenerator[Callable[[], Notifier]]:
    """Makes notifiers, each as another process would have one."""
    made: list[Notifier] = []

    def one() -> Notifier:
        made.append(Notifier(connect_args("stoa_platform")))
        return made[-1]

    yield one
    for notifier in made:
        await notifier.close()


@pytest.fixture
async def root(server: embedded.Server) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.admin_dsn)
    yield connection
    await connection.close()


async def rung(bell: asyncio.Event) -> None:
    """Waits for the bell and clears it."""
    async with asyncio.timeout(SECONDS):
        await bell.wait()
    bell.clear()


async def connected(bell: asyncio.Event) -> None:
    """A bell rings once when its channel is first listened to on a connection."""
    await rung(bell)


async def test_a_poke_wakes_its_own_process_at_once(make: Callable[[], Notifier]) -> None:
    notifier = make()
    async with notifier.listening("a") as bell, notifier.listening("b") as other:
        notifier.poke("a")
        assert bell.is_set()
        assert not other.is_set()


async def test_a_poke_wakes_other_processes_on_its_channel_alone(make: Callable[[], Notifier]) -> None:
    sender, receiver = make(), make()
    async with receiver.listening("one") as one, receiver.listening("two") as two:
        await connected(one)
        await connected(two)
        sender.poke("one")
        await rung(one)
        assert not two.is_set()
        sender.poke("two")
        await rung(two)
        assert not one.is_set()


async def test_a_channel_may_be_added_while_it_serves(make: Callable[[], Notifier]) -> None:
    sender, receiver = make(), make()
    async with receiver.listening("early") as early:
        await connected(early)
        async with receiver.listening("later") as later:
            await connected(later)
            sender.poke("later")
            await rung(later)


async def test_no_poke_of_many_is_lost(make: Callable[[], Notifier]) -> None:
    """After the last poke the reader looks once more, whatever was coalesced before."""
    sender, receiver = make(), make()
    told = seen = 0
    async with receiver.listening("count") as bell:
        await connected(bell)
        for _ in range(300):
            told += 1
            sender.poke("count")
            await asyncio.sleep(0)
            if bell.is_set():
                bell.clear()
                seen = told
        async with asyncio.timeout(SECONDS):
            while seen < told:
                await bell.wait()
                bell.clear()
                seen = told
    assert seen == 300


async def test_what_is_poked_right_before_closing_is_sent(make: Callable[[], Notifier]) -> None:
    sender, receiver = make(), make()
    async with receiver.listening("last words") as bell:
        await connected(bell)
        sender.poke("last words")
        await sender.close()
        await rung(bell)


async def test_a_lost_connection_is_replaced_and_everybody_looks(
    make: Callable[[], Notifier], root: asyncpg.Connection
) -> None:
    sender, receiver = make(), make()
    async with receiver.listening("kick") as bell:
        await connected(bell)
        for _ in range(3):
            await root.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stoa notify'"
            )
            await rung(bell)
            sender.poke("kick")
            await rung(bell)


async def test_it_survives_the_server_being_restarted(place: Path) -> None:
    config = EmbeddedConfig(data_dir=place / "db", keyring_path=place / "keys" / "keyring.json", run_dir=place / "run")
    server = await embedded.start(config)
    args = dict(dsn_for(server.url, "stoa_platform", KeyRing.load(server.keyring_path)))
    sender, receiver = Notifier(args), Notifier(args)
    try:
        async with receiver.listening("restart") as bell:
            await connected(bell)
            await embedded.stop(server)
            sender.poke("restart")
            receiver.poke("restart")
            await rung(bell)
            server = await embedded.start(config)
            assert dict(dsn_for(server.url, "stoa_platform", KeyRing.load(server.keyring_path))) == args
            await rung(bell)
            sender.poke("restart")
            await rung(bell)
    finally:
        await sender.close()
        await receiver.close()
        await embedded.stop(server)


async def test_closing_twice_before_during_and_after_work_is_quiet(
    make: Callable[[], Notifier], caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as told:
        unused = make()
        await unused.close()
        unused.poke("a")
        await unused.close()
        at_once = make()
        at_once.poke("a")
        await asyncio.gather(at_once.close(), at_once.close())
        listening = make()
        async with listening.listening("a") as bell:
            await connected(bell)
            await listening.close()
            listening.poke("a")
            assert bell.is_set()
    assert told == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_without_a_server_poking_and_closing_work(place: Path) -> None:
    notifier = Notifier({"dsn": f"postgresql:///stoa?host={place}", "user": "stoa_platform", "password": "x"})
    async with notifier.listening("a") as bell:
        notifier.poke("a")
        assert bell.is_set()
        async with asyncio.timeout(SECONDS):
            await notifier.close()
