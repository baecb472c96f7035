"""A company that lives for half a year, pushed by each provider's simulator, ends as the provider knows it."""

from collections import Counter
from datetime import date

import httpx2
import pytest

from stoa.db.database import Database
from stoa.people.queries import headcount
from stoa_simulators.company import Company, EventKind, Status
from stoa_simulators.pushing import PushedGroup, Pushing
from stoa_simulators.scim_client import Dialect, Directory, Entra, GroupMode, Mode, Okta, OktaMode, ScimWire, run_cycle
from tests.identity.conftest import HOST, Scim

DIALECTS: dict[str, Dialect] = {
    "okta catalogue": Okta(OktaMode.OIN),
    "okta wizard": Okta(OktaMode.AIW),
    "entra default": Entra(flagged=False),
    "entra flagged": Entra(flagged=True),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("okta catalogue", marks=pytest.mark.all),
        "okta wizard",
        pytest.param("entra default", marks=pytest.mark.all),
        "entra flagged",
    ],
)
async def test_a_living_company_is_mirrored(
    name: str, scim: Scim, http: httpx2.AsyncClient, database: Database
) -> None:
    dialect, directory = DIALECTS[name], Directory()
    company = Company(slug="acme", name="Acme", seed=7, size=40, domain="acme.example", start=date(2026, 3, 2))

    async def cycle(mode: Mode) -> int:
        wire = ScimWire(http, HOST + scim.base, dialect.headers(scim.issued.token), dialect.flag)
        report = await run_cycle(company, dialect, directory, wire, mode=mode)
        assert (report.failed, report.errors, report.retries) == (0, [], 0)
        return report.created + report.updated + report.deactivated + report.reactivated

    assert await cycle(Mode.FULL) == len(directory.accounts) > 30
    for _ in range(6):
        company.advance(30)
        await cycle(Mode.DELTA)
    active = sum(account.active for account in directory.accounts.values())
    async with database.tenant(scim.tenant_id) as tx:
        assert (await headcount(tx))[1] == active
    for account in directory.accounts.values():
        if account.active:
            assert (await scim.get(account.scim_id))["userName"] == account.profile.login
    versions = {one: (await scim("GET", f"/Users/{one}")).headers.get("etag") for one in ids(directory)}
    # The whole company once more changes nothing that is stored.
    await cycle(Mode.FULL)
    assert {one: (await scim("GET", f"/Users/{one}")).headers.get("etag") for one in ids(directory)} == versions


@pytest.mark.parametrize("name", DIALECTS)
async def test_groups_are_mirrored_through_moves_clearing_pushing_again_and_deletion(
    name: str, scim: Scim, http: httpx2.AsyncClient
) -> None:
    dialect, directory, pushing = DIALECTS[name], Directory(), Pushing()
    company = Company(slug="acme", name="Acme", seed=7, size=40, domain="acme.example", start=date(2026, 3, 2))
    sizes = Counter(person.department for person in company.people.values())
    for key, (department, _) in enumerate(sizes.most_common(3)):
        pushing.groups[str(key)] = PushedGroup(department, department)

    async def there() -> dict[str, set[str]]:
        listed = (await scim("GET", "/Groups")).json()["Resources"]
        assert {group["displayName"] for group in listed} == {group.name for group in pushing.groups.values()}
        return {group["id"]: {one["value"] for one in group["members"]} for group in listed}

    def remembered() -> dict[str, set[str]]:
        return {group.scim_id: set(group.members.values()) for group in directory.groups.values()}

    async def cycle(mode: Mode = Mode.DELTA, group_mode: GroupMode = GroupMode.DELTA) -> None:
        wire = ScimWire(http, HOST + scim.base, dialect.headers(scim.issued.token), dialect.flag)
        wanted, gone = pushing.wanted(company), pushing.unassigned
        report = await run_cycle(
            company, dialect, directory, wire, mode=mode, groups=wanted, group_mode=group_mode, unassigned=gone
        )
        assert (report.failed, report.errors) == (0, [])

    async def mirrored(mode: Mode = Mode.DELTA, group_mode: GroupMode = GroupMode.DELTA) -> None:
        await cycle(mode, group_mode)
        # What the provider remembers is what the service answers, deactivated members of Entra's included.
        assert await there() == remembered()

    await mirrored(Mode.FULL)
    for _ in range(3):
        company.advance(30)
        await mirrored()
    somebody = next(p.employee_id for p in company.with_status(Status.ACTIVE) if p.manager_employee_id)
    for event in (EventKind.RENAMED, EventKind.MOVED, EventKind.LEFT, EventKind.REHIRED):
        company.happen(event, somebody)
        await mirrored()
    cleared = pushing.groups["0"]
    pushing.groups["0"] = PushedGroup(cleared.name)
    await mirrored()
    pushing.groups["0"] = PushedGroup(f"{cleared.name}, renamed", cleared.department)
    await mirrored(group_mode=GroupMode.PUSH_NOW)
    assert directory.groups["0"].members
    del pushing.groups["1"]
    await mirrored()
    # With its memory gone it takes over what it finds; Entra, which cannot replace members, leaves those it no longer
    # knows.
    directory.accounts.clear()
    directory.groups.clear()
    await cycle(Mode.FULL)
    now = await there()
    assert now.keys() == remembered().keys()
    assert all(now[group] >= members for group, members in remembered().items())


async def test_a_wrong_mapping_is_answered_as_the_provider_expects_and_waits_for_an_admin(
    scim: Scim, http: httpx2.AsyncClient, database: Database
) -> None:
    dialect, directory, pushing = Okta(OktaMode.OIN), Directory(), Pushing()
    company = Company(slug="acme", name="Acme", seed=7, size=160, domain="acme.example", start=date(2026, 3, 2))

    async def active() -> tuple[int, int]:
        """Of the people in force, and of the provider's own word."""
        wire = ScimWire(http, HOST + scim.base, dialect.headers(scim.issued.token), dialect.flag)
        report = await run_cycle(company, dialect, directory, wire, mode=Mode.DELTA, unassigned=pushing.unassigned)
        assert report.errors == []
        said = (await scim("GET", "/Users", params={"filter": "active eq true", "count": "0"})).json()["totalResults"]
        async with database.tenant(scim.tenant_id, read_only=True) as tx:
            return (await headcount(tx))[1], said

    everybody = (await active())[0]
    pushing.unassign(company, 80)
    in_force, said = await active()
    # Some went before there were too many; whoever came after that waits.
    assert said == everybody - 80
    assert everybody - 80 < in_force < everybody
    async with database.tenant(scim.tenant_id, read_only=True) as tx:
        held = await tx.fetch(
            "SELECT state FROM run WHERE tenant_id = $1 AND kind = 'scim_hold' AND source_id = $2",
            *(tx.tenant_id, scim.issued.source_id),
        )
    assert [row["state"] for row in held] == ["held"]
    # The admin mends the mapping: the provider's next cycle says that they are active, and nothing waits any more.
    pushing.unassigned.clear()
    assert await active() == (everybody, everybody)


def ids(directory: Directory) -> list[str]:
    """Everybody whom the provider knows."""
    return [account.scim_id for account in directory.accounts.values()]
