"""What is left when processes end, however they end: no process, no folder, no run half done."""

import json
import os
import random
import signal
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import (
    Dev,
    Place,
    Simulated,
    begin_dev,
    begin_simulators,
    eventually,
    processes_of,
)

PEOPLE = 6_000


@pytest.fixture
def simulated(place: Place) -> Generator[Simulated]:
    """One large company."""
    process, there = begin_simulators(place, companies=1, people=PEOPLE)
    yield there
    process.terminate()
    process.wait(10)
    there.client.close()


def connect(place: Place, simulated: Simulated) -> str:
    """A tenant with a connection; its slug."""
    slug = simulated.companies()[0]["slug"]
    config = place.folder / "workday.json"
    config.write_text(json.dumps(simulated.config(slug)))
    place.run("tenant", "create", slug, "--name", "Large")
    place.run("connection", "create", slug, "workday", "--config", str(config))
    return slug


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


def finish_after_kill(place: Place, dev: Dev, simulated: Simulated, state: str, kills: int = 1, seed: int = 7) -> None:
    """Kills the worker while a run is in a state, and has its successor finish."""
    slug = connect(place, simulated)
    chance = random.Random(seed)
    running = place.start("sync", "run", slug, "workday", "--json", log="run")
    for _ in range(kills):
        # The worker's log tells each step; the moment within it is left to chance.
        begun = eventually(lambda: under_way(place, slug, state) or running.poll() is not None)
        assert begun
        if running.poll() is not None:
            break
        if kills > 1:
            eventually(lambda: False, chance.random())
        worker = dev.children()["worker"]
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda gone=worker: dev.children().get("worker", gone) != gone)
    assert running.wait(90) == 0, place.log("run")
    run = json.loads(place.log("run"))
    assert run["state"] == "applied", run
    assert run["counts"]["create"] == simulated.companies()[0]["size"]
    again = place.json("sync", "run", slug, "workday")
    assert again["state"] == "applied"
    assert not any(again["counts"].values())
    assert again["figures"]["unchanged"] == run["counts"]["create"]


def under_way(place: Place, slug: str, state: str) -> bool:
    runs: list[dict[str, Any]] = place.json("sync", "list", slug)
    return any(run["state"] == state for run in runs)


@pytest.mark.parametrize("state", ["planning", "applying"])
def test_a_killed_workers_run_is_finished_by_the_next(place: Place, simulated: Simulated, state: str) -> None:
    dev = begin_dev(place, "--allow", simulated.address, STOA_JOB_LEASE_SECONDS="3")
    simulated.fault(simulated.companies()[0]["slug"], "slow", seconds=1.5)
    finish_after_kill(place, dev, simulated, state)
    assert dev.stop() == 0


@pytest.mark.all
@pytest.mark.parametrize("seed", range(6))
def test_a_worker_killed_again_and_again_at_any_moment(place: Place, simulated: Simulated, seed: int) -> None:
    dev = begin_dev(place, "--allow", simulated.address, STOA_JOB_LEASE_SECONDS="3")
    finish_after_kill(place, dev, simulated, "applying" if seed % 2 else "planning", kills=3, seed=seed)
    assert dev.stop() == 0


def test_kill_9_of_dev_leaves_no_process_and_the_next_start_no_folder(own_tmp: Place) -> None:
    dev = begin_dev(own_tmp)
    assert {"web", "worker", "postgres"} <= dev.children().keys()
    dev.process.kill()
    dev.process.wait(10)
    assert eventually(lambda: not processes_of(own_tmp.folder), 30)
    (own_tmp.folder / "ready.json").unlink()
    second = begin_dev(own_tmp)
    assert own_tmp.json("tenant", "list") == []
    assert second.stop() == 0
    assert eventually(lambda: nothing_left(own_tmp)), (processes_of(own_tmp.folder), temporary(own_tmp))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
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


@pytest.mark.parametrize("sign", ["stoa-pg-*/cluster/base", "stoa-pg-*/server.json"], ids=["cluster", "server"])
def test_a_signal_during_the_start_ends_it_at_once(own_tmp: Place, sign: str) -> None:
    process = own_tmp.start("dev", "--ephemeral")
    assert eventually(lambda: list((own_tmp.folder / "tmp").glob(sign)))
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert nothing_left(own_tmp), (processes_of(own_tmp.folder), temporary(own_tmp))
    assert "Traceback" not in own_tmp.log()


@pytest.mark.parametrize("sign", ["", "Ctrl-C ends everything"], ids=["during", "at the end"])
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


def test_a_killed_database_ends_dev_with_a_reason(own_tmp: Place) -> None:
    dev = begin_dev(own_tmp)
    os.kill(dev.children()["postgres"], signal.SIGKILL)
    assert dev.process.wait(30) == 1
    assert "database" in own_tmp.log()
    assert eventually(lambda: nothing_left(own_tmp))


def test_a_kept_database_outlives_its_server(place: Place) -> None:
    first = begin_dev(place, ephemeral=False)
    place.run("tenant", "create", "acme", "--name", "Acme")
    refused = place.run("dev", "--port", "0", code=1)
    assert "already" in refused.err or "in use" in refused.err
    assert first.stop() == 0
    # No instance runs: the command starts the database for its own length.
    assert [t["slug"] for t in place.json("tenant", "list")] == ["acme"]
    assert not processes_of(place.folder)
    place.run("tenant", "create", "globex", "--name", "Globex")
    second = begin_dev(place, ephemeral=False)
    assert {t["slug"] for t in place.json("tenant", "list")} == {"acme", "globex"}
    assert second.stop() == 0


def test_of_several_instances_one_must_be_named(place: Place) -> None:
    first = begin_dev(place)
    (place.folder / "ready.json").unlink()
    second = begin_dev(place)
    refused = place.run("tenant", "list", code=1)
    for dev in (first, second):
        assert dev.about["database_url"] in refused.err
        assert place.json("tenant", "list", "--database-url", dev.about["database_url"]) == []
    assert (first.stop(), second.stop()) == (0, 0)
