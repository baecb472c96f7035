"""What clients expect of a SCIM service, asked of ours in its own process; nothing is left behind."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from stoa.db.database import Database
from stoa.db.transactions import Origin
from stoa.identity.scim.conformance.bench import Bench
from stoa.identity.scim.conformance.model import Check, Conformance, Result, Verdict, require
from stoa.identity.scim.conformance.running import CHECKS, KEPT, keep, latest, one_run, run_checks
from stoa.identity.scim.model import ENTERPRISE_SCHEMA
from stoa.kernel.ids import TenantId
from tests.conftest import MakeTenant
from tests.identity.conftest import MakeScim, Scim

ORIGIN = Origin("operator:test", "console")
TABLES = ("source", "source_record", "person", "change", "run", "alert", "person_group", "group_member", "entry")
WHOLE = {
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"value": "secret@example.com", "type": "work"}],
    ENTERPRISE_SCHEMA: {"employeeNumber": "secret-7"},
}


async def counted(database: Database, tenant_id: TenantId) -> dict[str, int]:
    async with database.tenant(tenant_id, read_only=True) as tx:
        return {
            table: await tx.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", tx.tenant_id)
            for table in TABLES
        }


async def ran(database: Database, scim: Scim, checks: Sequence[Check] = CHECKS) -> tuple[bool, dict[str, Result]]:
    base = f"http://127.0.0.1:8000{scim.base}"
    wrote, results = await run_checks(database, scim.tenant_id, scim.issued.source_id, base, ORIGIN, checks)
    return wrote, {one.code: one for one in results}


@pytest.fixture
async def sandbox(make_scim: MakeScim, make_tenant: MakeTenant) -> Scim:
    return await make_scim(await make_tenant(sandbox=True))


async def test_in_a_sandbox_every_check_passes_and_leaves_nothing(sandbox: Scim, database: Database) -> None:
    await sandbox.make("secret@example.com", **WHOLE)
    before = await counted(database, sandbox.tenant_id)
    wrote, results = await ran(database, sandbox)
    assert wrote
    assert {code: one.came for code, one in results.items() if one.verdict is not Verdict.PASSED} == {}
    assert set(results) == {check.code for check in CHECKS}
    assert all(one.exchanges for one in results.values())
    assert await counted(database, sandbox.tenant_id) == before
    # What is shown of real people has their shape, and none of their values.
    first = results["okta_first_user"].exchanges[0].answer
    assert '"givenName"' in first
    assert not any(value in str(results) for value in ("secret", "Lovelace"))


async def test_outside_of_a_sandbox_nothing_is_written(scim: Scim, database: Database) -> None:
    wrote, results = await ran(database, scim)
    assert not wrote
    skipped = {code for code, one in results.items() if one.verdict is Verdict.SKIPPED}
    # Nobody was pushed, so that there is no first user to look at.
    assert skipped == {check.code for check in CHECKS if check.writes} | {"okta_first_user", "rfc_attributes"}
    assert all(one.came for one in results.values() if one.verdict is Verdict.SKIPPED)
    assert {one.verdict for code, one in results.items() if code not in skipped} == {Verdict.PASSED}


async def test_a_first_user_who_lacks_something_is_told(scim: Scim, database: Database) -> None:
    await scim.make("ada")
    found = (await ran(database, scim))[1]["okta_first_user"]
    assert found.verdict is Verdict.FAILED
    assert "lacks name.givenName, name.familyName, emails" in found.came


async def test_a_check_that_fails_or_breaks_does_not_end_the_others(scim: Scim, database: Database) -> None:
    async def unmet(bench: Bench) -> None:
        listed = await bench("GET", "/Users?count=0")
        require(listed.status == 500, f"The status was {listed.status}.")

    async def broken(bench: Bench) -> None:
        await bench.tx.execute("SELECT 1 / 0")

    async def upset(_: Bench) -> None:
        raise KeyError("gone")

    mine = [Check(f.__name__, "x.", "x", "https://x.example", writes=False, look=f) for f in (unmet, broken, upset)]
    results = (await ran(database, scim, (*mine, *CHECKS)))[1]
    assert (results["unmet"].verdict, results["unmet"].came) == (Verdict.FAILED, "The status was 200.")
    for code, error in (("broken", "DivisionByZeroError"), ("upset", "KeyError")):
        assert results[code].verdict is Verdict.BROKEN
        assert error in results[code].came
    assert results["okta_nobody"].verdict is Verdict.PASSED


async def test_outcomes_are_kept_and_the_oldest_forgotten(scim: Scim, database: Database) -> None:
    source_id = scim.issued.source_id
    _, results = await ran(database, scim)
    made: list[Conformance] = []
    for _ in range(KEPT + 2):
        async with database.tenant(scim.tenant_id, ORIGIN) as tx:
            made.append(await keep(tx, source_id, list(results.values()), wrote=False))
    async with database.tenant(scim.tenant_id, read_only=True) as tx:
        assert [one.conformance_id for one in await latest(tx, source_id)] == [
            one.conformance_id for one in reversed(made[2:])
        ]
        assert await one_run(tx, source_id, made[0].conformance_id) is None
        newest = await one_run(tx, source_id)
        assert newest is not None
        assert [replace(one, exchanges=tuple(one.exchanges)) for one in newest.results] == list(results.values())
        assert (newest.passed + newest.failed + newest.skipped, newest.actor) == (len(CHECKS), "operator:test")


def test_each_check_says_whose_expectation_it_is() -> None:
    assert len({check.code for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.expectation.endswith(".")
        assert check.stands_for.split(":")[0] in {"Okta", "Entra ID", "OneLogin", "PingOne and PingFederate"} or (
            check.stands_for.startswith("RFC 764")
        )
        assert check.page.startswith("https://")
