"""A run followed over real HTTP until it rests, and what a long file costs."""

import tracemalloc
from collections.abc import AsyncGenerator

import httpx2
import pytest

from stoa.changes import actions
from stoa.changes.model import RunState
from stoa.changes.queries import enter
from tests.changes.conftest import Desk
from tests.people.making import worker

Event = tuple[str, str]


async def events_of(answer: httpx2.Response) -> AsyncGenerator[Event]:
    """Name and data of each server-sent event, as they come."""
    name, data = "message", list[str]()
    async for line in answer.aiter_lines():
        field, _, value = line.partition(":")
        match field:
            case "event":
                name = value.strip()
            case "data":
                data.append(value)
            case "" if not line:
                yield name, "\n".join(data)
                name, data = "message", []
            case _:
                pass


async def test_a_run_is_followed_until_it_rests(desk: Desk, real: httpx2.AsyncClient) -> None:
    run = await desk.planned([worker(n) for n in range(30)])
    seen: list[Event] = []
    async with real.stream("GET", f"{desk.base}/runs/{run.run_id}/live") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for event in events_of(answer):
            seen.append(event)
            match len(seen):
                case 1:
                    async with desk.database.tenant(desk.tenant_id) as tx:
                        run = await enter(tx, run, RunState.APPLYING, applying_at=tx.now)
                case 2:
                    async with desk.database.tenant(desk.tenant_id) as tx:
                        await tx.execute("UPDATE run SET changes_done = 12 WHERE run_id = $1", run.run_id)
                case 3:
                    async with desk.database.tenant(desk.tenant_id) as tx:
                        await tx.execute("UPDATE run SET changes_done = 0 WHERE run_id = $1", run.run_id)
                    await desk.apply(run, batch_rows=10)
                case _:
                    pass
    names = [name for name, _ in seen]
    assert names[:3] == ["run", "run", "progress"]
    assert names[-2:] == ["run", "end"]
    assert "Planned" in seen[0][1]
    assert '<progress aria-label="Applied" value="0" max="30">' in seen[1][1]
    assert '<progress aria-label="Applied" value="12" max="30">' in seen[2][1]
    # A step of the progress is small: the page is not sent for it.
    assert len(seen[2][1]) < 2000
    assert "30 changes took effect" in seen[-2][1]
    assert "<html" not in "".join(html for _, html in seen)


async def test_a_run_that_rests_is_told_once(desk: Desk, real: httpx2.AsyncClient) -> None:
    run = await desk.held()
    async with real.stream("GET", f"{desk.base}/runs/{run.run_id}/live") as answer:
        seen = [event async for event in events_of(answer)]
    assert [name for name, _ in seen] == ["run", "end"]
    assert "Approve" in seen[0][1]


async def test_a_decision_by_another_is_seen_by_whoever_looks(desk: Desk, real: httpx2.AsyncClient) -> None:
    run = await desk.in_state(RunState.QUEUED)
    async with real.stream("GET", f"{desk.base}/runs/{run.run_id}/live") as answer:
        seen: list[Event] = []
        async for event in events_of(answer):
            seen.append(event)
            if len(seen) == 1:
                async with desk.database.tenant(desk.tenant_id) as tx:
                    await actions.reject(tx, run.run_id, note="Not today.")
    assert [name for name, _ in seen] == ["run", "run", "end"]
    assert "Not today." in seen[1][1]


async def test_whoever_closes_the_tab_changes_nothing(desk: Desk, real: httpx2.AsyncClient) -> None:
    run = await desk.planned([worker(n) for n in range(5)])
    async with real.stream("GET", f"{desk.base}/runs/{run.run_id}/live") as answer:
        await anext(events_of(answer))
    assert (await desk.apply(run)).state is RunState.APPLIED
    assert (await real.get(f"{desk.base}/runs/{run.run_id}")).status_code == 200


@pytest.mark.all
async def test_a_long_plan_becomes_a_file_without_being_held_in_memory(desk: Desk, real: httpx2.AsyncClient) -> None:
    run = await desk.in_state(RunState.HELD)
    async with desk.database.tenant(desk.tenant_id) as tx:
        await tx.execute(
            """INSERT INTO change
              (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)
            SELECT $1, $2, 'update', 'moved', 'E' || n, $3, gen_random_uuid(), gen_random_uuid(),
              '{"title": "A"}', jsonb_build_object('title', repeat('x', 1500)), 'planned', $4
            FROM generate_series(1, 15000) AS n""",
            *(desk.tenant_id, run.run_id, desk.source_id, tx.now),
        )
    lines = size = 0
    tracemalloc.start()
    try:
        async with real.stream("GET", f"{desk.base}/runs/{run.run_id}/changes.csv") as answer:
            async for chunk in answer.aiter_bytes():
                lines += chunk.count(b"\n")
                size += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lines == 15_001
    assert size > 22_000_000
    assert peak < size / 2
