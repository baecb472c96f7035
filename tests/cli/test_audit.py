"""The commands about the audit log and the API's limits, run as they are typed."""

import asyncio
import csv
import io
import json
from typing import Any
from uuid import uuid4

import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.db.transactions import Origin
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import TenantId
from tests.commands import run_command
from tests.conftest import MakeTenant
from tests.events.test_chain import tamper

Company = tuple[str, TenantId]


async def stoa(env: dict[str, str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `stoa WORDS`."""
    ran = await asyncio.to_thread(run_command, words, {**env, "COLUMNS": "300"})
    return ran.code, ran.out, ran.err


async def told(env: dict[str, str], *words: str) -> Any:
    """The JSON that a command prints."""
    code, out, err = await stoa(env, *words, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.fixture
async def company(make_tenant: MakeTenant) -> Company:
    slug = f"audit-{uuid4().hex[:8]}"
    return slug, await make_tenant(slug=slug)


async def test_a_sound_log_verifies_and_a_touched_one_is_told_with_its_place(
    database: Database, company: Company, process_env: dict[str, str], server: embedded.Server
) -> None:
    slug, tenant_id = company
    [sound] = await told(process_env, "audit", "verify", slug)
    assert (sound["tenant"], sound["sound"], sound["up_to"], sound["broken_at"]) == (slug, True, 2, None)
    async with database.tenant(tenant_id) as tx:
        entry_no = await tx.fetchval("SELECT min(entry_no) FROM entry WHERE tenant_id = $1", tenant_id)
    touch = "UPDATE entry SET via = $3 WHERE tenant_id = $1 AND entry_no = $2"
    await tamper(server, touch, tenant_id, entry_no, "nowhere")
    code, out, err = await stoa(process_env, "audit", "verify", slug, "--json")
    assert code == 1
    [broken] = json.loads(out)
    assert (broken["sound"], broken["up_to"], broken["broken_at"], broken["reason"]) == (False, 0, 1, "digest")
    assert f"{slug}: At event 1 (entry {entry_no}) the content of an entry was changed." in err
    await tamper(server, touch, tenant_id, entry_no, "system")
    assert (await stoa(process_env, "audit", "verify", slug))[0] == 0


async def test_every_log_is_verified_that_of_the_operators_too(company: Company, process_env: dict[str, str]) -> None:
    # Tests beside this one break logs on purpose, so that the code may be 1; what is told of each is its own.
    code, out, err = await stoa(process_env, "audit", "verify", "--all", "--json")
    rows = {row["tenant"]: row["sound"] for row in json.loads(out)}
    assert (code == 0) == all(rows.values()), err
    assert rows[company[0]] is True
    assert rows["(operators)"] is True


@pytest.mark.parametrize("words", [(), ("acme", "--all")])
async def test_which_log_must_be_said(process_env: dict[str, str], words: tuple[str, ...]) -> None:
    code, _, err = await stoa(process_env, "audit", "verify", *words)
    assert code == 1
    assert "Say which audit log" in err


async def test_the_log_is_copied_out_filtered_the_oldest_first(
    database: Database, company: Company, process_env: dict[str, str]
) -> None:
    slug, tenant_id = company
    for number in range(3):
        async with database.tenant(tenant_id, Origin("operator:cli", "cli", None, "192.0.2.1")) as tx:
            emit(tx, Event("thing.done", "=1+1", {"before": None, "after": {"n": number}}))
    wanted = ("audit", "export", slug, "--filter", 'type eq "thing.done"')
    code, out, err = await stoa(process_env, *wanted)
    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["after"] for row in rows] == ['{"n":0}', '{"n":1}', '{"n":2}']
    assert {(row["subject"], row["address"], row["actor"]) for row in rows} == {("'=1+1", "192.0.2.1", "operator:cli")}
    code, out, err = await stoa(process_env, *wanted, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["body"]["after"]["n"] for line in lines] == [0, 1, 2]
    assert lines[0]["subject"] == "=1+1"
    code, _, err = await stoa(process_env, "audit", "export", slug, "--filter", "who eq 1")
    assert code == 1
    assert "Unknown attribute" in err


async def test_limits_are_shown_set_and_given_back(company: Company, process_env: dict[str, str]) -> None:
    slug, _ = company
    usual = {"api_per_minute": 6000, "client_per_minute": 1200, "own": False}
    nothing = {"used_this_minute": 0}
    shown = await told(process_env, "tenant", "limits", slug)
    assert shown == {**usual, **nothing, "left_this_minute": 6000}
    changed = await told(process_env, "tenant", "limits", slug, "--api-per-minute", "100")
    assert (changed["api_per_minute"], changed["client_per_minute"], changed["own"]) == (100, 1200, True)
    changed = await told(process_env, "tenant", "limits", slug, "--client-per-minute", "7")
    assert (changed["api_per_minute"], changed["client_per_minute"]) == (100, 7)
    back = await told(process_env, "tenant", "limits", slug, "--usual", "--client-per-minute", "8")
    assert (back["api_per_minute"], back["client_per_minute"]) == (6000, 8)
    code, _, err = await stoa(process_env, "tenant", "limits", slug, "--api-per-minute", "0")
    assert code == 1
    assert "0 requests a minute cannot be a limit" in err
