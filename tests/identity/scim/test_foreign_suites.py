"""Suites of others against a running server, for two tenants at once. They find what we would not think of."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server
from scim2_tester.utils import CheckResult

from stoa.db.database import Database
from tests.identity.conftest import MakeScim, Running, Scim
from tests.identity.scim.answering import BOTH, answer
from tests.identity.scim.test_own_schemas import describe


def scim2_tester(address: str, token: str) -> list[CheckResult]:
    """All of its checks."""
    with httpx2.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        return check_server(SyncSCIMClient(http))


async def scim_sanity(address: str, token: str) -> dict[str, Any]:
    """What its probe reports."""
    probing = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scim_sanity", "probe", address, "--token", token),
        *("--json-output", "--i-accept-side-effects"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await probing.communicate()
    assert out, err.decode()
    return json.loads(out)


async def _two(make_scim: MakeScim, database: Database) -> list[Scim]:
    """A plain tenant, and one that has described an extension of its own."""
    plain, own = await make_scim(), await make_scim()
    # scim2-tester puts texts that are none into decimals and moments; adds to a list in an extension, and to what is
    # set once, after it has added the whole; and wants back what is never returned.
    await describe(database, own, "badge", "team", "remote", "grade", "home", "desk")
    return [plain, own]


@pytest.mark.all
async def test_scim2_tester_finds_nothing_in_two_tenants_at_once(
    running: Running, make_scim: MakeScim, database: Database
) -> None:
    run: Callable[..., list[CheckResult]] = scim2_tester
    tenants = await _two(make_scim, database)
    runs = await asyncio.gather(
        *(asyncio.to_thread(run, running.base_url + one.base, one.issued.token) for one in tenants)
    )
    for results in runs:
        found = [f"{one.title}: {one.reason}" for one in results if one.status is not Status.SUCCESS]
        assert found == [], "\n".join(found)
        # The suite says nothing when discovery leaves it without a resource to try.
        counts = Counter(one.resource_type for one in results)
        assert counts["User"] > 50
        assert counts["Group"] > 5


@pytest.mark.all
async def test_scim_sanity_finds_nothing_in_two_tenants_at_once_that_answer_as_it_expects(
    running: Running, make_scim: MakeScim, database: Database
) -> None:
    tenants = await _two(make_scim, database)
    # It wants a PATCH of a group answered with the group, and adds a member who is not here (docs/adr/0027).
    for one in tenants:
        await answer(database, one, BOTH)
    reports = await asyncio.gather(*(scim_sanity(running.base_url + one.base, one.issued.token) for one in tenants))
    for report in reports:
        # What it does not look at, this server does not have.
        assert {one["name"] for one in report["results"] if one["status"] == "skip"} == {
            *("Agent CRUD Lifecycle", "AgenticApplication CRUD Lifecycle", "Agent Rapid Lifecycle")
        }
        wrong = {one["name"]: one["message"] for one in report["results"] if one["status"] not in {"pass", "skip"}}
        assert wrong == {}
