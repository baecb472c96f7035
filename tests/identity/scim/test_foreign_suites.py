"""Suites of others against a running server. They find what we would not think of."""

import asyncio
from collections import Counter

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server
from scim2_tester.utils import CheckResult

from tests.identity.conftest import MakeScim, Running


def scim2_tester(address: str, token: str) -> list[CheckResult]:
    """All of its checks."""
    with httpx2.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        return check_server(SyncSCIMClient(http))


@pytest.mark.all
async def test_scim2_tester_finds_nothing_in_two_tenants_at_once(running: Running, make_scim: MakeScim) -> None:
    tenants = [await make_scim(), await make_scim()]
    runs = await asyncio.gather(
        *(asyncio.to_thread(scim2_tester, running.base_url + one.base, one.issued.token) for one in tenants)
    )
    for results in runs:
        found = [f"{one.title}: {one.reason}" for one in results if one.status is not Status.SUCCESS]
        assert found == []
        # The suite says nothing when discovery leaves it without a resource to try.
        assert Counter(one.resource_type for one in results)["User"] > 50
