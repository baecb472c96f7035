"""The event log as server-sent events: what comes over the wire, resuming, and when a stream ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import httpx2
import msgspec
import pytest

from stoa.access.actions import revoke
from stoa.access.queries import credentials
from stoa.analytics.stream import sending
from stoa.analytics.stream.reading import LOOKS_AT_ONCE, Follower, following
from stoa.composition import Store, platform
from stoa.db import embedded
from stoa.db.database import Database
from stoa.db.transactions import SYSTEM
from stoa.events.selecting import selected
from stoa.kernel.ids import TenantId
from stoa.main import serve
from stoa.settings import Settings

from ...api.calling import BASE_URL, HERE, listening, token_of
from .test_events_api import somebody_waits
from .writing import number, write


@dataclass(frozen=True)
class Block:
    """One event of the stream, or a comment."""

    id: str
    told: dict[str, Any] | None


async def blocks(lines: AsyncIterator[str]) -> AsyncGenerator[Block]:
    """What a reader of server-sent events makes of the lines."""
    last, data = "", list[str]()
    async for line in lines:
        name, _, value = line.partition(": ")
        match name:
            case "id":
                last = value
            case "data":
                data.append(value)
            case "" if not line:
                yield Block(last, msgspec.json.decode("\n".join(data)) if data else None)
                data = []
            case _:
                assert name in {"", "retry"}


@asynccontextmanager
async def streaming(
    base_url: str, token: str, query: str = "", **headers: str
) -> AsyncGenerator[AsyncGenerator[Block]]:
    """The blocks of a stream."""
    sent = {"Authorization": f"Bearer {token}", **headers}
    async with (
        httpx2.AsyncClient(base_url=base_url, headers=sent, timeout=20) as client,
        client.stream("GET", f"/v1/events/stream?{query}") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        async with aclosing(blocks(answer.aiter_lines())) as found:
            yield found


async def events(found: AsyncGenerator[Block], n: int) -> list[Block]:
    """The next events, without comments."""
    told: list[Block] = []
    while len(told) < n:
        block = await asyncio.wait_for(anext(found), 15)
        if block.told is not None:
            told.append(block)
    return told


@pytest.fixture
async def token(database: Database, tenant_id: TenantId) -> str:
    """Of the tenant, which has written some events."""
    made = await token_of(database, tenant_id, ["events:read"])
    await write(database, tenant_id, "domain:a.example", "domain:b.example")
    return made


async def test_a_stream_gives_what_there_is_and_then_what_comes(
    server: embedded.Server, database: Database, tenant_id: TenantId, token: str
) -> None:
    async with listening(server) as base_url, streaming(base_url, token) as found:
        async with httpx2.AsyncClient(base_url=base_url, headers={"Authorization": f"Bearer {token}"}) as client:
            items = (await client.get("/v1/events")).json()["items"]
        assert [block.told for block in await events(found, len(items))] == items
        await write(database, tenant_id, "domain:c.example")
        (fresh,) = await events(found, 1)
        assert fresh.told is not None
        assert fresh.told["subject"] == "domain:c.example"
        await write(database, tenant_id, "domain:d.example", "domain:e.example")
        assert [block.told and block.told["subject"] for block in await events(found, 2)] == [
            "domain:d.example",
            "domain:e.example",
        ]


async def test_a_stream_goes_on_after_the_last_id(
    server: embedded.Server, database: Database, tenant_id: TenantId, token: str
) -> None:
    async with listening(server) as base_url:
        async with streaming(base_url, token) as found:
            first = await events(found, 2)
        async with streaming(base_url, token, **{"Last-Event-ID": first[1].id}) as found:
            (third,) = await events(found, 1)
            assert third.told is not None
            assert third.told["sequence"] == "3"
        # The cursor of the stream is that of the pages.
        async with httpx2.AsyncClient(base_url=base_url, headers={"Authorization": f"Bearer {token}"}) as client:
            page = (await client.get(f"/v1/events?cursor={first[1].id}")).json()
        assert page["items"][0] == third.told


@pytest.mark.parametrize("query", ["from=now", "from=beginning", "cursor="])
async def test_what_the_address_says_of_the_beginning_holds_once(
    server: embedded.Server, token: str, query: str
) -> None:
    async with listening(server) as base_url:
        async with streaming(base_url, token) as found:
            first = await events(found, 1)
        query = query if query.startswith("from") else f"cursor={(first[0].id)}"
        # A browser's EventSource connects anew at the same address, with the header besides.
        async with streaming(base_url, token, query, **{"Last-Event-ID": first[0].id}) as found:
            (second,) = await events(found, 1)
        assert second.told is not None
        assert second.told["sequence"] == "2"


async def test_a_last_id_that_no_stream_gave_is_refused(server: embedded.Server, token: str) -> None:
    async with listening(server) as base_url, httpx2.AsyncClient(base_url=base_url) as client:
        for given in (b"x", b"\xe9", b"A" * 4_000):
            headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": given}
            answer = await client.get("/v1/events/stream", headers=headers)  # pyright: ignore[reportArgumentType] - bytes
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


async def test_the_head_of_a_stream_ends(server: embedded.Server, token: str) -> None:
    async with listening(server) as base_url, httpx2.AsyncClient(base_url=base_url) as client:
        headers = {"Authorization": f"Bearer {token}"}
        head = await client.head("/v1/events/stream", headers=headers)
        assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        # On the same connection: what nobody reads does not go on behind it.
        after = await asyncio.wait_for(client.get("/v1/me", headers=headers), 5)
        assert after.status_code == 200
        assert (await client.head("/v1/events", headers=headers)).headers["content-type"] == "application/json"


async def test_a_filtered_stream_moves_its_id_past_what_does_not_match(
    server: embedded.Server, database: Database, tenant_id: TenantId, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(sending, "RECHECK_SECONDS", 0.1)
    wanted = quote('subject eq "domain:a.example"')
    async with listening(server) as base_url, streaming(base_url, token, f"filter={wanted}") as found:
        (match,) = await events(found, 1)
        beat = await asyncio.wait_for(anext(found), 10)
        while beat.id == match.id:
            beat = await asyncio.wait_for(anext(found), 10)
        assert beat.told is None
        await write(database, tenant_id, "domain:c.example", "domain:a.example")
        assert (await events(found, 1))[0].told != match.told


async def test_a_stream_ends_when_its_credential_is_revoked(
    server: embedded.Server, database: Database, tenant_id: TenantId, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "RECHECK_SECONDS", 0.2)
    async with listening(server) as base_url, streaming(base_url, token, "from=now") as found:
        await somebody_waits()
        async with database.tenant(tenant_id) as tx:
            for one in await credentials(tx):
                await revoke(tx, one.credential_id)
        await number(database, tenant_id)

        async def rest() -> list[Block]:
            return [block async for block in found]

        await asyncio.wait_for(rest(), 10)


async def test_a_stream_ends_when_the_server_stops(server: embedded.Server, token: str) -> None:
    stopping = asyncio.Event()
    settings = Settings.model_validate({"state_dir": Path("/nonexistent"), "base_url": BASE_URL})
    async with platform(settings, Store(server.url, server.keyring_path)) as parts:
        transport = httpx2.ASGITransport(serve(parts, stopping), client=HERE)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers) as client:
            # Without a network an answer is there when it is whole.
            whole = asyncio.create_task(client.get("/v1/events/stream?from=now"))
            await somebody_waits()
            stopping.set()
            answer = await asyncio.wait_for(whole, 10)
    assert answer.text.startswith(": still here\n")


async def test_a_stream_that_waits_holds_no_connection(
    server: embedded.Server, database: Database, tenant_id: TenantId, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_OPEN", 40)
    async with listening(server) as base_url:
        async with httpx2.AsyncClient(base_url=base_url, headers={"Authorization": f"Bearer {token}"}) as client:
            end = (await client.get("/v1/events?from=now")).json()["next_cursor"]
            # More than a pool has connections.
            waiting = [asyncio.create_task(client.get(f"/v1/events?cursor={end}&wait=20")) for _ in range(30)]
            assert (await client.get("/v1/events")).status_code == 200
            await write(database, tenant_id, "domain:c.example")
            answers = await asyncio.wait_for(asyncio.gather(*waiting), 20)
        assert {item["subject"] for answer in answers for item in answer.json()["items"]} == {"domain:c.example"}


async def test_followers_of_one_tenant_look_by_turns(database: Database, tenant_id: TenantId, token: str) -> None:
    assert token
    at_once = most = 0
    async with AsyncExitStack() as stack:
        followers = [
            await stack.enter_async_context(
                following(database, tenant_id, SYSTEM, selected('subject eq "nothing"'), asyncio.Event())
            )
            for _ in range(12)
        ]

        async def look(follower: Follower) -> None:
            nonlocal at_once, most
            async with follower.turns:
                at_once += 1
                most = max(most, at_once)
                await asyncio.sleep(0)
                at_once -= 1
            assert (await follower.wait(0, 10, 0)).events == ()

        await asyncio.gather(*(look(one) for one in followers))
    assert most == LOOKS_AT_ONCE


class Counting(asyncio.Semaphore):
    """Turns that are counted."""

    taken = 0

    async def acquire(self) -> Literal[True]:
        self.taken += 1
        return await super().acquire()


async def test_the_bells_of_other_tenants_do_not_keep_a_follower_busy(
    database: Database, tenant_id: TenantId, token: str
) -> None:
    assert token
    bell, turns = asyncio.Event(), Counting(LOOKS_AT_ONCE)
    follower = Follower(database, tenant_id, SYSTEM, None, asyncio.Event(), bell, turns)
    end = (await follower.look(0, 100)).after

    async def ring() -> None:
        while True:
            bell.set()
            await asyncio.sleep(0)

    ringing = asyncio.create_task(ring())
    assert (await follower.wait(end, 10, 0.5)).events == ()
    assert turns.taken < 30
    # What is its own comes none the less.
    waiting = asyncio.create_task(follower.wait(end, 10, 10))
    await write(database, tenant_id, "domain:z.example")
    assert [event.subject for event in (await waiting).events] == ["domain:z.example"]
    ringing.cancel()
