"""The log of requests over HTTP: what is written, what never is, and what happens when it cannot be written."""

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette

from stoa.access.actions import revoke
from stoa.db.database import Database
from stoa.identity.scim.bulk.model import BULK_REQUEST
from stoa.identity.scim.http import Answer, Request
from stoa.identity.scim.log import queries as log_queries
from stoa.identity.scim.log.bodies import Cleaning, is_secret, shown_path
from stoa.identity.scim.log.model import MOST_ANSWER, MOST_REQUEST, Arrival, Line
from stoa.identity.scim.log.store import Vault
from stoa.identity.scim.log.told import detail_of, told
from stoa.identity.scim.log.writer import RequestLog, request_log, vault_of
from stoa.identity.scim.routes import scim_routes
from stoa.kernel.ids import new_id
from stoa.tenants.queries import tenant as tenant_of
from stoa.tenants.sealing import Sealer
from tests.conftest import ConnectArgs, MakeTenant
from tests.identity.conftest import HOST, Scim, issue, patch_body


@dataclass(slots=True)
class Logged:
    """A client whose requests are written down."""

    scim: Scim
    log: RequestLog
    database: Database
    vault: Vault

    async def lines(self) -> list[Line]:
        """What was written, newest first."""
        await self.log.flush()
        async with self.database.tenant(self.scim.tenant_id, read_only=True) as tx:
            return await log_queries.latest(tx, self.scim.issued.source_id, 100)


@pytest.fixture
async def logged(database: Database, make_tenant: MakeTenant, sealer: Sealer) -> AsyncGenerator[Logged]:
    tenant_id = await make_tenant()
    async with database.tenant(tenant_id) as tx:
        slug = (await tenant_of(tx)).slug
    vault = vault_of(sealer, bytes(range(32)))
    async with request_log(database, vault) as log:
        app = Starlette(routes=list(scim_routes(database, base_url=HOST, log=log)))
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=HOST) as client:
            scim = Scim(client, slug, tenant_id, await issue(database, tenant_id))
            yield Logged(scim, log, database, vault)


async def test_each_request_is_written_with_what_it_did(logged: Logged) -> None:
    scim = logged.scim
    made = await scim.make("ada@example.com", externalId="00u1")
    await scim.patch(made["id"], {"op": "replace", "path": "active", "value": False})
    assert (await scim("POST", "/Users", {"schemas": [], "userName": "ada@example.com"})).status_code == 201
    assert (await scim("POST", "/Users", {"schemas": [], "userName": "ada@example.com"})).status_code == 409
    assert (await scim("GET", "/Users", params={"filter": 'userName eq "ada@example.com"'})).status_code == 200
    assert (await scim("GET", "/Users/nobody")).status_code == 404
    lines = list(reversed(await logged.lines()))
    assert [(one.method, one.path, one.status, one.outcome) for one in lines] == [
        ("POST", "/Users", 201, "created"),
        ("PATCH", f"/Users/{made['id']}", 200, "updated"),
        ("POST", "/Users", 201, "revived"),
        ("POST", "/Users", 409, "refused"),
        ("GET", "/Users", 200, "read"),
        ("GET", "/Users/…", 404, "refused"),
    ]
    assert [str(one.resource_id) for one in lines[:3]] == [made["id"]] * 3
    assert str(lines[4].resource_id) == made["id"]
    assert lines[4].person_id == lines[0].person_id is not None
    async with logged.database.tenant(scim.tenant_id) as tx:
        first, second = lines[0], lines[1]
        assert second.run_id is not None
        assert second.ord is not None
        change = await log_queries.written_at(tx, second.run_id, second.ord)
        assert change is not None
        assert change.after is not None
        assert change.after["asserted_active"] is False
        fresh = await log_queries.freshness(tx, scim.issued.source_id)
        assert (fresh.requests, fresh.errors) == (6, 2)
        for name in ("ADA@example.com", "00u1", made["id"]):
            found = await log_queries.requests_about(tx, logged.vault, scim.issued.source_id, name)
            assert first.request_id in found, name
            assert second.request_id in found, name
        assert await log_queries.requests_about(tx, logged.vault, scim.issued.source_id, "eve") == []


async def test_an_ended_token_is_logged_and_a_stranger_is_not(logged: Logged) -> None:
    scim = logged.scim
    async with logged.database.tenant(scim.tenant_id) as tx:
        await revoke(tx, scim.issued.credential_id)
    assert (await scim("GET", "/Users")).status_code == 401
    stranger = {"Authorization": "Bearer stoa_scim_" + "x" * 43}
    assert (await scim.http.get(f"{scim.base}/Users", headers=stranger)).status_code == 401
    (line,) = await logged.lines()
    assert (line.status, line.outcome, line.credential_id) == (401, "refused", scim.issued.credential_id)


async def test_a_dump_of_the_table_shows_no_name_and_no_secret_is_kept(
    logged: Logged, connect_args: ConnectArgs
) -> None:
    scim = logged.scim
    body: dict[str, Any] = {
        "schemas": [],
        "userName": "ada@example.com",
        "password": "hunter2-plain",
        "title": "Countess",
    }
    answer = await scim("POST", "/Users", body)
    assert answer.status_code == 201
    identity = answer.json()["id"]
    secret = {"op": "replace", "path": "password", "value": "hunter3-plain"}
    await scim.patch(identity, secret, {"op": "replace", "path": "title", "value": "Lady"})
    await scim("GET", "/Users/ada@example.com", params={"filter": 'userName eq "ada@example.com"'})
    await scim("POST", "/Users", content=b'{"userName": "x", "password": "hunter4-plain"')
    lines = await logged.lines()
    root = await asyncpg.connect(**connect_args("stoa_backup"))
    try:
        rows = await root.fetch(
            "SELECT to_jsonb(q)::text AS row, sealed FROM scim_request q WHERE tenant_id = $1", scim.tenant_id
        )
    finally:
        await root.close()
    assert len(rows) == 4
    for row in rows:
        assert b"countess" not in row["sealed"].lower()
        assert not re.search("ada@|example|hunter|countess", row["row"].lower())
    async with logged.database.tenant(scim.tenant_id) as tx:
        opened = [await log_queries.opened(tx, logged.vault, one.request_id) for one in lines]
    assert all(b"hunter" not in one.request + one.answer for one in opened)
    assert b"Countess" in opened[3].request
    assert (opened[3].removed, opened[2].removed) == (["password"], ["Operations[0]"])
    assert opened[0].no_json
    assert opened[0].request == b""
    assert opened[1].path == "/Users/ada@example.com"


def test_secrets_are_told_by_their_names_and_paths() -> None:
    removed: list[str] = []
    body = {
        "urn:ietf:params:scim:schemas:core:2.0:User:password": "x",
        "urn:x:Badge": {"apiKey": "x", "pin": "1234", "secretary": "Eve"},
        "Operations": [
            {"op": "add", "Path": "urn:x:Badge:pin", "value": "1"},
            {"op": "add", "value": {"PassWord": "x", "name": {"givenName": "Ada"}}},
        ],
    }  # fmt: skip
    assert Cleaning(removed, frozenset({"pin"})).of(body) == {
        "urn:x:Badge": {"secretary": "Eve"},
        "Operations": [{"op": "add", "value": {"name": {"givenName": "Ada"}}}],
    }
    assert len(removed) == 5
    assert not is_secret("userName")
    assert shown_path(("Users", "ada@x", ".search")) == "/Users/…/.search"
    deep: Any = {}
    for _ in range(500):
        deep = {"a": deep}
    assert Cleaning(removed, frozenset()).of(deep) is not None


async def test_what_waits_is_written_when_the_process_ends(
    database: Database, make_tenant: MakeTenant, sealer: Sealer
) -> None:
    tenant_id = await make_tenant()
    issued = await issue(database, tenant_id)
    vault = vault_of(sealer, bytes(32))
    async with request_log(database, vault) as log:
        for _ in range(450):
            log.note(_arrival(tenant_id, issued), Answer(200, b"{}"))
    async with database.tenant(tenant_id) as tx:
        assert await tx.fetchval("SELECT count(*) FROM scim_request WHERE tenant_id = $1", tx.tenant_id) == 450


async def test_too_many_push_out_the_oldest_and_the_log_says_how_many(
    database: Database, make_tenant: MakeTenant, sealer: Sealer
) -> None:
    tenant_id = await make_tenant()
    issued = await issue(database, tenant_id)
    log = RequestLog(database, vault_of(sealer, bytes(32)), most=5)
    arrivals = [_arrival(tenant_id, issued) for _ in range(12)]
    for one in arrivals:
        log.note(one, Answer(200))
    await log.flush()
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch("SELECT request_id, lost FROM scim_request WHERE tenant_id = $1 ORDER BY 1", tx.tenant_id)
    assert [row["request_id"] for row in rows] == [one.request_id for one in arrivals[-5:]]
    assert [row["lost"] for row in rows] == [7, 0, 0, 0, 0]
    await log.close()


async def test_a_database_that_is_away_fails_no_request_and_loses_no_line(
    database: Database, make_tenant: MakeTenant, sealer: Sealer
) -> None:
    tenant_id = await make_tenant()
    issued = await issue(database, tenant_id)

    async def away(_: object) -> Any:
        raise ConnectionResetError

    log = RequestLog(database, vault_of(sealer, bytes(32)))
    log.note(_arrival(tenant_id, issued), Answer(200))
    database.use_clock_offset(away)
    with pytest.raises(ConnectionResetError):
        await log.flush()

    async def back(_: object) -> Any:
        return timedelta(0)

    database.use_clock_offset(back)
    await log.close()
    async with database.tenant(tenant_id) as tx:
        assert await tx.fetchval("SELECT sum(lost) FROM scim_request WHERE tenant_id = $1", tx.tenant_id) == 0


async def test_a_patch_twice_is_one_line_each_and_a_long_body_is_cut(logged: Logged) -> None:
    made = await logged.scim.make("ada")
    long = {"op": "replace", "path": "title", "value": "x" * 900}
    answer = await logged.scim("PATCH", f"/Users/{made['id']}", patch_body(*[long] * 90))
    assert answer.status_code == 200
    lines = await logged.lines()
    async with logged.database.tenant(logged.scim.tenant_id) as tx:
        opened = await log_queries.opened(tx, logged.vault, lines[0].request_id)
    assert opened.cut
    assert len(opened.request) == 65_536 < opened.request_bytes


async def test_of_a_bulk_request_secrets_go_and_the_refused_operations_stay(logged: Logged) -> None:
    scim, users = logged.scim, [f"user{n}" for n in range(120)]
    await scim.make("user7", password="hunter2")
    made: list[Any] = [{"method": "POST", "path": "/Users", "bulkId": one, "data": {"userName": one}} for one in users]
    made[3]["data"] |= {"password": "hunter2", "nickName": "n" * 1_000}
    value = {"op": "replace", "path": "password", "value": "hunter2"}
    patch = {"method": "PATCH", "path": f"/Users/{new_id()}", "data": patch_body(value)}
    answer = await scim("POST", "/Bulk", {"schemas": [BULK_REQUEST], "Operations": [*made, patch]})
    assert len(answer.content) > MOST_ANSWER
    # A query in a body, and a body that is nothing but secrets.
    await scim("POST", "/Users/.search", {"filter": 'password eq "hunter2"'})
    await scim("POST", "/Users", {"userName": "x", "roles": [{"password": "hunter2"}] * 20_000})
    many, search, bulk = (await logged.lines())[:3]
    assert (bulk.outcome, bulk.reason) == ("mixed", "119 created, 2 refused")
    async with logged.database.tenant(scim.tenant_id) as tx:
        opened = [await log_queries.opened(tx, logged.vault, one.request_id) for one in (many, search, bulk)]
    assert not any(b"hunter2" in one.request + one.answer for one in opened)
    assert opened[2].removed == ["Operations[3].data.password", "Operations[120].data.Operations[0]"]
    kept = json.loads(opened[2].answer)["Operations"]
    assert [(one.get("bulkId"), one["status"]) for one in kept] == [("user7", "409"), (None, "404")]
    assert not opened[2].answer_cut
    said = told(bulk, detail_of(opened[2].answer), str)
    assert said.why == "119 created, 2 refused"
    assert said.advice
    # What was taken out takes no more room than what is kept.
    assert sum(map(len, opened[0].removed)) <= MOST_REQUEST
    assert opened[0].cut


def _arrival(tenant_id: Any, issued: Any) -> Arrival:
    return Arrival(
        tenant_id=tenant_id,
        source_id=issued.source_id,
        credential_id=issued.credential_id,
        request=Request("GET", ("Users",), {}, {}, b""),
    )


async def test_a_search_by_name_has_an_index_for_each_way(logged: Logged) -> None:
    async with logged.database.tenant(logged.scim.tenant_id, read_only=True) as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        given = (tx.tenant_id, logged.scim.issued.source_id, 1, [new_id()], new_id(), 10)
        plan = "\n".join(row[0] for row in await tx.fetch(f"EXPLAIN {log_queries.NAMED}", *given))
        first = log_queries.LINES.select + " ORDER BY q.request_id DESC LIMIT 26"
        listed = "\n".join(row[0] for row in await tx.fetch(f"EXPLAIN {first}", *given[:2]))
    for index in ("name", "external", "email", "resource"):
        assert f"scim_request_{index} " in plan, index
    assert "Seq Scan" not in plan + listed
    assert "Sort" not in listed
