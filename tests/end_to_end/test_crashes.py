"""What is left when processes end, however they end: no process, no folder, no run half done."""

import asyncio
import json
import os
import random
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from stoa.changes.model import Run, RunState
from stoa.changes.queries import recent_runs
from stoa.db.database import Database, open_database
from stoa.db.keyring import KeyRing
from stoa.db.roles import dsn_for
from stoa.kernel.ids import TenantId
from tests.end_to_end.conftest import (
    Dev,
    Place,
    Simulated,
    begin_dev,
    begin_simulators,
    eventually,
    processes_of,
)

# Two batches.
PEOPLE = 10_000
UNDER_WAY = {RunState.PLANNING, RunState.PLANNED, RunState.APPLYING}


@pytest.fixture
def simulated(place: Place) -> Generator[Simulated]:
    """One large company."""
    process, there = begin_simulators(place, companies=1, people=PEOPLE)
    yield there
    process.terminate()
    process.wait(10)
    there.client.close()


def connect(place: Place, simulated: Simulated) -> tuple[str, TenantId]:
    """A tenant with a connection; its slug and id."""
    slug = simulated.companies()[0]["slug"]
    config = place.folder / "workday.json"
    config.write_text(json.dumps(simulated.config(slug)))
    made = place.json("tenant", "create", slug, "--name", "Large")
    place.run("connection", "create", slug, "workday", "--config", str(config))
    return slug, TenantId(UUID(made["id"]))


def nothing_left(place: Place) -> bool:
    """No process, no announcement, and no temporary folder of the embedded server."""
    return not processes_of(place.folder) and not list(place.state.glob("running/*")) and not temporary(place)


def temporary(place: Place) -> list[Path]:
    """What lies in the temporary folder that the place's processes were given."""
    folder = place.folder / "tmp"
    return list(folder.iterdir()) if folder.exists() else []


@pytest.fixture
def own_tmp(place: Place) -> Place:
    """The place, whose processes keep their temporary files where nobody else's are."""
    folder = place.folder / "tmp"
    folder.mkdir()
    folder.chmod(0o777)
    place.env["TMPDIR"] = str(folder)
    return place


@asynccontextmanager
async def opened(dev: Dev) -> AsyncGenerator[Database]:
    """The instance's database, to see each step of a run without a command's delay."""
    ring = KeyRing.load(Path(dev.about["key_ring"]))
    database = await open_database(lambda role: dict(dsn_for(dev.about["database_url"], role, ring)))
    yield database
    await database.close()


async def until(database: Database, tenant_id: TenantId, true: Callable[[Run], bool]) -> Run:
    """The tenant's latest run, once this is true of it."""
    async with asyncio.timeout(60):
        while True:
            async with database.tenant(tenant_id, read_only=True) as tx:
                runs = await recent_runs(tx, limit=1)
            if runs and true(runs[0]):
                return runs[0]
            await asyncio.sleep(0.002)


def half_applied(run: Run) -> bool:
    return run.state is RunState.APPLYING and 0 < run.applied_through < sum(run.counts.values())


def being_planned(run: Run) -> bool:
    return run.state is RunState.PLANNING


def kill_worker(dev: Dev) -> None:
    """kill -9 of the worker; gives when the supervisor has started another."""
    worker = dev.children()["worker"]
    os.kill(worker, signal.SIGKILL)
    assert eventually(lambda: dev.children().get("worker", worker) != worker)


def assert_finished(place: Place, simulated: Simulated, slug: str, run: dict[str, Any]) -> None:
    """The run did all that it had planned, once, and the next finds nothing to do."""
    everybody = simulated.companies()[0]["size"]
    assert run["state"] == "applied", run
    assert run["counts"]["create"] == everybody
    again = place.json("sync", "run", slug, "workday")
    assert again["state"] == "applied"
    assert not any(again["counts"].values())
    simulated.advance(slug, 1)
    day = place.json("sync", "run", slug, "workday")
    assert day["state"] == "applied"
    assert day["counts"]["create"] + day["figures"]["unchanged"] <= simulated.companies()[0]["size"]


@pytest.mark.all
@pytest.mark.parametrize("moment", [being_planned, half_applied])
async def test_a_killed_workers_run_is_finished_by_the_next(
    place: Place, simulated: Simulated, moment: Callable[[Run], bool]
) -> None:
    dev = begin_dev(place, "--allow", simulated.address, STOA_JOB_LEASE_SECONDS="3")
    slug, tenant_id = connect(place, simulated)
    running = place.start("sync", "run", slug, "workday", "--json", log="run")
    async with opened(dev) as database:
        struck = await until(database, tenant_id, moment)
        kill_worker(dev)
        after = await until(database, tenant_id, lambda run: True)
    assert after.state is not RunState.APPLIED
    assert running.wait(90) == 0, place.log("run")
    run = json.loads(place.log("run"))
    assert run["id"] == str(struck.run_id)
    assert_finished(place, simulated, slug, run)
    assert dev.stop() == 0


@pytest.mark.all
@pytest.mark.parametrize("seed", range(6))
async def test_a_worker_killed_again_and_again_at_any_moment(place: Place, simulated: Simulated, seed: int) -> None:
    chance = random.Random(seed)
    dev = begin_dev(place, "--allow", simulated.address, STOA_JOB_LEASE_SECONDS="3")
    slug, tenant_id = connect(place, simulated)
    running = place.start("sync", "run", slug, "workday", "--json", log="run")
    async with opened(dev) as database:
        for _ in range(3):
            run = await until(database, tenant_id, lambda run: run.state in {*UNDER_WAY, RunState.APPLIED})
            if run.state is RunState.APPLIED:
                break
            await asyncio.sleep(chance.random() * 2)
            kill_worker(dev)
    assert running.wait(90) == 0, place.log("run")
    assert_finished(place, simulated, slug, json.loads(place.log("run")))
    assert dev.stop() == 0


def kill_dev(place: Place) -> None:
    """kill -9 of a whole `stoa dev`; gives when what it started has gone too."""
    dev = begin_dev(place)
    assert {"web", "worker", "postgres"} <= dev.children().keys()
    dev.process.kill()
    dev.process.wait(10)
    assert eventually(lambda: not processes_of(place.folder), 30)


@pytest.mark.all
def test_kill_9_of_dev_leaves_no_process(own_tmp: Place) -> None:
    kill_dev(own_tmp)


@pytest.mark.all
def test_after_kill_9_of_dev_the_next_start_leaves_no_folder(own_tmp: Place) -> None:
    kill_dev(own_tmp)
    (own_tmp.folder / "ready.json").unlink()
    second = begin_dev(own_tmp)
    assert own_tmp.json("tenant", "list") == []
    assert second.stop() == 0
    assert eventually(lambda: nothing_left(own_tmp)), (processes_of(own_tmp.folder), temporary(own_tmp))


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.all),
        pytest.param(signal.SIGHUP, marks=pytest.mark.all),
    ],
)
def test_a_signal_ends_dev_cleanly(own_tmp: Place, number: signal.Signals) -> None:
    dev = begin_dev(own_tmp)
    if number is signal.SIGINT:
        # Ctrl-C reaches the whole group.
        os.killpg(dev.process.pid, number)
        assert dev.process.wait(30) == 0
    else:
        assert dev.stop(number) == 0
    assert not (own_tmp.folder / "ready.json").exists()
    assert nothing_left(own_tmp), (processes_of(own_tmp.folder), temporary(own_tmp))
    assert "Traceback" not in own_tmp.log()


@pytest.mark.all
@pytest.mark.parametrize("sign", ["stoa-pg-*/cluster/base", "stoa-pg-*/server.json"], ids=["cluster", "server"])
def test_a_signal_during_the_start_ends_it_at_once(own_tmp: Place, sign: str) -> None:
    process = own_tmp.start("dev", "--ephemeral")
    assert eventually(lambda: list((own_tmp.folder / "tmp").glob(sign)))
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert nothing_left(own_tmp), (processes_of(own_tmp.folder), temporary(own_tmp))
    assert "Traceback" not in own_tmp.log()


@pytest.mark.parametrize(
    "sign", ["", pytest.param("Ctrl-C ends everything", marks=pytest.mark.all)], ids=["during", "at the end"]
)
def test_ctrl_c_ends_the_demo_and_all_it_started(own_tmp: Place, sign: str) -> None:
    process = own_tmp.start("demo", "--tenants", "1", "--people", "60")
    assert eventually(lambda: sign in own_tmp.log() and len(processes_of(own_tmp.folder)) > 3, 60), own_tmp.log()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 0
    assert eventually(lambda: nothing_left(own_tmp)), (processes_of(own_tmp.folder), temporary(own_tmp))
    assert "Traceback" not in own_tmp.log()


def test_a_taken_port_is_told(own_tmp: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        refused = own_tmp.run("dev", "--ephemeral", "--port", port, code=1)
    assert f"127.0.0.1:{port}" in refused.err
    assert "--port" in refused.err
    assert nothing_left(own_tmp)


@pytest.mark.all
def test_a_killed_database_ends_dev_with_a_reason(own_tmp: Place) -> None:
    dev = begin_dev(own_tmp)
    os.kill(dev.children()["postgres"], signal.SIGKILL)
    assert dev.process.wait(30) == 1
    assert "database" in own_tmp.log()
    assert eventually(lambda: nothing_left(own_tmp))


@pytest.mark.all
def test_a_kept_database_outlives_its_server(place: Place) -> None:
    first = begin_dev(place, ephemeral=False)
    place.run("tenant", "create", "acme", "--name", "Acme")
    refused = place.run("dev", "--port", "0", code=1)
    assert "already" in refused.err or "in use" in refused.err
    assert first.stop() == 0
    # No instance runs: the command starts the database for its own length.
    assert [t["slug"] for t in place.json("tenant", "list")] == ["acme"]
    assert not processes_of(place.folder)


@pytest.mark.all
def test_what_a_command_makes_without_a_server_is_there_at_the_next_start(place: Place) -> None:
    assert begin_dev(place, ephemeral=False).stop() == 0
    place.run("tenant", "create", "globex", "--name", "Globex")
    second = begin_dev(place, ephemeral=False)
    assert [t["slug"] for t in place.json("tenant", "list")] == ["globex"]
    assert second.stop() == 0


@pytest.mark.all
def test_of_several_instances_one_must_be_named(place: Place) -> None:
    first = begin_dev(place)
    (place.folder / "ready.json").unlink()
    second = begin_dev(place)
    refused = place.run("tenant", "list", code=1)
    for dev in (first, second):
        assert dev.about["database_url"] in refused.err
        assert place.json("tenant", "list", "--database-url", dev.about["database_url"]) == []
    assert (first.stop(), second.stop()) == (0, 0)
