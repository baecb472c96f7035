"""The backup that docs/operations.md describes, made and restored by its very commands."""

import asyncio
import os
import re
import shlex
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.db.embedded.binaries import installed
from stoa.db.keyring import KeyRing
from stoa.db.migrations import migrate
from stoa.db.roles import dsn_for
from tests.conftest import MakeTenant

pytestmark = pytest.mark.all
PAGE = Path(__file__).parents[1] / "docs" / "operations.md"


@pytest.fixture
async def other_server() -> AsyncGenerator[embedded.Server]:
    """A server with the roles and an empty database."""
    async with embedded.running(embedded.EmbeddedConfig()) as started:
        yield started


def _commands() -> list[list[str]]:
    """The documented commands, in their order."""
    return [
        shlex.split(line) for line in re.findall(r"^(pg_(?:dump|restore) .+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    ]


def _here(word: str, servers: dict[str, str]) -> str:
    """A word of a command with the page's hosts replaced by the sockets of this test."""
    for host, url in servers.items():
        folder = parse_qs(urlsplit(url).query)["host"][0]
        word = word.replace(f"host={host} dbname=stoa", f"host={folder} dbname={urlsplit(url).path[1:]}")
    return word


async def test_the_documented_backup_restores_to_the_same_rows(
    server: embedded.Server,
    keyring: KeyRing,
    other_server: embedded.Server,
    database: Database,
    make_tenant: MakeTenant,
    tmp_path: Path,
) -> None:
    tenant_id = await make_tenant(slug="kept", name="Kept through a restore")
    other_ring = KeyRing.load(other_server.keyring_path)
    rings = {"pg_dump": keyring, "pg_restore": other_ring}
    hosts = {"db.internal": server.url, "new.internal": other_server.url}
    programs = next(found.bin_dir for found in installed() if found.major == server.major)
    commands = _commands()
    assert [words[0] for words in commands] == ["pg_dump", "pg_dump", "pg_restore", "pg_restore"]
    for words in commands:
        role = re.findall(r"user=(\w+)", " ".join(words))[0]
        process = await asyncio.create_subprocess_exec(
            programs / words[0],
            *(_here(word, hosts) for word in words[1:]),
            cwd=tmp_path,
            env={**os.environ, "PGPASSWORD": rings[words[0]].passwords[role]},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        assert process.returncode == 0, said.decode()
    assert await migrate(dsn_for(other_server.url, "stoa_migrator", other_ring)) == []
    restored = await asyncpg.connect(**dsn_for(other_server.url, "stoa_backup", other_ring))
    try:
        assert (
            await restored.fetchval("SELECT name FROM tenant WHERE tenant_id = $1", tenant_id)
            == "Kept through a restore"
        )
        # The boundary came along: without a tenant set, the application sees nothing.
        policies = "SELECT tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies ORDER BY 1, 2"
        async with database.platform() as tx:
            assert await restored.fetch(policies) == await tx.fetch(policies)
    finally:
        await restored.close()
