"""The server ends with whoever started it, however that happens."""

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from stoa.db import embedded
from stoa.db.embedded import EmbeddedConfig
from tests.db.embedded.conftest import Launched, eventually, is_gone


@pytest.mark.parametrize("thread", [False, True], ids=["main thread", "other thread"])
async def test_no_process_is_left_after_kill_9_and_the_folder_opens_again_at_once(
    thread: bool, made: EmbeddedConfig, launch: Callable[..., Launched]
) -> None:
    launched = launch(thread=thread, data_dir=made.data_dir, keyring_path=made.keyring_path)
    assert not launched.server_is_gone()
    launched.kill()
    async with embedded.running(made) as server:
        assert is_gone(launched.said["pid"])
        connection = await asyncpg.connect(server.admin_dsn)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


async def test_a_killed_ephemeral_server_is_gone_and_its_folder_goes_with_the_next(
    launch: Callable[..., Launched],
) -> None:
    launched = launch()
    base = Path(launched.said["base"])
    launched.kill()
    assert eventually(launched.server_is_gone)
    async with embedded.running(EmbeddedConfig()):
        # It, or any other that starts meanwhile, does the sweeping.
        assert eventually(lambda: not base.exists())
