"""The guide to API clients: its code in curl and Python, run as it stands there against a server on the loopback."""

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import uvicorn

from stoa.access import client_credentials, clients
from stoa.access.clients_queries import client as client_of
from stoa.composition import Store, platform
from stoa.db import embedded
from stoa.db.database import Database
from stoa.main import serve
from stoa.settings import Settings
from tests.api.asking import Made

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "api-credentials.md"
SHELL, PYTHON = "sh", "python"


def blocks(language: str) -> list[str]:
    """The fenced code of the guide in one language, in its order; commands of the server itself are left out."""
    found = re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block for block in found if not block.startswith("stoa ")]


@pytest.fixture
async def base_url(server: embedded.Server) -> AsyncGenerator[str]:
    """The whole application behind uvicorn."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = Settings.model_validate({"state_dir": Path("/nonexistent"), "base_url": address})
        async with platform(settings, Store(server.url, server.keyring_path)) as parts:
            config = uvicorn.Config(serve(parts), lifespan="off", ws="none", log_level="warning")
            running = uvicorn.Server(config)
            serving = asyncio.create_task(running.serve(sockets=[listener]))
            yield address
            running.should_exit = True
            await serving


@pytest.fixture
async def reader(base_url: str, database: Database, made: Made, tmp_path: Path) -> "Reader":
    """Somebody who has made a client with a key and a secret, as the guide says."""
    async with database.tenant(made.tenant_id) as tx:
        key = await client_credentials.issue(tx, made.client_id, "api_key")
    given = {
        "BASE_URL": base_url,
        "API_KEY": key.token,
        "CLIENT_ID": str(made.client_id),
        "CLIENT_SECRET": made.secret.token,
    }
    return Reader({**os.environ, **given}, tmp_path)


class Reader:
    """Runs what a reader would type, in a folder of their own."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self.env, self.folder = env, folder

    async def run(self, *command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.folder, env=self.env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, (out + err).decode()
        return out.decode()

    async def sh(self, script: str) -> str:
        return await self.run("sh", "-eu", "-c", script)

    async def python(self, script: str) -> str:
        return await self.run(sys.executable, "-W", "error", "-c", script)


async def test_the_guides_commands_do_what_it_says(reader: Reader) -> None:
    with_key, with_secret = blocks(SHELL)
    assert json.loads(await reader.sh(with_key))["items"] == []
    assert json.loads(await reader.sh(with_secret))["items"] == []
    assert (reader.folder / "access-token").read_text().startswith("stoa_at_")


async def test_the_guides_programs_do_what_it_says(reader: Reader, database: Database, made: Made) -> None:
    with_key, with_secret, make_keys, with_signature = blocks(PYTHON)
    assert await reader.python(with_key) == ""
    assert await reader.python(with_secret) == "0 people\n"
    await reader.python(make_keys)
    assert (reader.folder / "private.json").stat().st_mode & 0o077 == 0
    async with database.tenant(made.tenant_id) as tx:
        await clients.set_keys(tx, made.client_id, (reader.folder / "jwks.json").read_text())
        assert len((await client_of(tx, made.client_id)).keys) == 1
    assert await reader.python(with_signature) == "events:read people:read people:write 3600\n"
