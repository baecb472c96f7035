"""The code of the guide reads what is sent, and its commands do what it says."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from tests.analytics.webhooks.conftest import Ground
from tests.api.calling import listening, token_of

GUIDE = (Path(__file__).parents[3] / "docs/guides/webhooks.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
SHELL = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def test_there_is_code() -> None:
    assert len(PYTHON) == 2
    assert sum("curl" in block for block in SHELL) == 2


@pytest.mark.parametrize("code", PYTHON)
async def test_the_code_of_the_guide_reads_a_message_and_no_forged_one(ground: Ground, code: str) -> None:
    served = await ground.receiver()
    made = await ground.endpoint(served, 'type sw "thing."')
    await ground.happen("thing.created")
    await ground.dispatch()
    names: dict[str, Any] = {}
    exec(compile(code, "guide", "exec"), names)
    seen = served.seen[0]
    assert names["read"](made.secret, seen.headers, seen.body)["type"] == "thing.created"
    forged = seen.body.replace(b"created", b"deleted")
    for secret, headers, body in (
        (made.secret, seen.headers, forged),
        ("whsec_" + "A" * 44, seen.headers, seen.body),
        (made.secret, seen.headers | {"webhook-timestamp": "1700000000"}, seen.body),
    ):
        with pytest.raises(Exception, match=r"sign|Sign|old|fit"):
            names["read"](secret, headers, body)


async def test_the_commands_of_the_guide_do_what_it_says(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> None:
    commands = [line for block in SHELL if "curl" in block for line in block.replace("\\\n", " ").splitlines()]
    async with listening(server) as base_url:
        env = {"STOA": base_url, "TOKEN": await token_of(database, tenant_id), "PATH": "/usr/bin:/bin"}

        async def ran(command: str) -> dict[str, Any]:
            shell = await asyncio.create_subprocess_shell(command, env=env, stdout=asyncio.subprocess.PIPE)
            out, _ = await shell.communicate()
            return json.loads(out)

        create, recover, test = commands
        made = await ran(create)
        assert made["secret"].startswith("whsec_")
        env["WEBHOOK"] = made["id"]
        assert (await ran(recover))["code"] == "webhook_state"
        assert (await ran(test))["event_type"] == "webhook.test"
