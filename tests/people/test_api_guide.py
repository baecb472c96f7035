"""The guide to people over the API does what it says."""

import asyncio
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from stoa.db import embedded
from stoa.db.database import Database
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId
from stoa.people.importing import importing_jobs
from tests.api.calling import listening, token_of
from tests.people.api import OWN

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "api-people.md"


def blocks(language: str) -> list[str]:
    """The guide's code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


async def ran(*command: str, base_url: str, token: str, cwd: Path | None = None) -> str:
    """What a command prints. It has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "STOA": base_url, "TOKEN": token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, error.decode() + out.decode()
    return out.decode()


async def test_the_commands_of_the_guide_do_what_it_says(
    server: embedded.Server, database: Database, tenant_id: TenantId, tmp_path: Path
) -> None:
    token = await token_of(database, tenant_id, ["people:read", "people:write"], source=OWN)
    calls = [block for block in blocks("sh") if block.startswith("curl")]
    (tmp_path / "items.json").write_text(blocks("json")[1], encoding="utf-8")
    told: list[dict[str, Any]] = []
    async with listening(server) as base_url:
        for call in calls:
            out = await ran("sh", "-c", call, base_url=base_url, token=token, cwd=tmp_path)
            told.append(msgspec.json.decode(out) if out else {})
    created, read, put, patched, records, gone, bulk, listed = told
    assert (created["resolution"]["outcome"], created["overruled"], read["id"]) == ("created", [], created["id"])
    assert put["manager_id"] == created["id"]
    assert (patched["title"], patched["phone"], patched["display_name"]) == (
        None,
        "+44 20 7946 0000",
        "Charles Babbage",
    )
    assert [one["source"]["name"] for one in records["items"]] == [OWN]
    assert gone == {}
    assert [one["status"] for one in bulk["results"]] == [201, 201, 200, 404]
    assert {"items", "next_updated_since"} <= listed.keys()


async def test_the_program_of_the_guide_imports_a_file(
    server: embedded.Server, database: Database, tenant_id: TenantId, tmp_path: Path
) -> None:
    (program,) = blocks("python")
    token = await token_of(database, tenant_id, ["people:write", "jobs:read"], source=OWN)
    file, stop = tmp_path / "people.csv", asyncio.Event()
    lines = ["external_id,display_name,title,hire_date", "E1,Ada,Analyst,2020-01-31", "E2,Bo,,soon", "E3,Cy,,"]
    file.write_text("\n".join(lines), encoding="utf-8")
    worker = asyncio.create_task(Worker(database, importing_jobs()).run(stop))
    try:
        async with listening(server) as base_url:
            first = await ran(sys.executable, "-c", program, str(file), base_url=base_url, token=token)
            again = await ran(sys.executable, "-c", program, str(file), base_url=base_url, token=token)
    finally:
        stop.set()
        with suppress(asyncio.CancelledError):
            await worker
    assert first.splitlines()[0] == "done: 3 of 3, 1 refused"
    assert first.splitlines()[1].startswith("1 E2 person.hire_date: ")
    assert again == first
    async with database.tenant(tenant_id) as tx:
        assert await tx.fetchval("SELECT count(*) FROM person WHERE tenant_id = $1", tenant_id) == 2
