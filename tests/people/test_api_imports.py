"""Imports of people in the background: accepted at once, done stretch by stretch, told item by item."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from stoa.access import client_credentials, clients
from stoa.access.actions import revoke
from stoa.access.clients_rules import Terms
from stoa.api.background import FORGET_JOB, KEPT, MOST_OPEN, forgetting_jobs, note_dead
from stoa.db import embedded
from stoa.db.database import Database
from stoa.jobs.actions import enqueue
from stoa.jobs.model import DeadJob
from stoa.jobs.worker import Worker
from stoa.kernel.ids import CredentialId, TenantId
from stoa.people.importing import AT_ONCE, IMPORT_JOB, importing_jobs
from tests.api.calling import serving, token_of
from tests.conftest import MakeTenant
from tests.people.api import client_of, created, key, people

_ROOT = Path(__file__).parents[2]


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Of the tenant, with a source of its own."""
    async with client_of(server, database, tenant_id) as opened:
        yield opened


def newcomers(count: int) -> list[dict[str, Any]]:
    """Items that make people; each but the first reports to the one before."""
    return [
        {"action": "create", "external_id": f"E{n}", "person": {"display_name": f"P{n:05}", "manager_ref": f"E{n - 1}"}}
        for n in range(count)
    ]


async def asked(client: httpx2.AsyncClient, items: list[Any]) -> str:
    """A fresh import; its path."""
    answer = await client.post("/v1/imports/people", json={"items": items}, headers=key())
    assert answer.status_code == 202, answer.text
    assert (answer.json()["state"], answer.json()["total"]) == ("queued", len(items))
    return answer.headers["location"]


async def work(database: Database, tenant_id: TenantId, path: str) -> None:
    """Has a worker do the job at once."""
    await Worker(database, importing_jobs()).claim_one(IMPORT_JOB, path.rpartition("/")[2], tenant_id)


async def job(client: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    """How the job stands."""
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def results(client: httpx2.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """What came of each item, page by page."""
    found: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    while True:
        answer = await client.get(f"{path}/results", params={**query, **more})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return found
        more = {"cursor": answer.json()["next_cursor"]}


async def test_an_import_is_done_in_the_background(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    items: list[Any] = newcomers(2 * AT_ONCE + 10)
    items[AT_ONCE] = {"action": "create", "person": {"titel": "x"}}
    items[3] = 7
    path = await asked(client, items)
    assert await people(client) == []
    await work(database, tenant_id, path)
    done = await job(client, path)
    assert (done["state"], done["done"], done["failed"]) == ("done", len(items), 2)
    assert None not in {done["started_at"], done["finished_at"]}
    told = await results(client, path, limit=100)
    assert [one["index"] for one in told] == list(range(len(items)))
    refused = await results(client, path, filter="status ge 400")
    assert [(one["index"], one["problem"].get("field")) for one in refused] == [(3, None), (AT_ONCE, "person.titel")]
    assert refused[0]["problem"]["type"] == "http://127.0.0.1:8000/docs/problems/bad_body"
    backwards = await results(client, path, limit=200, sort="-index", fields="index")
    assert [one["index"] for one in backwards] == list(range(len(items)))[::-1]
    found = await people(client, limit=200)
    assert len(found) == len(items) - 2
    by_name = {one["display_name"]: one for one in found}
    assert by_name["P00001"]["manager_id"] == by_name["P00000"]["id"]
    # Their managers were refused.
    assert [name for name, one in by_name.items() if one["manager_id"] is None] == ["P00000", "P00004", "P00201"]


async def test_the_same_import_twice_is_one(client: httpx2.AsyncClient) -> None:
    body = {"items": newcomers(2)}
    first = await client.post("/v1/imports/people", json=body, headers=key("once"))
    again = await client.post("/v1/imports/people", json=body, headers=key("once"))
    assert (again.status_code, again.content, again.headers["location"]) == (
        202, first.content, first.headers["location"],
    )  # fmt: skip
    listed = (await client.get("/v1/jobs")).json()["items"]
    assert [one["id"] for one in listed] == [first.json()["id"]]


async def test_the_events_of_an_import_tell_on_whose_behalf(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    path = await asked(client, newcomers(1))
    await work(database, tenant_id, path)
    actor = (await job(client, path))["actor"]
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch(
            """SELECT e.via, e.address, array_agg(x.type) FILTER (WHERE x.type IS NOT NULL) AS types
            FROM entry e LEFT JOIN event x ON x.tenant_id = $1 AND x.entry_no = e.entry_no
            WHERE e.tenant_id = $1 AND e.actor = $2 GROUP BY e.entry_no, e.via, e.address ORDER BY e.entry_no""",
            *(tenant_id, actor),
        )
    assert [(row["via"], row["address"], row["types"]) for row in rows] == [
        ("api", "127.0.0.1", ["job.queued"]),
        ("worker", "127.0.0.1", None),
        ("worker", "127.0.0.1", ["job.finished"]),
    ]


async def test_a_job_can_be_stopped_and_what_was_done_stays(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    path = await asked(client, newcomers(3))
    stopped = await client.post(f"{path}/cancel")
    assert (stopped.status_code, stopped.json()["state"]) == (200, "cancelled")
    assert (await client.post(f"{path}/cancel")).json() == stopped.json()
    await work(database, tenant_id, path)
    assert await job(client, path) == stopped.json()
    assert await people(client) == []
    assert await results(client, path) == []
    done = await asked(client, newcomers(1))
    await work(database, tenant_id, done)
    refused = await client.post(f"{done}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_finished")


async def test_an_import_ends_with_the_credential_that_asked_for_it(
    server: embedded.Server, client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    path = await asked(client, newcomers(1))
    _, _, credential = (await job(client, path))["actor"].partition(":")
    async with database.tenant(tenant_id) as tx:
        await revoke(tx, CredentialId(UUID(credential)))
    await work(database, tenant_id, path)
    async with serving(server, await token_of(database, tenant_id)) as other:
        ended = await job(other, path)
        assert (ended["state"], ended["problem"]["code"], ended["done"]) == ("failed", "client_ended", 0)
        assert ended["problem"]["type"] == "http://127.0.0.1:8000/docs/problems/client_ended"
        assert await people(other) == []


async def test_an_import_ends_when_its_client_may_not_write_any_more(
    server: embedded.Server, client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    async with database.tenant(tenant_id) as tx:
        portal = await clients.create_client(tx, Terms("Gate", ["people:write"]))
        key = await client_credentials.issue(tx, portal.client_id, "api_key")
    async with serving(server, key.token) as gate:
        path = await asked(gate, newcomers(1))
    async with database.tenant(tenant_id) as tx:
        await clients.change_client(tx, portal.client_id, Terms("Gate", ["people:read"]))
    await work(database, tenant_id, path)
    ended = await job(client, path)
    assert (ended["state"], ended["problem"]["code"], ended["done"]) == ("failed", "client_ended", 0)


async def test_a_job_that_was_given_up_says_so(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    path = await asked(client, newcomers(1))
    own_id = UUID(path.rpartition("/")[2])
    async with database.tenant(tenant_id) as tx:
        await note_dead(tx, DeadJob(own_id, "another.kind", str(own_id), 8, "Oops", tx.now))
    assert (await job(client, path))["state"] == "queued"
    async with database.tenant(tenant_id) as tx:
        await note_dead(tx, DeadJob(own_id, IMPORT_JOB, str(own_id), 8, "Oops", tx.now))
    ended = await job(client, path)
    assert (ended["state"], ended["problem"]["code"]) == ("failed", "job_failed_here")


async def test_a_job_is_forgotten_after_a_week(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    path = await asked(client, newcomers(1))
    await work(database, tenant_id, path)
    own_id = path.rpartition("/")[2]
    async with database.tenant(tenant_id) as tx:
        due_at = await tx.fetchval("SELECT due_at FROM job WHERE tenant_id = $1 AND kind = $2 AND key = $3", tenant_id,
                                   FORGET_JOB, own_id)  # fmt: skip
    assert due_at == datetime.fromisoformat((await job(client, path))["finished_at"]) + KEPT
    await Worker(database, forgetting_jobs()).claim_one(FORGET_JOB, own_id, tenant_id)
    assert (await client.get(path)).status_code == 404
    assert (await client.get(f"{path}/results")).status_code == 404
    async with database.tenant(tenant_id) as tx:
        left = await tx.fetchval("SELECT (SELECT count(*) FROM api_job_result) + (SELECT count(*) FROM api_job_input)")
    assert left == 0


async def test_a_job_that_has_not_ended_is_not_forgotten(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    path = await asked(client, newcomers(1))
    own_id = path.rpartition("/")[2]
    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, FORGET_JOB, own_id)
    await Worker(database, forgetting_jobs()).claim_one(FORGET_JOB, own_id, tenant_id)
    assert (await job(client, path))["state"] == "queued"


async def test_another_tenants_jobs_are_not_there(
    server: embedded.Server, database: Database, make_tenant: MakeTenant, client: httpx2.AsyncClient
) -> None:
    path = await asked(client, newcomers(1))
    async with client_of(server, database, await make_tenant()) as stranger:
        for method, tail in (("GET", ""), ("GET", "/results"), ("POST", "/cancel")):
            assert (await stranger.request(method, path + tail)).status_code == 404
        assert (await stranger.get("/v1/jobs")).json()["items"] == []
    assert (await client.get("/v1/jobs/x")).status_code == 404


async def test_jobs_are_listed(client: httpx2.AsyncClient, database: Database, tenant_id: TenantId) -> None:
    paths = [await asked(client, newcomers(1)) for _ in range(3)]
    await work(database, tenant_id, paths[0])
    first = (await client.get("/v1/jobs", params={"limit": 2})).json()
    second = (await client.get("/v1/jobs", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    listed = [one["id"] for one in (*first["items"], *second["items"])]
    assert [path.rpartition("/")[2] for path in paths] == listed[::-1]
    done = (await client.get("/v1/jobs", params={"filter": 'state eq "done"', "fields": "state"})).json()["items"]
    assert done == [{"id": listed[2], "state": "done"}]
    foreign = await client.get(f"{paths[0]}/results", params={"cursor": first["next_cursor"]})
    assert foreign.json()["code"] == "bad_cursor"


async def test_a_tenant_has_so_many_jobs_at_a_time(client: httpx2.AsyncClient) -> None:
    paths = [await asked(client, newcomers(1)) for _ in range(MOST_OPEN)]
    refused = await client.post("/v1/imports/people", json={"items": newcomers(1)}, headers=key("one more"))
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_jobs")
    assert (await client.post(f"{paths[0]}/cancel")).status_code == 200
    again = await client.post("/v1/imports/people", json={"items": newcomers(1)}, headers=key("one more"))
    assert again.status_code == 202


@pytest.mark.parametrize("items", [[], [1] * 50_001, None])
async def test_an_import_has_between_one_and_fifty_thousand_items(client: httpx2.AsyncClient, items: Any) -> None:
    refused = await client.post("/v1/imports/people", json={"items": items}, headers=key())
    assert (refused.status_code, refused.json()["field"]) == (400, "items")


async def test_people_who_are_changed_meanwhile_end_up_whole(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    made = [await created(client, external_id=f"E{n}", display_name="x") for n in range(20)]
    items = [{"action": "update", "external_id": f"E{n}", "person": {"title": "imported"}} for n in range(20)] * 20
    path = await asked(client, items)
    changes = [client.patch(f"/v1/people/{one['id']}", json={"phone": "1"}) for one in made[::-1]]
    answers = await asyncio.gather(work(database, tenant_id, path), *changes)
    assert {answer.status_code for answer in answers[1:] if answer is not None} == {200}
    assert (await job(client, path))["failed"] == 0
    found = await people(client)
    assert {(one["title"], one["phone"]) for one in found} == {("imported", "1")}


# ------------------------------------------------------------------ killed workers


@pytest.mark.all
async def test_an_import_whose_worker_is_killed_is_finished_by_another_and_nothing_is_done_twice(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId, process_env: dict[str, str]
) -> None:
    count = 10 * AT_ONCE
    path = await asked(client, newcomers(count))

    async def done() -> int:
        async with database.tenant(tenant_id) as tx:
            return await tx.fetchval("SELECT done FROM api_job WHERE tenant_id = $1", tenant_id)

    env = {**process_env, "STOA_JOB_LEASE_SECONDS": "3"}
    for until in (2, 5):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stoa.cli", "worker"),
            cwd=_ROOT, env=env, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(60):
            while await done() < until * AT_ONCE:
                assert child.returncode is None
        child.send_signal(signal.SIGKILL)
        await child.wait()
        assert await done() < count
        assert await done() % AT_ONCE == 0
    stop = asyncio.Event()
    other = asyncio.create_task(Worker(database, importing_jobs()).run(stop))
    async with asyncio.timeout(60):
        while await done() < count:
            await asyncio.wait([other], timeout=0.05)
    stop.set()
    await other
    assert (await job(client, path))["state"] == "done"
    told = await results(client, path, limit=200)
    assert [(one["index"], one["status"]) for one in told] == [(n, 201) for n in range(count)]
    async with database.tenant(tenant_id) as tx:
        changes = await tx.fetchrow(
            """SELECT count(*) AS n, count(DISTINCT subject) AS subjects FROM change
            WHERE tenant_id = $1 AND action = 'create'""",
            tenant_id,
        )
    assert changes is not None
    assert (changes["n"], changes["subjects"]) == (count, count)
