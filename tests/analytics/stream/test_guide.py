"""The guide to events does what it says."""

import asyncio
import os
import re
import sqlite3
import sys
from pathlib import Path

import msgspec

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId

from ...api.calling import listening, token_of
from ...people.rebuilding import people_of
from .test_consumer import Life
from .writing import number

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "events.md"


def blocks(language: str) -> list[str]:
    """The guide's code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


async def ran(*command: str, base_url: str, token: str) -> bytes:
    """What a command prints. It has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": os.environ["PATH"], "STOA": base_url, "TOKEN": token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, error.decode()
    return out


async def test_the_commands_of_the_guide_give_pages(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> None:
    token = await token_of(database, tenant_id, ["events:read"])
    await number(database, tenant_id)
    calls = [block for block in blocks("sh") if block.startswith("curl")]
    assert len(calls) == 3
    async with listening(server) as base_url:
        for call in calls:
            page = msgspec.json.decode(await ran("sh", "-c", call, base_url=base_url, token=token))
            assert page.keys() == {"items", "next_cursor", "has_more", "as_of"}


async def test_the_program_of_the_guide_keeps_a_copy_of_people(
    server: embedded.Server, database: Database, tenant_id: TenantId, tmp_path: Path
) -> None:
    (program,) = blocks("python")
    program = program.replace('"wait": 5', '"wait": 0').replace('"limit": 500', '"limit": 50')
    life, file = await Life.begin(database, tenant_id, 8), tmp_path / "copy.db"
    token = await token_of(database, tenant_id, ["events:read"])
    async with listening(server) as base_url:
        for _ in range(3):
            for _ in range(3):
                await life.go_on()
            await number(database, tenant_id)
            await ran(sys.executable, "-c", program, str(file), base_url=base_url, token=token)
    rows = sqlite3.connect(file).execute("SELECT id, fields FROM person").fetchall()
    copied = {id_: msgspec.json.decode(fields) for id_, fields in rows}
    plain = {id_: {name: value for name, value in told.items() if value is not None} for id_, told in copied.items()}
    assert plain == await people_of(database, tenant_id)
