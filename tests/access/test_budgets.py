"""Budgets over PostgreSQL: several processes, one limit."""

import asyncio
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from stoa.access.budgets import Budgets
from stoa.access.limits import Limits, Quotas, Use, change_limits, limits, quotas, use_of_budgets
from stoa.db.database import Database
from stoa.events.queries import read_events
from stoa.kernel.ids import TenantId, new_id
from stoa.kernel.problems import BadInput
from tests.access.budget_racer import AT
from tests.conftest import MakeTenant

_ROOT = Path(__file__).parents[2]


@dataclass
class Wall:
    """A clock that a test moves."""

    at: float = AT

    def __call__(self) -> float:
        return self.at


async def limit(database: Database, tenant_id: TenantId, tenant: int | None, client: int | None) -> None:
    async with database.tenant(tenant_id) as tx:
        await change_limits(tx, Limits(tenant, client))


async def writes(database: Database, tenant_id: TenantId) -> list[tuple[str, int]]:
    """The rows of the tenant's budgets, with their versions: each lease makes a new one."""
    async with database.tenant(tenant_id, read_only=True) as tx:
        return [
            (row["holder"], row["xmin"])
            for row in await tx.fetch(
                "SELECT holder, xmin::text::bigint AS xmin FROM rate_budget WHERE tenant_id = $1 ORDER BY holder",
                tenant_id,
            )
        ]


async def count_allowed(budgets: Budgets, tenant_id: TenantId, holder: str, times: int) -> int:
    return sum([(await budgets.spend(tenant_id, holder)).allowed for _ in range(times)])


async def test_the_defaults_hold_and_are_told(database: Database, tenant_id: TenantId) -> None:
    spent = await Budgets(database, clock=Wall()).spend(tenant_id, str(new_id()))
    assert spent.allowed
    assert spent.retry_after is None
    told = [(one.name, one.quota, one.window, one.remaining, one.reset_in) for one in spent.standings]
    assert told == [("client", 1200, 60, 1199, 30), ("tenant", 6000, 60, 5999, 30)]


async def test_a_request_writes_only_when_a_block_is_leased(database: Database, tenant_id: TenantId) -> None:
    budgets, holder = Budgets(database, clock=Wall()), str(new_id())
    assert budgets.spend_now(tenant_id, holder) is None
    await budgets.spend(tenant_id, holder)
    before = await writes(database, tenant_id)
    assert [name for name, _ in before] == ["", holder]
    for _ in range(19):
        assert budgets.spend_now(tenant_id, holder) is not None
    assert await writes(database, tenant_id) == before
    assert budgets.spend_now(tenant_id, holder) is None
    await budgets.spend(tenant_id, holder)
    after = await writes(database, tenant_id)
    # The tenant's block of 100 lasts longer than the client's of 20.
    assert after[0] == before[0]
    assert after[1] != before[1]


async def test_a_client_is_stopped_at_its_quota_until_the_minute_ends(database: Database, tenant_id: TenantId) -> None:
    await limit(database, tenant_id, None, 50)
    wall = Wall()
    budgets, holder = Budgets(database, clock=wall), str(new_id())
    assert await count_allowed(budgets, tenant_id, holder, 80) == 50
    before = await writes(database, tenant_id)
    refused = await budgets.spend(tenant_id, holder)
    assert (refused.allowed, refused.retry_after) == (False, 30)
    assert refused.standings[0].remaining == 0
    assert refused.standings[1].remaining == 5950
    # Whoever goes on asking costs the database nothing.
    assert await writes(database, tenant_id) == before
    wall.at += 29.5
    assert (await budgets.spend(tenant_id, holder)).retry_after == 1
    wall.at += 0.5
    assert (await budgets.spend(tenant_id, holder)).allowed


async def test_the_tenants_quota_stops_every_client_of_it_and_no_other_tenant(
    database: Database, tenant_id: TenantId, make_tenant: MakeTenant
) -> None:
    other = await make_tenant()
    await limit(database, tenant_id, 30, 20)
    budgets, first, second = Budgets(database, clock=Wall()), str(new_id()), str(new_id())
    assert await count_allowed(budgets, tenant_id, first, 25) == 20
    assert await count_allowed(budgets, tenant_id, second, 25) == 10
    refused = await budgets.spend(tenant_id, second)
    assert not refused.allowed
    assert [(one.name, one.remaining) for one in refused.standings] == [("client", 10), ("tenant", 0)]
    assert (await budgets.spend(other, first)).allowed


async def test_a_cost_is_taken_whole_or_not_at_all(database: Database, tenant_id: TenantId) -> None:
    await limit(database, tenant_id, None, 50)
    budgets, holder = Budgets(database, clock=Wall()), str(new_id())
    assert (await budgets.spend(tenant_id, holder, 45)).standings[0].remaining == 5
    refused = await budgets.spend(tenant_id, holder, 6)
    assert (refused.allowed, refused.standings[0].remaining) == (False, 5)
    assert (await budgets.spend(tenant_id, holder, 5)).allowed
    # More than the whole quota is the whole quota: such a request is possible, once a minute.
    assert (await budgets.spend(tenant_id, str(new_id()), 51)).allowed


async def test_two_processes_share_the_last_requests(database: Database, tenant_id: TenantId) -> None:
    await limit(database, tenant_id, None, 200)
    holder = str(new_id())
    quiet, busy = Budgets(database, clock=Wall()), Budgets(database, clock=Wall())
    assert (await quiet.spend(tenant_id, holder)).allowed
    # The quiet one keeps what is left of its one block of 5, and no more is out of reach.
    assert await count_allowed(busy, tenant_id, holder, 300) == 195
    assert await count_allowed(quiet, tenant_id, holder, 10) == 4


async def test_a_client_has_its_own_number_before_its_tenants(database: Database, tenant_id: TenantId) -> None:
    client_id = new_id()
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            """INSERT INTO api_client (tenant_id, client_id, name, name_key, scopes, per_minute, created_at, updated_at)
               VALUES ($1, $2, 'Sync', 'sync', '{people:read}', 7, $3, $3)""",
            tenant_id,
            client_id,
            tx.now,
        )
        assert await quotas(tx, str(client_id)) == Quotas(6000, 7)
        await change_limits(tx, Limits(100, 30))
        assert await quotas(tx, str(client_id)) == Quotas(100, 7)
        assert await quotas(tx, str(new_id())) == Quotas(100, 30)
    assert await count_allowed(Budgets(database, clock=Wall()), tenant_id, str(client_id), 20) == 7


async def test_a_block_leased_across_the_end_of_its_minute_is_void(database: Database, tenant_id: TenantId) -> None:
    await limit(database, tenant_id, None, 10)
    wall = Wall()
    budgets, holder = Budgets(database, clock=wall), str(new_id())
    # The lock makes both wait; meanwhile the minute ends for whoever asks first.
    for _ in range(10):
        assert (await budgets.spend(tenant_id, holder)).allowed
    wall.at += 60
    results = await asyncio.gather(*(budgets.spend(tenant_id, holder) for _ in range(25)))
    assert sum(one.allowed for one in results) == 10


async def test_a_process_whose_clock_is_a_little_behind_uses_the_minute_that_has_begun(
    database: Database, tenant_id: TenantId
) -> None:
    await limit(database, tenant_id, None, 20)
    ahead, behind = Wall(AT + 60), Wall(AT)
    first, second, holder = Budgets(database, clock=ahead), Budgets(database, clock=behind), str(new_id())
    assert await count_allowed(first, tenant_id, holder, 15) == 15
    assert await count_allowed(second, tenant_id, holder, 15) == 5
    # Far ahead is wrong: nobody waits for a minute of next year.
    astray = Budgets(database, clock=Wall(AT + 3e7))
    assert (await astray.spend(tenant_id, holder)).allowed
    assert (await Budgets(database, clock=ahead).spend(tenant_id, holder)).allowed


@pytest.mark.parametrize("seed", range(6))
async def test_in_any_order_of_many_askers_no_window_lets_more_through(
    database: Database, tenant_id: TenantId, seed: int
) -> None:
    chance = random.Random(seed)
    quota, whole = chance.randint(5, 120), chance.randint(20, 200)
    await limit(database, tenant_id, whole, quota)
    wall = Wall()
    processes = [Budgets(database, clock=wall) for _ in range(3)]
    holders = [str(new_id()) for _ in range(3)]
    for _ in range(3):
        used = dict.fromkeys(holders, 0)

        async def ask(used: dict[str, int] = used) -> None:
            holder, cost = chance.choice(holders), chance.choice((1, 1, 1, 2, 9))
            spent = await chance.choice(processes).spend(tenant_id, holder, cost)
            used[holder] += min(cost, quota, whole) if spent.allowed else 0
            assert all(one.remaining >= 0 for one in spent.standings)

        await asyncio.gather(*(ask() for _ in range(150)))
        assert max(used.values()) <= quota
        assert sum(used.values()) <= whole
        wall.at += 60


async def test_processes_that_race_never_exceed_the_limits_and_strand_little(
    database: Database, tenant_id: TenantId, process_env: dict[str, str]
) -> None:
    await limit(database, tenant_id, 500, 240)
    holders = [str(new_id()) for _ in range(3)]
    command = (sys.executable, "-m", "tests.access.budget_racer", str(tenant_id), ",".join(holders), "900")
    children = [
        await asyncio.create_subprocess_exec(
            *command, cwd=_ROOT, env=process_env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    async with asyncio.timeout(60):
        for child in children:
            assert child.stdout is not None
            assert await child.stdout.readline() == b"ready\n"
        outputs = await asyncio.gather(*(child.communicate(b"go\n") for child in children))
    allowed = [json.loads(out) for out, _ in outputs]
    of_holder = {holder: sum(one[holder] for one in allowed) for holder in holders}
    assert max(of_holder.values()) <= 240
    # Everybody asked for more than there was, so all of it was used.
    assert sum(of_holder.values()) == 500
    async with database.tenant(tenant_id, read_only=True) as tx:
        uses = await use_of_budgets(tx, AT)
    assert uses[0] == Use("", None, 500, 500)
    assert {one.holder: one.used >= of_holder[one.holder] for one in uses[1:]} == dict.fromkeys(holders, True)


async def test_use_is_shown_for_the_present_minute_alone(database: Database, tenant_id: TenantId) -> None:
    holder = str(new_id())
    await Budgets(database, clock=Wall()).spend(tenant_id, holder)
    async with database.tenant(tenant_id, read_only=True) as tx:
        assert await use_of_budgets(tx, AT) == [Use("", None, 6000, 100), Use(holder, None, 1200, 20)]
        assert [one.left for one in await use_of_budgets(tx, AT)] == [5900, 1180]
        assert await use_of_budgets(tx, AT + 60) == [Use("", None, 6000, 0)]


async def test_a_change_of_limits_tells_before_and_after_and_no_change_tells_nothing(
    database: Database, tenant_id: TenantId
) -> None:
    for _ in range(2):
        await limit(database, tenant_id, 100, None)
    async with database.tenant(tenant_id) as tx:
        assert await limits(tx) == Limits(100, None)
        told = [one for one in await read_events(tx, 0, 100) if one.type == "tenant.limits_changed"]
    assert [one.body for one in told] == [
        {
            "before": {"api_per_minute": None, "client_per_minute": None},
            "after": {"api_per_minute": 100, "client_per_minute": None},
        }
    ]


@pytest.mark.parametrize("number", [0, -1, 10_000_001])
async def test_a_limit_that_cannot_be_is_refused(database: Database, tenant_id: TenantId, number: int) -> None:
    with pytest.raises(BadInput, match=str(number)):
        await limit(database, tenant_id, number, None)


async def test_nothing_is_free_and_nobody_is_nobody(database: Database, tenant_id: TenantId) -> None:
    budgets = Budgets(database)
    for holder, cost in (("x", 0), ("", 1)):
        with pytest.raises(ValueError, match="costs 1 or more"):
            budgets.spend_now(tenant_id, holder, cost)
