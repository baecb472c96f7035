"""Requests at the same moment, from two server processes: nobody twice, no failure, nothing lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import httpx2
import pytest

from stoa.composition import references
from stoa.db.database import Database
from stoa.identity.scim.bulk.model import BULK_REQUEST
from stoa.identity.scim.model import ENTERPRISE_SCHEMA
from stoa.kernel.ids import PersonId
from stoa.kernel.problems import Problem
from stoa.people.deciding import decide
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.matching import Word
from stoa.people.merging import merge
from stoa.people.merging_model import MergeAsk
from stoa.people.roles_actions import add_rule
from stoa.people.roles_model import Role
from stoa.people.thresholds import set_guard
from stoa.tenants.queries import tenant as tenant_of
from tests.conftest import MakeTenant
from tests.identity.conftest import patch_body
from tests.people.test_api_crashes import free_port, web

from .invariants import check_tenant
from .racing import Field, at_once, field_of

MakeField = Callable[[], Awaitable[Field]]
MAIL = "ada@acme.example"


def user(name: str, **more: Any) -> dict[str, Any]:
    """A user's body."""
    return {"userName": name, "emails": [{"value": MAIL, "type": "work"}]} | more


def put(path: str, value: Any) -> dict[str, Any]:
    """A PATCH of one attribute."""
    return patch_body({"op": "replace", "path": path, "value": value})


@pytest.fixture
async def field(database: Database, make_tenant: MakeTenant, http: httpx2.AsyncClient) -> Field:
    """A tenant at one server, within this process."""
    tenant_id = await make_tenant(domains=("acme.example",))
    async with database.tenant(tenant_id) as tx:
        slug = (await tenant_of(tx)).slug
    return await field_of(database, tenant_id, slug, [http])


@pytest.fixture(scope="module")
async def servers(process_env: dict[str, str]) -> AsyncGenerator[list[httpx2.AsyncClient]]:
    """Two server processes of one installation."""
    async with AsyncExitStack() as stack:
        ports = [free_port(), free_port()]
        for port in ports:
            await stack.enter_async_context(web(process_env, port))
        limits = httpx2.Limits(max_connections=40)
        yield [
            await stack.enter_async_context(
                httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=60)
            )
            for port in ports
        ]


@pytest.fixture
async def two_servers(database: Database, make_tenant: MakeTenant, servers: list[httpx2.AsyncClient]) -> MakeField:
    """Makes a tenant at both."""

    async def make() -> Field:
        tenant_id = await make_tenant(domains=("acme.example",))
        async with database.tenant(tenant_id) as tx:
            slug = (await tenant_of(tx)).slug
        return await field_of(database, tenant_id, slug, servers)

    return make


# ------------------------------------------------------------------ the races


async def one_post_many_times(field: Field, times: int) -> None:
    """One is made, the others are told that the name is taken."""
    sides = field.okta
    found = await at_once(sides[n % len(sides)]("POST", "/Users", user("ada")) for n in range(times))
    assert Counter(found) == {201: 1, 409: times - 1}
    assert await field.people() == 1


async def one_person_by_everybody(field: Field) -> None:
    """Two providers, an API client and a sign-in, by an address and by an employee id."""
    numbered = {ENTERPRISE_SCHEMA: {"employeeNumber": "E1"}}
    asked = [side("POST", "/Users", user("ada", **numbered)) for side in (*field.okta, *field.okta)]
    asked += [side("POST", "/Users", user("ada.l", externalId="oid", **numbered)) for side in (*field.entra,) * 2]
    if field.api:
        asked += [field.post_people(turn, "p1", email=MAIL, employee_id="e1") for turn in range(4)]
    signing = [field.signs_in("sub-1", MAIL) for _ in range(3)]
    statuses, *signed = await asyncio.gather(at_once(asked), *signing)
    assert len({getattr(one, "person_id", one) for one in signed}) == 1, signed
    assert statuses.count(201) >= 2
    assert await field.people() == 1


async def writes_of_one_user(field: Field, rounds: int) -> None:
    """POST, rename, PUT, DELETE and revival of one user under way together: the answers that say so are true."""
    first, last = field.okta[0], field.okta[-1]
    made = (await first("POST", "/Users", user("ada", externalId="x"))).json()["id"]
    other = (await first("POST", "/Users", {"userName": "bob"})).json()["id"]
    for n in range(rounds):
        await at_once(
            [
                first("PATCH", f"/Users/{made}", put("userName", f"ada{n}")),
                last("PATCH", f"/Users/{made}", put("title", f"T{n}")),
                last("PATCH", f"/Users/{other}", put("userName", "ada")),
                first("POST", "/Users", user("ada", externalId="x")),
                last("DELETE", f"/Users/{made}"),
                last("POST", "/Users", user("ada", externalId="x")),
                first("PUT", f"/Users/{made}", user("ada", externalId="x", title="put")),
                last("PATCH", f"/Users/{other}", put("userName", "bob")),
            ]
        )
        await at_once([last("PATCH", f"/Users/{other}", put("userName", "bob"))])
    answer = await first("POST", "/Users", user("ada", externalId="x"))
    assert answer.status_code in {201, 409}
    assert (await last("GET", f"/Users/{made}")).status_code == 200
    assert await field.people() == 2


async def no_update_is_lost(field: Field) -> None:
    """Different attributes changed at once are all changed; under If-Match one writer alone is served."""
    side = [*field.okta, *field.okta]
    own = {"value": "grace@acme.example"}
    made = (await side[0]("POST", "/Users", user("grace", emails=[own]))).json()["id"]
    names = ["title", "nickName", "displayName", "userType", "locale", "timezone"]
    asked = [side[n % 2]("PATCH", f"/Users/{made}", put(name, f"v-{name}")) for n, name in enumerate(names)]
    asked += [side[n % 2]("PATCH", f"/Users/{made}", patch_body(_mail(n))) for n in range(6)]
    assert set(await at_once(asked)) == {200}
    found = (await side[0]("GET", f"/Users/{made}")).json()
    assert {name: found[name] for name in names} == {name: f"v-{name}" for name in names}
    assert {one["value"] for one in found["emails"]} == {own["value"], *(f"m{n}@acme.example" for n in range(6))}
    tag = {"If-Match": found["meta"]["version"]}
    asked = [side[n % 2]("PATCH", f"/Users/{made}", put("title", f"w{n}"), headers=tag) for n in range(8)]
    assert Counter(await at_once(asked)) == {200: 1, 412: 7}


def _mail(n: int) -> dict[str, Any]:
    return {"op": "add", "path": "emails", "value": [{"value": f"m{n}@acme.example", "type": "other"}]}


async def members_of_one_group(field: Field, people: int) -> None:
    """Members added and taken away by everybody at once; a role follows them."""
    side = [*field.okta, *field.okta]
    ids = [(await side[0]("POST", "/Users", {"userName": f"u{n}"})).json()["id"] for n in range(people)]
    group = (await side[0]("POST", "/Groups", {"displayName": "Team", "members": [{"value": ids[0]}]})).json()["id"]
    async with field.database.tenant(field.tenant_id) as tx:
        for kind in GuardKind:
            await set_guard(tx, kind, None, Guard(enabled=False))
        await add_rule(tx, UUID(group), Role.AUTHOR)
    path = f"/Groups/{group}"

    def change(verb: str, some: list[str]) -> dict[str, Any]:
        return patch_body({"op": verb, "path": "members", "value": [{"value": one} for one in some]})

    added = [side[n % 2]("PATCH", path, change("add", [one, ids[-1]])) for n, one in enumerate(ids[1:-1])]
    same = [side[n % 2]("PATCH", path, change("add", ids[1:4][:: 1 - 2 * (n % 2)])) for n in range(6)]
    gone = [side[n % 2]("PATCH", path, change("remove", [ids[0]])) for n in range(3)]
    assert set(await at_once([*added, *same, *gone])) == {204}
    found = (await side[1]("GET", path)).json()
    assert {one["value"] for one in found["members"]} == set(ids[1:])
    # Who is deleted meanwhile is in no group afterwards.
    asked = [side[n % 2]("PATCH", path, change(verb, ids[1:5])) for n, verb in enumerate(("remove", "add") * 3)]
    await at_once([*asked, *(side[n % 2]("DELETE", f"/Users/{one}") for n, one in enumerate(ids[3:6]))])
    found = (await side[1]("GET", path)).json()
    assert not {one["value"] for one in found["members"]} & set(ids[3:6])


async def bulk_against_singles(field: Field, people: int) -> None:
    """The same users by two bulk requests in opposite orders, by single requests, and by the other provider."""
    bodies = [user(f"u{n}", emails=[{"value": f"u{n}@acme.example"}], externalId=f"x{n}") for n in range(people)]
    operations = [{"method": "POST", "path": "/Users", "bulkId": str(n), "data": body} for n, body in enumerate(bodies)]
    first, last = field.okta[0], field.okta[-1]
    bulks = [{"schemas": [BULK_REQUEST], "Operations": some} for some in (operations, operations[::-1])]
    asked = [first("POST", "/Bulk", bulks[0]), last("POST", "/Bulk", bulks[1])]
    asked += [last("POST", "/Users", body) for body in bodies[:8]]
    asked += [side("POST", "/Users", body) for side in field.entra for body in bodies[2:6]]
    await at_once(asked)
    # Whoever was told to come again does.
    await at_once([first("POST", "/Bulk", bulks[0])])
    assert await field.people() == people
    assert (await first("GET", "/Users", params={"count": "0"})).json()["totalResults"] == people


async def merges_against_writes(field: Field, rounds: int) -> None:
    """Two people merged while both are written to, deleted and revived."""
    first, last = field.okta[0], field.entra[-1]
    for n in range(rounds):
        one = (await first("POST", "/Users", {"userName": f"ada{n}"})).json()["id"]
        two = (await last("POST", "/Users", {"userName": f"ada.{n}"})).json()["id"]
        pair = await _people_of(field, one, two)
        await asyncio.gather(
            at_once(
                [
                    first("PATCH", f"/Users/{one}", put("title", "Dr")),
                    last("PATCH", f"/Users/{two}", put("nickName", "A")),
                    last("DELETE", f"/Users/{two}"),
                    first("PATCH", f"/Users/{one}", put("active", value=False)),
                    last("POST", "/Users", {"userName": f"ada.{n}", "title": "Back"}),
                    first("PUT", f"/Users/{one}", {"userName": f"ada{n}", "title": "Put"}),
                ]
            ),
            _merged(field, *pair),
            _merged(field, *reversed(pair)),
        )
        assert len(set(await _people_of(field, one, two))) == 1
    assert await field.people() == rounds


async def _people_of(field: Field, *resources: str) -> list[PersonId]:
    async with field.database.tenant(field.tenant_id) as tx:
        found = "SELECT person_id FROM source_record WHERE tenant_id = $1 AND resource_id = $2"
        return [await tx.fetchval(found, field.tenant_id, UUID(one)) for one in resources]


async def _merged(field: Field, survivor: PersonId, absorbed: PersonId) -> None:
    async with field.database.tenant(field.tenant_id) as tx:
        try:
            await merge(tx, MergeAsk(survivor, absorbed), references())
        except Problem as refused:
            # The other was first.
            assert refused.status in {404, 409, 422}, refused  # noqa: PT017 - either may be the second


async def decisions_against_pushes(field: Field) -> None:
    """An admin decides while the provider tries again: the word is followed once."""
    first, last = field.okta[0], field.okta[-1]
    assert (await first("POST", "/Users", user("ada", emails=[], **_numbered("E1")))).status_code == 201
    assert (await field.entra[0]("POST", "/Users", user("eve"))).status_code == 201
    contradicting = user("ada.l", externalId="o", emails=[{"value": "eve@x"}], **_numbered("E1"))
    refused = await first("POST", "/Users", contradicting)
    assert refused.status_code == 409
    async with field.database.tenant(field.tenant_id) as tx:
        decision_id = await tx.fetchval("SELECT decision_id FROM decision WHERE tenant_id = $1", field.tenant_id)

    async def decided() -> None:
        async with field.database.tenant(field.tenant_id) as tx:
            await decide(tx, decision_id, Word.NEW)

    pushes = [(first, last)[n % 2]("POST", "/Users", contradicting) for n in range(6)]
    statuses, _ = await asyncio.gather(at_once(pushes), decided())
    statuses += await at_once([last("POST", "/Users", contradicting)])
    assert statuses.count(201) == 1
    assert await field.people() == 3


def _numbered(number: str) -> dict[str, Any]:
    return {ENTERPRISE_SCHEMA: {"employeeNumber": number}}


async def deactivations_against_the_threshold(field: Field, people: int, at: int) -> None:
    """No more pass than the threshold and those of the very moment; each of the others waits once, in one run."""
    side = [*field.okta, *field.okta]
    ids = [(await side[0]("POST", "/Users", {"userName": f"u{n}"})).json()["id"] for n in range(people)]
    async with field.database.tenant(field.tenant_id) as tx:
        await set_guard(tx, GuardKind.DEACTIVATE, None, Guard(absolute=at, floor=at, percent=100))
    off = put("active", value=False)
    at_a_time = 6
    for begin in range(0, people, at_a_time):
        some = ids[begin : begin + at_a_time]
        assert set(await at_once(side[n % 2]("PATCH", f"/Users/{one}", off) for n, one in enumerate(some))) == {200}
    async with field.database.tenant(field.tenant_id) as tx:
        runs = await tx.fetch("SELECT state FROM run WHERE tenant_id = $1 AND kind = 'scim_hold'", field.tenant_id)
        passed = await tx.fetchval("SELECT count(*) FROM person WHERE tenant_id = $1 AND NOT active", field.tenant_id)
        held = await tx.fetchval("SELECT count(*) FROM hold WHERE tenant_id = $1 AND state = 'held'", field.tenant_id)
    assert [one["state"] for one in runs] == ["held"]
    assert at <= passed <= at + at_a_time - 1
    assert held == people - passed


async def admins_who_all_leave(field: Field, *, with_group: bool) -> None:
    """Whatever takes the role admin from everybody at one moment, by whichever request: somebody keeps it."""
    side = [*field.okta, *field.okta]
    ids = [(await side[0]("POST", "/Users", {"userName": f"u{n}"})).json()["id"] for n in range(4)]
    body = {"displayName": "Admins", "members": [{"value": one} for one in ids]}
    group = (await side[0]("POST", "/Groups", body)).json()["id"]
    async with field.database.tenant(field.tenant_id) as tx:
        for kind in GuardKind:
            await set_guard(tx, kind, None, Guard(enabled=False))
        await add_rule(tx, UUID(group), Role.ADMIN)
    gone = patch_body({"op": "remove", "path": f'members[value eq "{ids[2]}"]'})
    await at_once(
        [
            side[0]("PATCH", f"/Users/{ids[0]}", put("active", value=False)),
            side[1]("DELETE", f"/Users/{ids[1]}"),
            side[0]("PATCH", f"/Groups/{group}", gone),
            side[1]("PUT", f"/Users/{ids[3]}", {"userName": "u3", "active": False}),
            *([side[0]("DELETE", f"/Groups/{group}")] if with_group else []),
        ]
    )
    async with field.database.tenant(field.tenant_id) as tx:
        left = """SELECT count(*) FROM person_role JOIN person USING (tenant_id, person_id)
            WHERE tenant_id = $1 AND role = 'admin' AND active AND merged_into IS NULL"""
        assert await tx.fetchval(left, field.tenant_id) > 0


# ------------------------------------------------------------------ at one server, and at two


async def test_requests_at_one_moment_make_nobody_twice(field: Field) -> None:
    await one_post_many_times(field, 6)
    await check_tenant(field.database, field.tenant_id)


async def test_everybody_brings_the_same_person_at_one_moment(database: Database, field: Field) -> None:
    alone = Field(database, field.tenant_id, field.okta, field.entra, (), "", field.sign_in)
    await one_person_by_everybody(alone)
    await check_tenant(database, field.tenant_id)


async def test_writes_of_one_user_at_one_moment(field: Field) -> None:
    await writes_of_one_user(field, 1)
    await no_update_is_lost(field)
    await check_tenant(field.database, field.tenant_id, twins=True)


@pytest.mark.all
@pytest.mark.parametrize("seed", range(3))
async def test_two_servers_make_nobody_twice(two_servers: MakeField, seed: int) -> None:
    for race in (lambda field: one_post_many_times(field, 20), one_person_by_everybody):
        field = await two_servers()
        await race(field)
        await check_tenant(field.database, field.tenant_id)


@pytest.mark.all
@pytest.mark.parametrize(
    "race",
    [
        lambda field: writes_of_one_user(field, 12),
        no_update_is_lost,
        lambda field: members_of_one_group(field, 24),
        lambda field: bulk_against_singles(field, 30),
        lambda field: bulk_against_singles(field, 6),
        lambda field: merges_against_writes(field, 8),
        decisions_against_pushes,
        lambda field: deactivations_against_the_threshold(field, 36, 8),
        *(lambda field, with_group=n % 2 > 0: admins_who_all_leave(field, with_group=with_group) for n in range(4)),
    ],
    ids=["writes", "updates", "members", "bulk", "small-bulk", "merges", "decisions", "threshold", *("admins",) * 4],
)
async def test_two_servers_at_one_moment(two_servers: MakeField, race: Callable[[Field], Awaitable[None]]) -> None:
    field = await two_servers()
    await race(field)
    await check_tenant(field.database, field.tenant_id, twins=race is decisions_against_pushes)
