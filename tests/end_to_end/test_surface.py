"""Every command that scripts may rely on, and every answer a person may get, from real processes."""

import json
import re
import signal
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.end_to_end.conftest import (
    Dev,
    Place,
    Simulated,
    begin_dev,
    begin_simulators,
    end_all,
    eventually,
    made_place,
)

NOBODY = "01999999-0000-7000-8000-000000000000"
ACTIONS = {"create", "link", "update", "deactivate", "reactivate", "remove"}
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True)
class World:
    """One server, two companies; `acme` is a tenant with a token and a connection, whose people came over SCIM."""

    place: Place
    dev: Dev
    simulated: Simulated
    slug: str
    made: dict[str, Any]
    token: dict[str, Any]
    connection: dict[str, Any]
    pushed: dict[str, Any]

    def sync(self, *more: str, code: int = 0) -> dict[str, Any]:
        return self.place.json("sync", "run", self.slug, self.connection["id"], *more, code=code)


@pytest.fixture(scope="module")
def world() -> Generator[World]:
    place = made_place()
    try:
        simulators, simulated = begin_simulators(place, companies=2, people=200)
        dev = begin_dev(place, "--allow", simulated.address)
        company = simulated.companies()[0]
        slug = company["slug"]
        made = place.json("tenant", "create", slug, "--name", company["name"], "--domain", company["domain"],
                          "--owner-email", f"owner@{company['domain']}", "--sandbox")  # fmt: skip
        token = place.json("token", "create", slug, "--scope", "scim", "--source", "Okta")
        config = place.folder / "workday.json"
        config.write_text(json.dumps(simulated.config(slug)))
        connection = place.json("connection", "create", slug, "workday", "--config", str(config))
        pushed = simulated.push(slug, made["scim_base_url"], token["token"])
        yield World(place, dev, simulated, slug, made, token, connection, pushed)
        assert dev.stop() == 0
        simulators.terminate()
        simulators.wait(10)
        simulated.client.close()
    finally:
        end_all(place)


def assert_run(run: dict[str, Any], state: str) -> None:
    assert run["state"] == state, run
    assert re.fullmatch(UUID, run["id"])
    assert set(run["counts"]) == ACTIONS
    assert all(isinstance(n, int) for n in run["counts"].values())
    assert isinstance(run["seconds"], int | float)


def test_what_is_made_has_the_documented_members(world: World) -> None:
    assert {"id", "slug", "base_url", "scim_base_url"} <= world.made.keys()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/t/" + world.slug, world.made["base_url"])
    assert world.made["scim_base_url"] == f"{world.made['base_url']}/scim/v2"
    assert world.token["token"].startswith("stoa_scim_")
    assert re.fullmatch(UUID, world.connection["id"])
    assert world.pushed["failed"] == 0
    assert world.pushed["created"] == world.pushed["people"]


def test_the_journey(world: World) -> None:
    """Plan, approve, nothing, a day, half a report, undo, and the undone does not come back by itself."""
    place, slug = world.place, world.slug
    planned = world.sync("--plan-only")
    assert_run(planned, "planned")
    assert planned["counts"]["link"] > 0
    approved = place.json("sync", "approve", slug, planned["id"])
    assert_run(approved, "applied")
    assert approved["counts"] == planned["counts"]
    again = world.sync()
    assert_run(again, "applied")
    assert not any(again["counts"].values())

    happened = world.simulated.advance(slug, 1)
    place.run("tenant", "clock", slug, "--days", "1")
    # The day of some joiners comes by their effective date, with or without a report: by a run of its own, which would
    # overtake what is planned below.
    assert eventually(lambda: ("due", "applied") in {(r["kind"], r["state"]) for r in place.json("sync", "list", slug)})
    day = world.sync()
    assert_run(day, "applied")
    assert any(day["counts"].values()), happened
    shown = place.json("sync", "show", slug, day["id"], "--limit", "500")
    assert len(shown["changes"]) == sum(day["counts"].values())
    assert all(c["reason"] and c["external_id"] and c["action"] in ACTIONS for c in shown["changes"])

    world.simulated.fault(slug, "half_rows")
    held = world.sync()
    assert_run(held, "held")
    assert held["reasons"][0]["detail"]
    assert held["reasons"][0]["hint"]
    alerts = place.json("alert", "list", slug)
    assert [(a["kind"], a["run"]) for a in alerts] == [("run_held", held["id"])]
    assert place.json("alert", "acknowledge", slug, alerts[0]["id"])["state"] == "acknowledged"
    world.simulated.mend(slug)
    assert_run(place.json("sync", "reject", slug, held["id"]), "rejected")
    assert place.json("alert", "list", slug) == []

    undo = place.json("sync", "rollback", slug, day["id"])
    assert_run(undo, "applied")
    assert undo["kind"] == "rollback"
    assert undo["of_run"] == day["id"]
    assert place.json("sync", "show", slug, day["id"])["state"] == "undone"
    twice = place.run("sync", "rollback", slug, day["id"], code=1)
    assert "undone" in twice.err
    redone = world.sync()
    assert_run(redone, "held")
    assert "redoes_undone_run" in {reason["code"] for reason in redone["reasons"]}
    assert_run(place.json("sync", "approve", slug, redone["id"]), "applied")
    assert not any(world.sync()["counts"].values())


def test_lists(world: World) -> None:
    place, slug = world.place, world.slug
    assert [t["slug"] for t in place.json("tenant", "list")] == [slug]
    assert [c["id"] for c in place.json("connection", "list", slug)] == [world.connection["id"]]
    tokens = place.json("token", "list", slug)
    assert [t["id"] for t in tokens] == [world.token["id"]]
    assert world.token["token"] not in json.dumps(tokens)
    runs = place.json("sync", "list", slug)
    assert all(re.fullmatch(UUID, run["id"]) for run in runs)
    assert all(set(run["counts"]) == ACTIONS for run in runs)
    told = place.run("sync", "list", slug).out
    assert all(re.search(rf"^{run['id']} ", told, re.MULTILINE) for run in runs), told


@pytest.mark.all
def test_two_runs_at_once_both_end(world: World) -> None:
    place = world.place
    words = ("sync", "run", world.slug, world.connection["id"], "--json")
    both = [place.start(*words, log=f"run{n}") for n in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    runs = [json.loads(place.log(f"run{n}")) for n in range(2)]
    for run in runs:
        assert_run(run, "applied")
    assert runs[0]["id"] != runs[1]["id"]
    assert not any(runs[1]["counts"].values()) or not any(runs[0]["counts"].values())


@pytest.mark.all
def test_ctrl_c_leaves_a_run_to_the_worker_and_says_so(world: World) -> None:
    place, slug = world.place, world.slug
    world.simulated.fault(slug, "slow", seconds=3)
    waiting = place.start("sync", "run", slug, "workday", log="interrupted")
    assert eventually(lambda: place.json("sync", "list", slug, "--limit", "1")[0]["state"] == "planning")
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(10) == 130
    told = place.log("interrupted")
    assert f"stoa sync show {slug}" in told
    assert "Traceback" not in told
    world.simulated.mend(slug)
    run_id = told.split()[-1]
    assert eventually(lambda: place.json("sync", "show", slug, run_id)["state"] == "applied")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sync", "list", "nope"), "tenant"),
        (("sync", "run", "{slug}", "nope"), "Workday ("),
        (("sync", "show", "{slug}", NOBODY), "sync list"),
        (("sync", "approve", "{slug}", NOBODY), NOBODY),
        (("sync", "reject", "{slug}", NOBODY), NOBODY),
        (("sync", "rollback", "{slug}", NOBODY), NOBODY),
        (("alert", "acknowledge", "{slug}", NOBODY), "no such alert"),
        (("connection", "create", "{slug}", "workday", "--config", "/nonexistent.json"), "/nonexistent.json"),
        (("connection", "create", "{slug}", "nope", "--config", "{config}"), "workday"),
        (("connection", "create", "{slug}", "workday", "--config", "{config}"), "already"),
        (("connection", "schedule", "{slug}", "workday", "--cron", "nope"), "Five fields"),
        (("connection", "schedule", "{slug}", "workday", "--resume"), "paused"),
        (("token", "create", "{slug}", "--scope", "nope"), "scim"),
        (("tenant", "clock", "{slug}", "--days", "1e12"), "days"),
        (("tenant", "clock", "{slug}", "--days", "-1"), "back"),
        (("token", "revoke", "{slug}", NOBODY), "token list"),
        (("tenant", "create", "{slug}", "--name", "Again"), "taken"),
        (("tenant", "create", "Not_A_Slug", "--name", "x"), "lower-case"),
        (("tenant", "create", "mars", "--name", "x", "--time-zone", "Mars/One"), "IANA"),
        (("tenant", "list", "--database-url", "postgresql://127.0.0.1/x"), "STOA_KEY_RING"),
        (("web",), "STOA_DATABASE_URL"),
        (("worker",), "STOA_DATABASE_URL"),
        (("db", "migrate"), "STOA_DATABASE_URL"),
        (("db", "init", "--admin-url", "postgresql://127.0.0.1:9/x"), "administrator"),
    ],
    ids=lambda given: "-".join(given)[:40] if isinstance(given, tuple) else "",
)
def test_what_is_refused_says_why_and_what_to_do(world: World, words: tuple[str, ...], told: str) -> None:
    named = {"slug": world.slug, "config": str(world.place.folder / "workday.json")}
    refused = world.place.run(*(word.format(**named) for word in words), code=1)
    assert told in refused.err
    assert refused.err.startswith("error (")
    assert refused.out == ""


@pytest.mark.parametrize(
    "words",
    [("frobnicate",), ("sync", "run"), ("sync", "show", "acme", "not-an-id"), ("sync", "list", "acme", "--limit", "0")],
    ids=" ".join,
)
def test_a_wrong_command_line_exits_2(place: Place, words: tuple[str, ...]) -> None:
    assert place.run(*words, code=2).err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"url": ', "not JSON"),
        ("[1]", "object"),
        ('{"url": "http://127.0.0.1:1/x", "username": "u", "password": "p", "format": "xml"}', "format"),
        ('{"url": "http://10.0.0.1/x", "username": "u"}', "password"),
        ('{"url": "http://x/x", "username": "u", "password": "p", "guards": {"delete": {}}}', "guards"),
    ],
)
def test_a_configuration_that_is_wrong_is_told_by_its_field(world: World, content: str, told: str) -> None:
    config = world.place.folder / "wrong.json"
    config.write_text(content)
    words = ("connection", "create", world.slug, "workday", "--name", "Other", "--config", str(config))
    assert told in world.place.run(*words, code=1).err


def test_settings_that_cannot_be_used_are_named_without_their_values(place: Place) -> None:
    refused = place.run("tenant", "list", code=1, STOA_PORT="s3cret", STOA_LOG_LEVEL="loud")
    assert "STOA_PORT" in refused.err
    assert "STOA_LOG_LEVEL" in refused.err
    assert "s3cret" not in refused.err


def test_without_any_instance_the_way_to_one_is_told(place: Place) -> None:
    assert "stoa dev" in place.run("tenant", "list", code=1).err


def test_logs_have_trace_ids_and_nobody_by_name(world: World) -> None:
    """Last in this module: everything before has been logged."""
    lines = [json.loads(line) for line in world.place.log().splitlines() if line.startswith("{")]
    assert {line["process"] for line in lines} == {"web", "worker"}
    requests = [line for line in lines if line["event"] == "request" and line["room"] == "scim"]
    assert len(requests) >= world.pushed["created"]
    assert all(re.fullmatch(r"[0-9a-f]{32}", line["trace_id"]) for line in requests)
    assert all(line["trace_id"] for line in lines if line["event"] in {"run_step", "job_ended"})
    workers = world.simulated.ask("GET", f"/companies/{world.slug}/workers")["workers"]
    log = world.place.log()
    assert not re.search(r"[\w.+-]+@[\w-]+\.[a-z]+", log)
    assert [w["family_name"] for w in workers if re.search(rf'[" ]{re.escape(w["family_name"])}[" ,.]', log)] == []
    assert world.token["token"] not in log
