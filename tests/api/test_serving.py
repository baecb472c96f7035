"""The whole application as the web process serves it: trace ids, health, figures, and what nobody else answers."""

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest

from stoa.composition import Store, platform
from stoa.db import embedded
from stoa.db.keyring import KeyRing
from stoa.db.migrations import migrate
from stoa.db.roles import dsn_for
from stoa.main import serve
from stoa.settings import Settings

HERE = ("127.0.0.1", 50000)
ELSEWHERE = ("203.0.113.9", 50000)
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@asynccontextmanager
async def speaking(
    server: embedded.Server, peer: tuple[str, int] = HERE, token: str | None = None
) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the application on a server's database."""
    settings = Settings.model_validate({"state_dir": Path("/nonexistent"), "metrics_token": token})
    async with platform(settings, Store(server.url, server.keyring_path)) as parts:
        transport = httpx2.ASGITransport(serve(parts), raise_app_exceptions=False, client=peer)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            yield client


@pytest.fixture
async def client(server: embedded.Server) -> AsyncGenerator[httpx2.AsyncClient]:
    """Asks from this machine."""
    async with speaking(server) as opened:
        yield opened


async def test_alive_and_ready(client: httpx2.AsyncClient) -> None:
    alive, ready = await client.get("/healthz"), await client.get("/readyz")
    assert (alive.status_code, alive.json()["status"]) == (200, "ok")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert alive.json()["version"] == ready.json()["version"]


async def test_not_ready_while_the_schema_lacks_a_migration() -> None:
    async with embedded.running(embedded.EmbeddedConfig()) as own:
        applied = await migrate(dsn_for(own.url, "stoa_migrator", KeyRing.load(own.keyring_path)))
        async with speaking(own) as client:
            admin = await asyncpg.connect(own.admin_dsn, database="stoa")
            await admin.execute("DELETE FROM schema_migration WHERE name = $1", applied[-1])
            await admin.close()
            lacking = await client.get("/readyz")
            assert (lacking.status_code, lacking.json()["migrations"]) == (503, [applied[-1]])


async def test_not_ready_but_alive_when_the_database_is_away() -> None:
    async with embedded.running(embedded.EmbeddedConfig()) as own:
        await migrate(dsn_for(own.url, "stoa_migrator", KeyRing.load(own.keyring_path)))
        async with speaking(own) as client:
            assert (await client.get("/readyz")).status_code == 200
            await embedded.stop(own)
            away = await client.get("/readyz")
            assert (away.status_code, away.json()["status"]) == (503, "not ready")
            assert (await client.get("/healthz")).status_code == 200
            scim = await client.get("/t/acme/scim/v2/Users", headers={"Authorization": "Bearer x"})
            assert scim.status_code == 503
            assert scim.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


async def test_an_answer_names_its_trace(client: httpx2.AsyncClient) -> None:
    sent = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    assert (await client.get("/", headers=sent)).headers["x-request-id"] == TRACE
    for wrong in ("00-0-0-0", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"{TRACE}\t", "x" * 500):
        answer = await client.get("/", headers={"traceparent": wrong})
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
        assert answer.headers["x-request-id"] != TRACE


async def test_a_program_gets_a_problem_document_and_a_browser_a_page(client: httpx2.AsyncClient) -> None:
    sent = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    problem = await client.get("/nowhere", headers=sent)
    assert problem.status_code == 404
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json() == {
        "type": "about:blank", "title": "Not Found", "status": 404, "code": "http_error", "detail": "Not Found",
        "trace_id": TRACE,
    }  # fmt: skip
    page = await client.get("/nowhere", headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_a_wrong_method_names_the_right_ones(client: httpx2.AsyncClient) -> None:
    refused = await client.post("/healthz")
    assert refused.status_code == 405
    assert "GET" in refused.headers["allow"]
    assert refused.json()["status"] == 405


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics"])
async def test_head_is_get_without_its_body(client: httpx2.AsyncClient, path: str) -> None:
    head = await client.head(path)
    assert (head.status_code, head.content) == (200, b"")


async def test_figures_count_requests_by_room_and_name_nobody(client: httpx2.AsyncClient) -> None:
    def counted(text: str) -> float:
        found = re.search(r'stoa_requests_total\{method="GET",room="scim",status="401"\} (\S+)', text)
        return float(found[1]) if found else 0.0

    before = counted((await client.get("/metrics")).text)
    await client.get("/t/acme/scim/v2/Users?filter=userName+eq+%22ann@acme.example%22")
    figures = (await client.get("/metrics")).text
    assert counted(figures) == before + 1
    assert "acme" not in figures


@pytest.mark.parametrize(
    ("peer", "token", "headers", "status"),
    [
        (HERE, None, {}, 200),
        (("::1", 1), None, {}, 200),
        (ELSEWHERE, None, {}, 404),
        (HERE, None, {"X-Forwarded-For": "203.0.113.9"}, 404),
        (HERE, None, {"Forwarded": "for=203.0.113.9"}, 404),
        (HERE, "s3cret", {}, 404),
        (ELSEWHERE, "s3cret", {"Authorization": "Bearer s3cret"}, 200),
        (ELSEWHERE, "s3cret", {"Authorization": "Bearer s3cre"}, 404),
        (ELSEWHERE, "s3cret", {"Authorization": "Bearer \u00e9"}, 404),
    ],
)
async def test_figures_are_for_this_machine_or_the_bearer_of_the_token(
    server: embedded.Server, peer: tuple[str, int], token: str | None, headers: dict[str, str], status: int
) -> None:
    async with speaking(server, peer, token) as client:
        encoded = [(name, value.encode()) for name, value in headers.items()]
        assert (await client.get("/metrics", headers=encoded)).status_code == status


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.get("/t/../../etc/passwd"),
        lambda c: c.get("/t/%00/scim/v2/Users"),
        lambda c: c.get("/t/" + "a" * 5000 + "/scim/v2/Users"),
        lambda c: c.request("FROB", "/"),
        lambda c: c.get("/assets/../settings.py"),
    ],
)
async def test_strange_requests_are_refused_and_nothing_fails(
    client: httpx2.AsyncClient, ask: Callable[[httpx2.AsyncClient], object]
) -> None:
    answer = await ask(client)
    assert 400 <= answer.status_code < 500
