"""Suites of others against the API's document and the running API. They find what we would not think of."""

import asyncio
import sys
from pathlib import Path

import httpx2
import pytest

from stoa.access.limits import Limits, change_limits
from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId

from .calling import listening, serving, token_of
from .test_api_entrance import make_person

ROOT = Path(__file__).parents[2]
NODE = Path(sys.executable).parent / "node"
BIN = ROOT / "node_modules"
# The same inputs in every run, and no more of them than a build can wait for.
SEED, EXAMPLES = "20261123", "8"


# Why a check is told something: a missing If-Match is refused by 428 (RFC 6585, 3), which Schemathesis does not expect;
# many people at once are looked at one by one, so that one that cannot be read is told in its own result; and filters,
# cursors and times are more than their type, so that what fits the schema may still be refused.
CONFIGURATION = """
[checks]
missing_required_header.expected-statuses = ["400", "401", "403", "406", "415", "422", "428"]
positive_data_acceptance.enabled = false

[[operations]]
include-name = ["POST /v1/bulk/people", "POST /v1/imports/people"]
checks.negative_data_rejection.enabled = false
"""


async def ran(*command: str | Path, cwd: Path) -> tuple[int, str]:
    """A program's exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


@pytest.fixture
async def document(server: embedded.Server, tmp_path: Path) -> Path:
    """The OpenAPI document in a file."""
    async with serving(server) as client:
        answer = await client.get("/v1/openapi.json")
    path = tmp_path / "openapi.json"
    path.write_bytes(answer.content)
    return path


@pytest.mark.all
async def test_spectral_finds_nothing(document: Path) -> None:
    rules = document.with_name("spectral.yaml")
    rules.write_text('extends: ["spectral:oas"]\n')
    spectral = BIN / "@stoplight" / "spectral-cli" / "dist" / "index.js"
    code, said = await ran(
        NODE, spectral, "lint", document, "-r", rules, "--fail-severity", "hint", cwd=document.parent
    )
    assert code == 0, said


@pytest.mark.all
async def test_redocly_finds_nothing(document: Path) -> None:
    redocly = BIN / "@redocly" / "cli" / "bin" / "cli.js"
    code, said = await ran(
        NODE, redocly, "lint", document, "--extends=recommended", "--format=stylish", cwd=document.parent
    )
    assert code == 0, said
    assert "warning" not in said.lower(), said


@pytest.mark.all
@pytest.mark.timeout(600)
async def test_schemathesis_finds_nothing(
    server: embedded.Server, database: Database, tenant_id: TenantId, tmp_path: Path
) -> None:
    async with database.tenant(tenant_id) as tx:
        await change_limits(tx, Limits(api_per_minute=10_000_000, client_per_minute=10_000_000))
    await make_person(database, tenant_id)
    token = await token_of(database, tenant_id, source="Payroll API")
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    async with listening(server) as base_url:
        code, said = await ran(
            *(Path(sys.executable).parent / "schemathesis", "--config-file", configuration),
            *("run", f"{base_url}/v1/openapi.json"),
            *("-H", f"Authorization: Bearer {token}", "--seed", SEED, "-n", EXAMPLES),
            *("--phases", "examples,coverage,fuzzing,stateful"),
            *("--suppress-health-check", "all", "--no-color"),
            cwd=tmp_path,
        )
        async with httpx2.AsyncClient(base_url=base_url, headers={"Authorization": f"Bearer {token}"}) as client:
            assert (await client.get("/v1/me")).status_code == 200
    assert code == 0, said
    assert "No issues found" in said or "passed" in said, said
