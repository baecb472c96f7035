"""The guides to the public API do what they say: their commands and programs run against a server that listens."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from tests.conftest import MakeTenant

from .calling import listening, token_of

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who types what a guide says.

    Attributes:
        folder: where programs leave their files.
    """

    base_url: str
    token: str
    folder: Path

    async def calls(self, guide: str) -> list[str]:
        """What each block of commands prints; what only sets the environment is left out."""
        found = blocks(guide, "sh")
        assert found[0].startswith("export STOA="), "a guide says first what its examples need"
        return [await self.ran("sh", "-ec", block) for block in found[1:]]

    async def program(self, guide: str) -> str:
        """What the guide's programs print, the later ones after the first."""
        return await self.ran(sys.executable, "-c", "\n".join(blocks(guide, "python")))

    async def ran(self, *command: str) -> str:
        """What a command prints. It has to succeed."""
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "STOA": self.base_url, "TOKEN": self.token},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, error.decode() + out.decode()
        return out.decode()


def blocks(guide: str, language: str) -> list[str]:
    """A guide's code in a language."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
async def tenant(make_tenant: MakeTenant) -> TenantId:
    """A sandbox: guides have it fail on purpose."""
    return await make_tenant(sandbox=True)


@pytest.fixture
async def reader(
    server: embedded.Server, database: Database, tenant: TenantId, tmp_path: Path
) -> AsyncGenerator[Reader]:
    """Who reads and writes people in a tenant that has none yet."""
    token = await token_of(database, tenant, ["people:read", "people:write"], source="Portal")
    async with listening(server) as base_url:
        yield Reader(base_url, token, tmp_path)


async def people_of(database: Database, tenant_id: TenantId) -> list[str]:
    """The names of the tenant's people."""
    async with database.tenant(tenant_id, read_only=True) as tx:
        rows = await tx.fetch("SELECT display_name FROM person WHERE tenant_id = $1 ORDER BY display_name", tenant_id)
    return [row["display_name"] for row in rows]


async def make_people(reader: Reader, *names: str) -> None:
    """People, over the API."""
    for name in names:
        body = json.dumps({"external_id": name, "display_name": name})
        await reader.ran(
            *("curl", "-sS", "--fail-with-body", f"{reader.base_url}/v1/people", "-d", body),
            *("-H", f"Authorization: Bearer {reader.token}", "-H", f"Idempotency-Key: {name.replace(' ', '-')}"),
            *("-H", "Content-Type: application/json"),
        )


async def test_the_first_call(reader: Reader) -> None:
    await make_people(reader, "Ada Byron")
    me, people = await reader.calls("api-first-call.md")
    assert set(json.loads(me)["scopes"]) == {"people:read", "people:write"}
    assert [one["display_name"] for one in json.loads(people)["items"]] == ["Ada Byron"]
    told = await reader.program("api-first-call.md")
    assert "people:read, people:write" in told
    assert "Ada Byron" in told


async def test_lists(reader: Reader) -> None:
    names = ["Ada", "Alan", "Bo", "Cy", "Dee"]
    await make_people(reader, *names)
    page, filtered = await reader.calls("api-paging.md")
    assert [one["display_name"] for one in json.loads(page)["items"]] == names[:2]
    assert json.loads(page)["next_cursor"]
    assert [one["display_name"] for one in json.loads(filtered)["items"]] == ["Alan", "Ada"]
    assert {name for one in json.loads(filtered)["items"] for name in one} == {"id", "display_name", "email"}


async def test_every_page_and_a_copy_that_is_kept(reader: Reader) -> None:
    names = ["Ada", "Bo", "Cy", "Dee", "Eve"]
    await make_people(reader, *names)
    listing, copying = blocks("api-paging.md", "python")
    assert (await reader.ran(sys.executable, "-c", listing)).split() == names
    assert await reader.ran(sys.executable, "-c", copying) == "5 people\n"
    before = json.loads((reader.folder / "copy.json").read_text(encoding="utf-8"))
    await make_people(reader, "Flo")
    assert await reader.ran(sys.executable, "-c", copying) == "6 people\n"
    after = json.loads((reader.folder / "copy.json").read_text(encoding="utf-8"))
    assert after["since"] > before["since"]
    assert set(before["people"]) < set(after["people"])


async def test_work_that_is_repeated_is_done_once(reader: Reader, database: Database, tenant: TenantId) -> None:
    (both,) = await reader.calls("api-idempotency.md")
    first, second = [part for part in re.split(r"(?=HTTP/1\.1 )", both) if part.strip()]
    assert " 201 " in first.splitlines()[0]
    assert " 201 " in second.splitlines()[0]
    assert "idempotency-replayed" not in first.lower()
    assert "idempotency-replayed: true" in second.lower()
    told = (await reader.program("api-idempotency.md")).splitlines()
    assert told[0] == "201 Charles Babbage"
    assert told[1].startswith("no answer: ")
    assert told[2] == "true Grace Hopper"
    assert await people_of(database, tenant) == ["Ada Byron", "Charles Babbage", "Grace Hopper"]


async def test_limits(reader: Reader) -> None:
    (told,) = await reader.calls("api-limits.md")
    assert re.search(
        r'^ratelimit-policy: "client";q=1200;w=60, "tenant";q=6000;w=60', told, re.MULTILINE | re.IGNORECASE
    )
    assert re.search(r'^ratelimit: "client";r=\d+;t=\d+, "tenant";r=\d+;t=\d+', told, re.MULTILINE | re.IGNORECASE)
    left, waiting, status = (await reader.program("api-limits.md")).splitlines()
    assert re.fullmatch(r"left: \d+", left)
    assert waiting == "waiting 1"
    assert status == "200"


async def test_errors(reader: Reader) -> None:
    (told,) = await reader.calls("api-errors.md")
    problem = json.loads(told[told.index("{") :])
    shown = json.loads(blocks("api-errors.md", "json")[0])
    differ = {"type", "trace_id"}
    assert {name: value for name, value in problem.items() if name not in differ} == {
        name: value for name, value in shown.items() if name not in differ
    }
    assert problem["type"] == f"{reader.base_url}/docs/problems/bad_query"
    assert problem["trace_id"] in told.partition("{")[0]
    assert (await reader.program("api-errors.md")).startswith("invalid_filter - ")
