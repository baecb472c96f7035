"""The page of a person costs few statements, however much is known of them."""

from collections.abc import AsyncGenerator
from datetime import date

import pytest

from stoa.access.permissions import Role
from stoa.db.database import Database, open_database
from stoa.kernel.ids import PersonId, TenantId, new_id
from stoa.people import actions
from stoa.people.model import Asserted, Provisioned
from stoa.people.pages import people_pages
from stoa.people.profile import profile
from stoa.people.queries import record_by_key
from stoa.tenants.queries import tenant as tenant_of

from ..conftest import ConnectArgs, MakeTenant
from ..web.signed_in import application_of, browsers
from .making import report, source, sync, worker

# The session, and a transaction around the one statement that reads everything.
# The end of a read goes with the beginning of the next one (stoa.db.resting).
PAGE = ["SELECT s.session_id", "BEGIN READ ONLY; SET LOCAL", "WITH mine AS"]
# Of somebody into whom another was merged: who that was, and the changes of both.
MERGED = [*PAGE, "WITH RECURSIVE taken", "SELECT c.run_id"]


@pytest.fixture
async def single(connect_args: ConnectArgs) -> AsyncGenerator[Database]:
    """Pools of one connection each, upon which every statement of a page can be heard."""
    opened = await open_database(connect_args, sizes={"app": 1, "sync": 1, "platform": 1})
    yield opened
    await opened.close()


async def statements_of(database: Database, tenant_id: TenantId, person_id: PersonId) -> list[str]:
    """The statements that the page of a person sends, each without white space at its ends."""
    sent: list[str] = []
    async with database.tenant(tenant_id) as tx:
        slug = (await tenant_of(tx)).slug
    async with browsers(application_of(database, people_pages), database) as people:
        visitor = await people.of(Role.TENANT_VIEWER, tenant_id)
        # The first makes the connections ask for types.
        assert (await visitor.get(f"/console/t/{slug}/people/{person_id}")).status_code == 200
        for role in ("app", "platform"):
            async with database._pools[role].acquire() as connection:  # pyright: ignore[reportPrivateUsage] - to listen
                connection.add_query_logger(lambda record: sent.append(record.query.strip()))
        assert (await visitor.get(f"/console/t/{slug}/people/{person_id}")).status_code == 200
        # The loggers are called in the loop's next round, which another statement waits for.
        async with database.platform_at_once() as tx:
            await tx.fetchval("SELECT 1")
        assert "SELECT 1" in sent
    # A read that was not followed by another for a while is ended by itself, and may be so after the last statement.
    return [statement for statement in sent if statement not in {"COMMIT", "SELECT 1"}]


async def known(database: Database, tenant_id: TenantId) -> PersonId:
    """Somebody whom two sources know, with a manager, reports, a date to come and a journal."""
    hr = await source(database, tenant_id)
    okta = await source(database, tenant_id, "idp", "Okta")
    rows = [
        worker(1, email="one@acme.example", manager_ref="E00002"),
        worker(2),
        *(worker(n, manager_ref="E00001") for n in range(3, 9)),
    ]
    await sync(database, tenant_id, hr, report(rows))
    rows[0] = worker(1, email="one@acme.example", manager_ref="E00002", termination_date=date(2999, 1, 1))
    await sync(database, tenant_id, hr, report(rows))
    async with database.tenant(tenant_id) as tx:
        values = {"user_name": "one", "email": "one@acme.example"}
        made = await actions.provision(tx, okta, Asserted(values, True, "one", {"userName": "one"}))
        assert isinstance(made, Provisioned)
        record = await record_by_key(tx, hr, "E00001")
    assert record is not None
    assert made.record.person_id == record.person_id
    return record.person_id


async def test_everything_is_read_by_one_statement(single: Database, make_tenant: MakeTenant) -> None:
    tenant_id = await make_tenant(domains=("acme.example",))
    person_id = await known(single, tenant_id)
    async with single.tenant(tenant_id, read_only=True) as tx:
        found = await profile(tx, person_id)
    assert found is not None
    assert len(found.identities) == 2
    assert len(found.reports) == 6
    assert [one.due for one in found.identities.values() if one.due]
    assert found.person.manager_id in found.names
    assert len(found.latest.rows) == 3
    sent = await statements_of(single, tenant_id, person_id)
    assert len(sent) == len(PAGE), sent
    assert [one for one, wanted in zip(sent, PAGE, strict=True) if not one.startswith(wanted)] == []


async def test_a_merge_costs_two_more(single: Database, make_tenant: MakeTenant) -> None:
    tenant_id = await make_tenant(domains=("acme.example",))
    person_id, gone = await known(single, tenant_id), PersonId(new_id())
    async with single.tenant(tenant_id) as tx:
        await tx.execute(
            """INSERT INTO person (tenant_id, person_id, active, merged_into, created_run, created_at, updated_at)
            SELECT tenant_id, $3, false, person_id, created_run, created_at, updated_at FROM person
            WHERE tenant_id = $1 AND person_id = $2""",
            *(tenant_id, person_id, gone),
        )
    sent = await statements_of(single, tenant_id, person_id)
    assert len(sent) == len(MERGED), sent
    assert [one for one, wanted in zip(sent, MERGED, strict=True) if not one.startswith(wanted)] == []


async def test_nobody_is_known_by_an_id_that_is_none(single: Database, make_tenant: MakeTenant) -> None:
    async with single.tenant(await make_tenant(), read_only=True) as tx:
        assert await profile(tx, new_id()) is None
