"""From the commit of an event to its body at a receiver, at 500 events a second of 30 tenants, with one worker process;
against a bare LISTEN/NOTIFY relay; and with receivers that hang."""

import asyncio
from contextlib import AsyncExitStack
from statistics import median, quantiles
from typing import Any

import asyncpg

from bench.ground import Ground
from bench.model import Figure, Plan
from bench.processes import ask, listening, process
from stoa.analytics.webhooks.actions import create_endpoint, delete_endpoint
from stoa.analytics.webhooks.model import Settings
from stoa.db.keyring import KeyRing
from stoa.kernel.ids import EndpointId, TenantId
from stoa.tenants.sealing import Sealer

EVENTS = 2_500
ROUNDS = 3
RATE = 500
TENANTS = 30
HANGING = 3
_ARRIVE_SECONDS = 20
_WARM = 0.1
_SCHEMA = """
DROP SCHEMA IF EXISTS bench_hooks CASCADE; CREATE SCHEMA bench_hooks;
CREATE TABLE bench_hooks.outbox (id bigserial PRIMARY KEY, tenant_id uuid NOT NULL, body text NOT NULL)"""
Process = asyncio.subprocess.Process


async def run(ground: Ground, plan: Plan) -> list[Figure]:
    """Rounds of the relay, of Stoa, and of Stoa with receivers that hang."""
    tenants = [(await ground.tenant())[0] for _ in range(TENANTS)]
    seconds = (plan.size or EVENTS) / RATE
    found: dict[str, list[list[float]]] = {"bare": [], "stoa": [], "hanging": []}
    await _prepare(ground)
    async with AsyncExitStack() as exits:
        listener = await exits.enter_async_context(listening())
        pair = f"127.0.0.1:{listener.getsockname()[1]}"
        env = {**ground.env(), "STOA_OUTBOUND_ALLOW": pair}
        descriptor = listener.fileno()
        receiver = await exits.enter_async_context(
            process(["bench.hooks_receiver", str(descriptor)], env, fds=(descriptor,))
        )
        await exits.enter_async_context(process(["bench.peers.relay", ground.admin_dsn, f"http://{pair}/"], env))
        await exits.enter_async_context(process(["stoa.cli", "worker"], env))
        writer = await exits.enter_async_context(process(["bench.hooks_writer", ground.admin_dsn], env))
        for tenant_id in tenants:
            await _endpoint(ground, tenant_id, f"http://{pair}/hook", pair)
        first = 0
        for number in range(-1, plan.rounds or ROUNDS):
            # The first round prepares statements and opens connections.
            plan.report(f"webhooks: round {number + 1}")
            for path in ("bare", "stoa", "hanging"):
                hung = await _hang(ground, tenants, pair) if path == "hanging" else []
                asked = {"tenants": [str(one) for one in tenants], "path": "bare" if path == "bare" else "stoa"}
                took = await _took(writer, receiver, {**asked, "rate": RATE, "seconds": seconds, "first": first})
                first += 1_000_000
                if number >= 0:
                    found[path].append(took)
                await _unhang(ground, hung)
    return _figures(found)


async def _prepare(ground: Ground) -> None:
    admin = await asyncpg.connect(ground.admin_dsn)
    try:
        await admin.execute(_SCHEMA)
    finally:
        await admin.close()


async def _endpoint(ground: Ground, tenant_id: TenantId, url: str, pair: str) -> EndpointId:
    sealer = Sealer(KeyRing.load(ground.store.key_ring).sealing_keys)
    async with ground.database.tenant(tenant_id) as tx:
        settings = Settings(url, filter='type eq "bench.happened"')
        made = await create_endpoint(tx, sealer, settings, allow=frozenset({pair}))
    return made.endpoint.endpoint_id


async def _hang(ground: Ground, tenants: list[TenantId], pair: str) -> list[tuple[TenantId, EndpointId]]:
    return [(one, await _endpoint(ground, one, f"http://{pair}/hang", pair)) for one in tenants[:HANGING]]


async def _unhang(ground: Ground, hung: list[tuple[TenantId, EndpointId]]) -> None:
    for tenant_id, endpoint_id in hung:
        async with ground.database.tenant(tenant_id) as tx:
            await delete_endpoint(tx, endpoint_id)


async def _took(writer: Process, receiver: Process, asked: dict[str, Any]) -> list[float]:
    """Seconds from commit to body, of each event but the first tenth."""
    sent: dict[str, int] = (await ask(writer, asked))["sent"]
    got: dict[str, int] = {}
    async with asyncio.timeout(_ARRIVE_SECONDS):
        while not sent.keys() <= got.keys():
            await asyncio.sleep(0.2)
            got |= (await ask(receiver, {}))["got"]
    numbers = sorted(sent, key=int)
    # A body may come before the writer has heard that its commit is done.
    return [max(0, got[number] - sent[number]) / 1e9 for number in numbers[int(len(numbers) * _WARM) :]]


def _p99(took: list[float]) -> float:
    return quantiles(took, n=100)[98]


def _figures(found: dict[str, list[list[float]]]) -> list[Figure]:
    ours, bare, hanging = ([_p99(took) for took in found[path]] for path in ("stoa", "bare", "hanging"))
    half = {path: median(median(took) for took in found[path]) for path in found}
    title = f"commit to body received, {RATE} events/s of {TENANTS} tenants, p99"
    note = f"p50 {half['stoa'] * 1000:.1f} and {half['bare'] * 1000:.1f} ms; rounds {_spread(ours)} and {_spread(bare)}"
    hung = f"p50 {half['hanging'] * 1000:.1f} ms; rounds {_spread(hanging)}"
    return [
        Figure("webhooks", title, median(ours), "s", median(bare), "bare LISTEN/NOTIFY relay", 3.0, note),
        Figure(
            "webhooks", f"the same with {HANGING} receivers that hang, p99 of the others", median(hanging), "s",
            median(ours), "without them", 1.5, hung,
        ),
    ]  # fmt: skip


def _spread(values: list[float]) -> str:
    return f"{min(values) * 1000:.1f} to {max(values) * 1000:.1f} ms"
