"""Lighthouse on the pages that are looked at most: quick, accessible, by good practice, and nothing moves while they
load.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import uvicorn

from stoa.access.permissions import Role
from stoa.db.database import Database
from tests.conftest import MakeTenant
from tests.console.estate import Estate, application, make_estate
from tests.web.signed_in import Browsers, browsers

# Five pages, and a browser started for each look.
pytestmark = [pytest.mark.all, pytest.mark.alone, pytest.mark.timeout(600)]

ROOT: Final = Path(__file__).parents[2]
LIGHTHOUSE: Final = ROOT / "node_modules" / "lighthouse" / "cli" / "index.js"
CATEGORIES: Final = ("performance", "accessibility", "best-practices")
LEAST_SCORE: Final = 0.95
MOST_SHIFT: Final = 0.01
_SECONDS: Final = 60
_MOST_LOOKS: Final = 3


@pytest.fixture
async def people(database: Database) -> AsyncGenerator[Browsers]:
    """Signs people in before the pages of every room."""
    async with browsers(application(database), database) as opened:
        yield opened


@pytest.fixture
async def base_url(people: Browsers) -> AsyncGenerator[str]:
    """The application on a free port of this machine."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(people.app, log_level="critical", lifespan="off"))
    serving = asyncio.create_task(server.serve([listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await serving


class ChromiumFailed(Exception):
    """The browser did not come up, or recorded nothing: that says nothing about the page."""


def _node() -> str:
    """The node that the assets are built with: the environment's own where the machine's is too old."""
    own = ROOT / ".venv" / "bin" / "node"
    found = str(own) if own.exists() else shutil.which("node")
    assert found, "make setup-dev provides it"
    return found


def _look(address: str, token: str, folder: Path) -> dict[str, Any]:
    """Lighthouse's report of one page. Raises ChromiumFailed when the browser gave it nothing to look at."""
    executable = shutil.which("chromium")
    assert executable, "install it with: apt-get install -y chromium"
    report = folder / "report.json"
    command = [
        *(_node(), str(LIGHTHOUSE), address, "--quiet", "--preset=desktop", "--output=json"),
        *(f"--output-path={report}", f"--only-categories={','.join(CATEGORIES)}"),
        # No sandbox: chromium refuses to start with one as root, which is what the build machine is.
        "--chrome-flags=--headless --no-sandbox --disable-dev-shm-usage",
        f"--extra-headers={json.dumps({'Cookie': f'stoa_session={token}'})}",
    ]
    env = {**os.environ, "CHROME_PATH": executable}
    told = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if told.returncode:
        raise ChromiumFailed(told.stderr)
    return json.loads(report.read_text("utf-8"))


def _faults(report: dict[str, Any]) -> list[str]:
    """What falls short, with the audits that cost points."""
    audits: dict[str, Any] = report["audits"]
    found: list[str] = []
    for name in CATEGORIES:
        category = report["categories"][name]
        if category["score"] is None or category["score"] < LEAST_SCORE:
            lost = [
                f"{ref['id']} {audits[ref['id']].get('displayValue', '')}".strip()
                for ref in category["auditRefs"]
                if ref["weight"] and (audits[ref["id"]]["score"] or 0) < 1
            ]
            found.append(f"{name} {category['score']}: {', '.join(lost)}")
    shift = audits["cumulative-layout-shift"]["numericValue"]
    if shift >= MOST_SHIFT:
        found.append(f"the layout shifts by {shift:.3f}")
    return found


async def test_lighthouse_finds_nothing(
    people: Browsers, base_url: str, database: Database, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    estate: Estate = await make_estate(database, make_tenant)
    token = (await people.of(Role.PLATFORM_ADMIN)).cookies["stoa_session"]
    found: dict[str, list[str]] = {}
    for name, address in estate.pages.items():
        # The best look counts: the machine is not this page's alone, and what is wrong is wrong each time.
        for look in range(_MOST_LOOKS):
            folder = tmp_path / f"{name}-{look}"
            folder.mkdir()
            try:
                report = await asyncio.to_thread(partial(_look, base_url + address, token, folder))
            except ChromiumFailed as failed:
                found[name] = [str(failed)]
                continue
            assert report["finalDisplayedUrl"] == base_url + address
            found[name] = _faults(report)
            if not found[name]:
                break
    assert {name: faults for name, faults in found.items() if faults} == {}
