"""A company that lives for half a year, pushed by each provider's simulator, ends as the provider knows it."""

from datetime import date

import httpx2
import pytest

from stoa.db.database import Database
from stoa.people.queries import headcount
from stoa_simulators.company import Company
from stoa_simulators.scim_client import Dialect, Directory, Entra, Mode, Okta, OktaMode, ScimWire, run_cycle
from tests.identity.conftest import HOST, Scim

DIALECTS: dict[str, Dialect] = {
    "okta catalogue": Okta(OktaMode.OIN),
    "okta wizard": Okta(OktaMode.AIW),
    "entra default": Entra(flagged=False),
    "entra flagged": Entra(flagged=True),
}


@pytest.mark.parametrize("name", DIALECTS)
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


def ids(directory: Directory) -> list[str]:
    """Everybody whom the provider knows."""
    return [account.scim_id for account in directory.accounts.values()]
