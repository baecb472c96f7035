"""Changing people over the public API, one at a time."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import msgspec
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.people.fields import FIELDS
from stoa.people.identity_locks import lock_all_identifiers
from stoa.people.wire_write import PersonInput
from stoa.sync.model import FieldType
from stoa.tenants.actions import prove_domain
from tests.api.calling import serving, token_of
from tests.people.api import OWN, client_of, created, key, names, people
from tests.people.making import report, source, sync, worker


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Of the tenant, with a source of its own."""
    async with client_of(server, database, tenant_id) as opened:
        yield opened


async def hired(database: Database, tenant_id: TenantId, *rows: dict[str, Any]) -> None:
    """People whom the HR system knows."""
    await sync(database, tenant_id, await source(database, tenant_id), report(rows))


def test_a_client_may_say_every_field_in_its_length() -> None:
    schema = msgspec.json.schema_components([PersonInput])[1]["PersonInput"]["properties"]
    assert set(schema) == {field.name for field in FIELDS} | {"active", "external_id"}
    lengths = {
        name: kind["maxLength"] for name, one in schema.items() for kind in one.get("anyOf", ()) if "maxLength" in kind
    }
    told = {field.name: field.max_length for field in FIELDS if field.type is not FieldType.DATE}
    assert lengths == {**told, "external_id": 1000}


# ------------------------------------------------------------------ creating


async def test_a_person_is_created(client: httpx2.AsyncClient) -> None:
    said = {
        "external_id": "E/1", "user_name": "ada@acme.example", "email": "Ada@Acme.example", "employee_id": "1",
        "display_name": "Ada Byron", "given_name": "Ada", "family_name": "Byron", "hire_date": "2020-02-29",
    }  # fmt: skip
    answer = await client.post("/v1/people", json=said, headers=key())
    assert answer.status_code == 201
    made = answer.json()
    assert made["resolution"] == {"outcome": "created", "rule": "nobody_matches"}
    assert (made["active"], made["overruled"], made["version"]) == (True, [], 1)
    assert {name: made[name] for name in said if name != "external_id"} == {
        name: value for name, value in said.items() if name != "external_id"
    }
    assert answer.headers["location"].endswith(f"/v1/people/{made['id']}")
    assert answer.headers["etag"] == '"1"'
    again = await client.get(answer.headers["location"])
    assert again.headers["etag"] == '"1"'
    assert again.json() == {name: made[name] for name in made if name not in {"resolution", "overruled"}}


async def test_the_same_request_twice_makes_one_person(client: httpx2.AsyncClient) -> None:
    body = {"display_name": "Ada", "employee_id": "1"}
    first = await client.post("/v1/people", json=body, headers=key("once"))
    again = await client.post("/v1/people", json=body, headers=key("once"))
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.content, again.headers["location"], again.headers["etag"]) == (
        first.content, first.headers["location"], first.headers["etag"],
    )  # fmt: skip
    assert again.headers["idempotency-replayed"] == "true"
    assert names(await people(client)) == ["Ada"]


async def test_another_body_under_the_same_key_is_refused(client: httpx2.AsyncClient) -> None:
    await client.post("/v1/people", json={"display_name": "Ada"}, headers=key("once"))
    other = await client.post("/v1/people", json={"display_name": "Bo"}, headers=key("once"))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert names(await people(client)) == ["Ada"]


async def test_a_key_is_needed(client: httpx2.AsyncClient) -> None:
    lacking = await client.post("/v1/people", json={"display_name": "Ada"})
    assert (lacking.status_code, lacking.json()["code"]) == (400, "idempotency_key_missing")
    assert await people(client) == []


async def test_a_repetition_is_refused_while_the_first_is_at_work_in_another_process(
    server: embedded.Server, database: Database, tenant_id: TenantId, client: httpx2.AsyncClient
) -> None:
    body = {"display_name": "Ada", "employee_id": "1"}
    async with client_of(server, database, tenant_id, source=None) as other, asyncio.timeout(30):
        other.headers["authorization"] = client.headers["authorization"]
        async with database.tenant(tenant_id) as tx:
            await lock_all_identifiers(tx)
            first = asyncio.create_task(other.post("/v1/people", json=body, headers=key("raced")))
            # Its key is claimed by the time that it waits for the identifiers.
            while not await tx.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
            ):
                assert not first.done()
            second = await client.post("/v1/people", json=body, headers=key("raced"))
        done = await first
    assert (second.status_code, second.json()["code"]) == (409, "idempotency_in_flight")
    assert done.status_code == 201
    third = await client.post("/v1/people", json=body, headers=key("raced"))
    assert (third.status_code, third.content) == (201, done.content)
    assert names(await people(client)) == ["Ada"]


async def test_two_servers_that_are_asked_at_once_make_one_person(
    server: embedded.Server, database: Database, tenant_id: TenantId, client: httpx2.AsyncClient
) -> None:
    body = {"display_name": "Ada", "external_id": "E1", "employee_id": "1"}
    async with client_of(server, database, tenant_id, source=None) as other:
        other.headers["authorization"] = client.headers["authorization"]
        for number in range(5):
            both = [one.post("/v1/people", json=body, headers=key(f"raced {number}")) for one in (client, other) * 4]
            answers = await asyncio.gather(*both)
            assert {answer.status_code for answer in answers} <= {201, 409}
            told = {answer.content for answer in answers if answer.status_code == 201}
            assert len(told) == (1 if number == 0 else 0)
    assert names(await people(client)) == ["Ada"]


async def test_a_credential_without_a_source_of_its_own_is_told_how_to_get_one(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> None:
    async with client_of(server, database, tenant_id, source=None) as client:
        refused = await client.post("/v1/people", json={"display_name": "Ada"}, headers=key())
    assert (refused.status_code, refused.json()["code"]) == (403, "no_source")
    assert "API client" in refused.json()["hint"]


async def test_who_may_read_may_not_write(server: embedded.Server, database: Database, tenant_id: TenantId) -> None:
    async with serving(server, await token_of(database, tenant_id, ["people:read"], source=OWN)) as client:
        refused = await client.post("/v1/people", json={"display_name": "Ada"}, headers=key())
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")


async def test_the_resolver_recognises_whom_another_source_knows(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    await hired(database, tenant_id, worker(1, employee_id="1001", display_name="Ada Byron", title="Analyst"))
    (known,) = await people(client)
    said = {"employee_id": "1001", "display_name": "A. Byron", "phone": "1234"}
    made = await created(client, **said)
    assert made["id"] == known["id"]
    assert made["resolution"] == {"outcome": "linked", "rule": "same_employee_id"}
    assert (made["display_name"], made["phone"], made["title"]) == ("Ada Byron", "1234", "Analyst")
    assert made["overruled"] == [
        {"field": "display_name", "source": "Workday", "detail": "Workday has more authority over it."}
    ]


async def test_an_address_of_a_proven_domain_recognises_somebody(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    await hired(database, tenant_id, worker(1, email="ada@acme.example"))
    async with database.tenant(tenant_id) as tx:
        await prove_domain(tx, "acme.example")
    made = await created(client, email="ADA@acme.example")
    assert made["resolution"] == {"outcome": "linked", "rule": "same_proven_email"}


async def test_nobody_is_guessed_and_the_doubt_is_noted(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    other = await source(database, tenant_id, "hris", "SAP")
    await hired(database, tenant_id, worker(1, employee_id="7", display_name="One"))
    await sync(database, tenant_id, other, report([worker(2, employee_id="8", display_name="Two")]))
    await sync(database, tenant_id, other, report([worker(2, employee_id="7", display_name="Two")]))
    refused = await client.post("/v1/people", json={"employee_id": "7"}, headers=key("doubt"))
    assert (refused.status_code, refused.json()["code"]) == (409, "person_refused")
    assert refused.json()["rule"] == "ambiguous_employee_id"
    assert sorted(refused.json()["candidates"]) == sorted(one["id"] for one in await people(client))
    async with database.tenant(tenant_id) as tx:
        noted = await tx.fetchval("SELECT count(*) FROM decision WHERE tenant_id = $1 AND rule = $2", tenant_id,
                                  "ambiguous_employee_id")  # fmt: skip
    assert noted == 1
    # It was not done, so it can be sent again once the doubt is gone.
    await sync(database, tenant_id, other, report([worker(2, employee_id="8", display_name="Two")]))
    again = await client.post("/v1/people", json={"employee_id": "7"}, headers=key("doubt"))
    assert again.status_code == 201


async def test_a_name_that_is_taken_is_refused_with_who_has_it(client: httpx2.AsyncClient) -> None:
    ada = await created(client, user_name="ada", external_id="E1")
    for taken, rule in (({"user_name": "ADA"}, "user_name_taken"), ({"external_id": "E1"}, "external_id_taken")):
        refused = await client.post("/v1/people", json=taken, headers=key())
        assert (refused.status_code, refused.json()["rule"]) == (409, rule)
        assert refused.json()["candidates"] == [ada["id"]]
        assert rule.partition("_taken")[0].replace("_", " ") in refused.json()["detail"]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"title": "x" * 10_000}, "title"),
        ({"email": "x" * 321}, "email"),
        ({"title": "a\x00b"}, "title"),
        ({"title": "  "}, "title"),
        ({"titel": "x"}, "titel"),
        ({"title": 1}, "title"),
        ({"active": None}, "active"),
        ({"hire_date": "2023-02-29"}, "hire_date"),
        ({"user_name": "\ufdfa" * 1000}, "user_name"),
        ({"external_id": "\U0001f600" * 1000}, "external_id"),
        ({"manager_ref": "\U0001f600" * 1000}, "manager_ref"),
    ],
)
async def test_what_cannot_be_said_is_named(client: httpx2.AsyncClient, said: dict[str, Any], field: str) -> None:
    refused = await client.post("/v1/people", json=said, headers=key())
    assert (refused.status_code, refused.json()["field"]) == (400, field), refused.text
    assert await people(client) == []


async def test_a_blank_text_is_refused_in_words(client: httpx2.AsyncClient) -> None:
    refused = await client.post("/v1/people", json={"title": " "}, headers=key())
    assert refused.json()["detail"] == "title: Expected 'str' that is not blank."


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"title": "\xff"}', b'{"title": "\\ud800"}', b"[" * 90_000]
)
async def test_a_body_that_is_none_is_refused(client: httpx2.AsyncClient, body: bytes) -> None:
    headers = {**key(), "Content-Type": "application/json"}
    refused = await client.post("/v1/people", content=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_body")


async def test_who_acted_stands_in_the_event_log(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    await created(client, display_name="Ada")
    async with database.tenant(tenant_id) as tx:
        row = await tx.fetchrow(
            "SELECT actor, via, address, request_id FROM entry WHERE tenant_id = $1 ORDER BY entry_no DESC LIMIT 1",
            tenant_id,
        )
        credential = await tx.fetchval("SELECT credential_id FROM credential WHERE tenant_id = $1", tenant_id)
    assert row is not None
    assert (row["actor"], row["via"], row["address"]) == (f"credential:{credential}", "api", "127.0.0.1")
    assert len(row["request_id"]) == 32


# ------------------------------------------------------------------ merge patches


async def test_a_patch_changes_what_it_names_and_null_takes_back(client: httpx2.AsyncClient) -> None:
    ada = await created(client, display_name="Ada", title="Analyst", phone="1", external_id="E1")
    answer = await client.patch(f"/v1/people/{ada['id']}", json={"title": "Engineer", "phone": None})
    assert answer.status_code == 200
    now = answer.json()
    assert (now["display_name"], now["title"], now["phone"]) == ("Ada", "Engineer", None)
    assert (now["resolution"]["outcome"], now["version"], answer.headers["etag"]) == ("updated", 2, '"2"')
    same = await client.patch("/v1/people/external:portal:E1", json={"title": "Engineer"})
    assert (same.json()["resolution"]["outcome"], same.headers["etag"]) == ("unchanged", '"2"')
    nothing = await client.patch(
        f"/v1/people/{ada['id']}", content=b"{}", headers={"Content-Type": "application/merge-patch+json"}
    )
    assert (nothing.status_code, nothing.json()["version"]) == (200, 2)


async def test_a_client_may_change_its_own_id_of_a_person(client: httpx2.AsyncClient) -> None:
    ada = await created(client, external_id="E1")
    await created(client, external_id="E2")
    assert (await client.patch(f"/v1/people/{ada['id']}", json={"external_id": "A/1"})).status_code == 200
    assert (await client.get("/v1/people/external:Portal:A%2F1")).json()["id"] == ada["id"]
    assert (await client.get("/v1/people/external:Portal:E1")).status_code == 404
    taken = await client.patch(f"/v1/people/{ada['id']}", json={"external_id": "E2"})
    assert (taken.status_code, taken.json()["rule"]) == (409, "external_id_taken")


async def test_a_patch_of_somebody_whom_another_source_knows_makes_a_record_of_ones_own(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    await hired(database, tenant_id, worker(1, display_name="Ada", title="Analyst"))
    (known,) = await people(client)
    answer = await client.patch("/v1/people/external:Workday:E00001", json={"title": "Boss", "phone": "1"})
    now = answer.json()
    assert (answer.status_code, now["id"]) == (200, known["id"])
    assert now["resolution"] == {"outcome": "linked", "rule": "linked_by_id"}
    assert (now["title"], now["phone"]) == ("Analyst", "1")
    assert [one["field"] for one in now["overruled"]] == ["title"]
    records = (await client.get(f"/v1/people/{known['id']}/records")).json()["items"]
    assert [(one["source"]["name"], one["values"]["title"], one["values"]["phone"]) for one in records] == [
        (OWN, "Boss", "1"), ("Workday", "Analyst", None),
    ]  # fmt: skip
    again = await client.patch(f"/v1/people/{known['id']}", json={"phone": "2"})
    assert again.json()["resolution"] == {"outcome": "updated", "rule": None}


async def test_a_patch_that_says_nothing_makes_no_change_of_values(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    await hired(database, tenant_id, worker(1))
    (known,) = await people(client)
    now = (await client.patch(f"/v1/people/{known['id']}", json={})).json()
    assert (now["version"], now["overruled"]) == (known["version"], [])


async def test_the_answer_says_who_overrules_access(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    await hired(database, tenant_id, worker(1, active=False))
    (known,) = await people(client)
    now = (await client.patch(f"/v1/people/{known['id']}", json={"active": True})).json()
    assert now["active"] is False
    assert now["overruled"] == [
        {"field": "active", "source": "Workday", "detail": "Workday says that they are not active."}
    ]
    ada = await created(client, hire_date="2999-01-01", active=True)
    assert [one["detail"] for one in ada["overruled"]] == [f"Their hire date has not come, says {OWN}."]


async def test_a_change_is_made_only_to_what_was_seen(client: httpx2.AsyncClient) -> None:
    ada = await created(client, display_name="Ada", external_id="E1")
    path = f"/v1/people/{ada['id']}"
    assert (await client.patch(path, json={"title": "a"}, headers={"If-Match": '"1"'})).status_code == 200
    for method, body in (("PATCH", {"title": "b"}), ("PUT", {"title": "b"}), ("DELETE", None)):
        stale = await client.request(method, path, json=body, headers={"If-Match": '"1"'})
        assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
        assert stale.json()["etag"] == "2"
    by_id = await client.put("/v1/people/external:Portal:E1", json={}, headers={"If-Match": '"1"'})
    nobody = await client.put("/v1/people/external:Portal:E9", json={}, headers={"If-Match": "*"})
    assert (by_id.status_code, nobody.status_code) == (412, 412)
    assert (await client.get(path)).json()["title"] == "a"
    assert (await client.patch(path, json={"title": "b"}, headers={"If-Match": "*"})).status_code == 200
    quoted = await client.patch(path, json={"title": "c"}, headers={"If-Match": '"*"'})
    assert quoted.status_code == 412
    garbage = await client.patch(path, json={}, headers={"If-Match": "1"})
    assert (garbage.status_code, garbage.json()["header"]) == (400, "If-Match")


async def test_of_two_who_change_what_they_saw_at_once_one_wins(client: httpx2.AsyncClient) -> None:
    ada = await created(client, display_name="Ada")
    changes = [
        client.patch(f"/v1/people/{ada['id']}", json={"title": str(n)}, headers={"If-Match": '"1"'}) for n in range(8)
    ]
    answers = await asyncio.gather(*changes)
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
