"""The commands about webhooks, run as a script runs them."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from tests.commands import run_command
from tests.conftest import MakeTenant


@pytest.fixture
async def slug(make_tenant: MakeTenant) -> str:
    """A fresh tenant."""
    given = f"hooks-{uuid4().hex[:8]}"
    await make_tenant(slug=given)
    return given


async def stoa(env: dict[str, str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `stoa webhook WORDS`."""
    ran = await asyncio.to_thread(run_command, ("webhook", *words), {**env, "COLUMNS": "300"})
    return ran.code, ran.out, ran.err


async def told(env: dict[str, str], *words: str) -> Any:
    """The JSON that a command prints."""
    code, out, err = await stoa(env, *words, "--json")
    assert code == 0, err
    return json.loads(out)


async def test_the_life_of_a_webhook(process_env: dict[str, str], slug: str) -> None:
    url = "https://hooks.acme.example/stoa"
    made = await told(process_env, "create", slug, url, "--events", 'type sw "person."', "--description", "Directory")
    assert made["secret"].startswith("whsec_")
    (listed,) = await told(process_env, "list", slug)
    assert (listed["id"], listed["url"], listed["events"]) == (made["id"], url, 'type sw "person."')
    assert "secret" not in listed
    asked = await told(process_env, "test", slug, made["id"])
    assert (asked["state"], asked["message_id"].startswith("test_")) == ("waiting", True)
    assert (await told(process_env, "disable", slug, made["id"]))["state"] == "disabled"
    assert (await told(process_env, "enable", slug, made["id"], "--from-now"))["state"] == "active"
    assert await told(process_env, "delete", slug, made["id"]) == {"deleted": made["id"]}
    assert await told(process_env, "list", slug) == []


async def test_what_cannot_be_is_said(process_env: dict[str, str], slug: str) -> None:
    code, _, err = await stoa(process_env, "create", slug, "https://10.0.0.1/")
    assert (code, "not an address of the public internet" in err) == (1, True)
    code, _, err = await stoa(process_env, "create", slug, "https://hooks.acme.example/", "--events", "tpye pr")
    assert (code, "type" in err) == (1, True)
    code, _, err = await stoa(process_env, "test", slug, str(uuid4()))
    assert (code, "There is no such webhook" in err) == (1, True)
