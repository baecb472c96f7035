"""Single requests: whom they make, revive, refuse and remove."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import SourceId, TenantId
from stoa.people import actions, queries
from stoa.people.authority import authority, set_authority
from stoa.people.model import Asserted, Changed, Provisioned, Refused, Unchanged
from stoa.tenants.actions import ensure_source, prove_domain

from .making import report, rollback, source, sync, worker


def asserted(name: str, *, active: bool = True, client_id: str | None = None, **values: Any) -> Asserted:
    return Asserted({"user_name": name, **values}, active, client_id, {"userName": name})


@pytest.fixture
async def okta(database: Database, tenant_id: TenantId) -> SourceId:
    return await source(database, tenant_id, "idp", "Okta")


async def provision(tx: TenantTx, source_id: SourceId, given: Asserted) -> Provisioned:
    made = await actions.provision(tx, source_id, given)
    assert isinstance(made, Provisioned)
    return made


async def test_a_new_user_is_a_new_person_under_the_same_id(
    database: Database, tenant_id: TenantId, okta: SourceId
) -> None:
    async with database.tenant(tenant_id) as tx:
        made = await provision(tx, okta, asserted("Ada", title="Boss"))
        person = await queries.person_by_id(tx, made.record.person_id)
        assert person is not None
        assert (made.rule, made.revived) == ("nobody_matches", False)
        assert UUID(made.record.external_id) == made.record.resource_id == made.record.person_id
        assert (person.values["title"], person.keys["user_name_key"], person.active) == ("Boss", "ada", True)
        assert await queries.record_by_resource(tx, okta, made.record.resource_id) == made.record


async def test_an_active_name_is_refused_in_any_case(database: Database, tenant_id: TenantId, okta: SourceId) -> None:
    async with database.tenant(tenant_id) as tx:
        made = await provision(tx, okta, asserted("ada", client_id="1"))
        taken = await actions.provision(tx, okta, asserted("ADA"))
        assert isinstance(taken, Refused)
        assert (taken.rule, taken.candidates) == ("user_name_taken", (made.record.person_id,))
        other = await actions.provision(tx, okta, asserted("bob", client_id="1"))
        assert isinstance(other, Refused)
        assert other.rule == "external_id_taken"
        await provision(tx, okta, asserted("bob", client_id="2"))
        both = await actions.provision(tx, okta, asserted("ada", client_id="2"))
        assert isinstance(both, Refused)
        assert both.rule == "ambiguous_name"
        assert await queries.headcount(tx) == (2, 2)


@pytest.mark.parametrize("deleted", [True, False])
async def test_reactivating_by_post_keeps_the_same_id(
    database: Database, tenant_id: TenantId, okta: SourceId, deleted: bool
) -> None:
    async with database.tenant(tenant_id) as tx:
        made = await provision(tx, okta, asserted("ada", title="Boss"))
        if deleted:
            assert isinstance(await actions.remove_record(tx, made.record), Changed)
            assert await queries.record_by_resource(tx, okta, made.record.resource_id) is None
        else:
            gone = await actions.assert_record(tx, made.record, asserted("ada", active=False, title="Boss"))
            assert isinstance(gone, Changed)
            assert gone.action == "deactivate"
        person = await queries.person_by_id(tx, made.record.person_id)
        assert person is not None
        assert (person.active, person.access_epoch, person.values["title"]) == (False, 2, "Boss")
    async with database.tenant(tenant_id) as tx:
        again = await provision(tx, okta, asserted("ADA", title="Owner"))
        assert (again.revived, again.record.resource_id) == (True, made.record.resource_id)
        person = await queries.person_by_id(tx, made.record.person_id)
        assert person is not None
        assert (person.active, person.values["title"], person.values["user_name"]) == (True, "Owner", "ADA")
        assert await queries.headcount(tx) == (1, 1)


async def test_a_removed_user_whose_name_was_given_away_does_not_come_back(
    database: Database, tenant_id: TenantId, okta: SourceId
) -> None:
    async with database.tenant(tenant_id) as tx:
        first = await provision(tx, okta, asserted("ada", client_id="1"))
        await actions.remove_record(tx, first.record)
        second = await provision(tx, okta, asserted("bob", client_id="2"))
        renamed = await actions.assert_record(tx, second.record, asserted("ada", client_id="2"))
        assert isinstance(renamed, Changed)
        refused = await actions.provision(tx, okta, asserted("ada", client_id="1"))
        assert isinstance(refused, Refused)
        assert refused.rule == "user_name_taken"


async def test_saying_the_same_again_writes_nothing(database: Database, tenant_id: TenantId, okta: SourceId) -> None:
    async with database.tenant(tenant_id) as tx:
        made = await provision(tx, okta, asserted("ada", client_id="1", title="Boss"))
        same = await actions.assert_record(tx, made.record, asserted("ada", client_id="1", title="Boss"))
        assert isinstance(same, Unchanged)
        assert await tx.fetchval("SELECT count(*) FROM change") == 1


async def test_renaming_to_a_name_in_use_is_refused_and_changes_nothing(
    database: Database, tenant_id: TenantId, okta: SourceId
) -> None:
    async with database.tenant(tenant_id) as tx:
        await provision(tx, okta, asserted("ada", client_id="1"))
        bob = await provision(tx, okta, asserted("bob", client_id="2"))
        taken = await actions.assert_record(tx, bob.record, asserted("Ada", client_id="2", title="X"))
        assert isinstance(taken, Refused)
        assert taken.rule == "user_name_taken"
        client = await actions.assert_record(tx, bob.record, asserted("bob", client_id="1", title="X"))
        assert isinstance(client, Refused)
        assert client.rule == "external_id_taken"
        assert await queries.record_by_resource(tx, okta, bob.record.resource_id) == bob.record


async def test_a_user_is_linked_by_employee_id_and_the_ranking_decides_at_once(
    database: Database, tenant_id: TenantId
) -> None:
    hr = await source(database, tenant_id)
    await sync(database, tenant_id, hr, report([worker(1, title="Engineer", user_name="hr-name")]))
    async with database.tenant(tenant_id) as tx:
        # The source is made in the same transaction in which its word is weighed.
        assert len((await authority(tx)).ranking["title"]) == 2
        okta = (await ensure_source(tx, "idp", "Okta")).source_id
        made = await provision(tx, okta, asserted("ada", employee_id="e00001", title="Okta's"))
        assert made.rule == "same_employee_id"
        person = await queries.person_by_id(tx, made.record.person_id)
        assert person is not None
        assert (person.values["title"], person.values["user_name"]) == ("Engineer", "ada")
        assert await queries.headcount(tx) == (1, 1)
        await set_authority(tx, {"title": [okta]})
        changed = await actions.assert_record(tx, made.record, asserted("ada", employee_id="e00001", title="Mine"))
        assert isinstance(changed, Changed)
        person = await queries.person_by_id(tx, made.record.person_id)
        assert person is not None
        assert person.values["title"] == "Mine"


async def test_a_user_is_linked_by_a_proven_address_alone(database: Database, tenant_id: TenantId) -> None:
    hr = await source(database, tenant_id)
    await sync(database, tenant_id, hr, report([worker(1), worker(2)]))
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        assert (await provision(tx, okta, asserted("one", email="person1@acme.example"))).rule == "nobody_matches"
        await prove_domain(tx, "acme.example")
        two = await provision(tx, okta, asserted("two", email="Person2@ACME.example"))
        assert two.rule == "same_proven_email"
        person = await queries.person_by_id(tx, two.record.person_id)
        assert person is not None
        # The HR system ranks before the identity provider for an address, and after it for the user name.
        assert (person.values["email"], person.values["user_name"]) == ("person2@acme.example", "two")
        other = await actions.provision(tx, okta, asserted("x", email="person1@acme.example", employee_id="other"))
        assert isinstance(other, Refused)
        assert (other.rule, len(other.candidates)) == ("contradicting_employee_id", 1)
        decided = await tx.fetchrow("SELECT rule, subject, candidates FROM decision")
        assert decided is not None
        assert (decided["rule"], decided["subject"]) == ("contradicting_employee_id", "x")
    # The link goes with its record; whoever was there before stays.
    async with database.tenant(tenant_id) as tx:
        window = await tx.fetchval("SELECT run_id FROM run WHERE kind = 'scim_window'")
    await rollback(database, tenant_id, window)
    async with database.tenant(tenant_id) as tx:
        assert await queries.headcount(tx) == (2, 2)


@pytest.mark.parametrize("by", ["user_name", "employee_id", "email", "client_id"])
async def test_two_at_once_never_make_two_people(database: Database, tenant_id: TenantId, by: str) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    entra = await source(database, tenant_id, "idp", "Entra")
    async with database.tenant(tenant_id) as tx:
        await prove_domain(tx, "acme.example")

    async def post(n: int, number: int) -> None:
        name = f"same{n}" if by == "user_name" else f"own{n}-{number}"
        values = {by: f"same{n}@acme.example"} if by in {"employee_id", "email"} else {}
        client_id = f"same{n}" if by == "client_id" else None
        # In one source a name or an id is one user's; in two, an identifier is one person's.
        source_id = (okta, entra)[number % 2] if values else okta
        async with database.tenant(tenant_id) as tx:
            await actions.provision(tx, source_id, asserted(name, client_id=client_id, **values))

    for n in range(10):
        await asyncio.gather(*(post(n, number) for number in range(2 if by == "email" else 6)))
    async with database.tenant(tenant_id) as tx:
        assert await queries.headcount(tx) == (10, 10)


async def test_a_report_and_a_request_at_once_make_one_person(database: Database, tenant_id: TenantId) -> None:
    hr = await source(database, tenant_id)
    okta = await source(database, tenant_id, "idp", "Okta")

    async def post(number: int) -> None:
        async with database.tenant(tenant_id) as tx:
            await provision(tx, okta, asserted(f"user{number}", employee_id=f"E{number:05}"))

    rows = [worker(n) for n in range(40)]
    await asyncio.gather(
        sync(database, tenant_id, hr, report(rows), batch_rows=3), *(post(number) for number in range(0, 40, 3))
    )
    # What met somebody who had come in between was set aside, and is linked by the next run.
    await sync(database, tenant_id, hr, report(rows))
    async with database.tenant(tenant_id) as tx:
        assert await queries.headcount(tx) == (40, 40)
        assert await tx.fetchval("SELECT count(*) FROM source_record") == 40 + 14


async def test_requests_during_a_report_end_in_the_right_values(database: Database, tenant_id: TenantId) -> None:
    hr = await source(database, tenant_id)
    okta = await source(database, tenant_id, "idp", "Okta")
    rows = {n: worker(n, phone=None) for n in range(30)}
    await sync(database, tenant_id, hr, report(rows.values()))
    ids: list[UUID] = []
    async with database.tenant(tenant_id) as tx:
        for n in range(30):
            made = await provision(tx, okta, asserted(f"user{n}", employee_id=f"E{n:05}"))
            ids.append(made.record.resource_id)

    async def put(n: int, phone: str) -> None:
        async with database.tenant(tenant_id) as tx:
            record = await queries.record_by_resource(tx, okta, ids[n], lock=True)
            assert record is not None
            given = asserted(f"user{n}", employee_id=f"E{n:05}", phone=phone, active=n % 4 != 0)
            assert isinstance(await actions.assert_record(tx, record, given), Changed)

    for row in rows.values():
        row["title"] = "Chief"
    await asyncio.gather(
        sync(database, tenant_id, hr, report(rows.values()), batch_rows=4),
        *(put(n, phone) for phone in ("1", "2") for n in range(30)),
    )
    async with database.tenant(tenant_id) as tx:
        people = {p.values["employee_id"]: p for p in await queries.persons_page(tx)}
        assert {p.values["title"] for p in people.values()} == {"Chief"}
        for n in range(30):
            record = await queries.record_by_resource(tx, okta, ids[n])
            assert record is not None
            person = people[f"E{n:05}"]
            assert person.values["phone"] == record.values["phone"]
            assert person.active is (n % 4 != 0)
