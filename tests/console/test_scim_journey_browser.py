"""The journey of an identity admin in a real browser, with Okta's and Entra's simulators at the other end.

Each page that it comes to is looked at by axe, wide and light as well as narrow and dark.
"""

import os
import re
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from playwright.async_api import Browser, Page, expect

from stoa.changes.actions import SOURCE_JOB
from stoa.db.embedded import Server
from stoa.people.duplicates import SEARCH_JOB
from stoa_simulators.company import Company as Employer
from stoa_simulators.company import Status
from stoa_simulators.pushing import PushedGroup, Pushing
from stoa_simulators.scim_client import (
    CycleReport,
    Dialect,
    Directory,
    Entra,
    Mode,
    Okta,
    OktaMode,
    ScimWire,
    run_cycle,
)
from tests.console.journey import Company, World, chromium, complaints_of, overflow, violations, world_of
from tests.console.test_every_page_browser import signed_in

pytestmark = [pytest.mark.all, pytest.mark.timeout(240)]

LOOKS: Final = (("light", 1280), ("dark", 360))
HELD: Final = "SELECT run_id FROM run WHERE tenant_id = $1 AND kind = 'scim_hold' AND state = 'held'"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@pytest.fixture
async def world(server: Server, tmp_path: Path) -> AsyncGenerator[World]:
    """The application and a company."""
    async with world_of(server, tmp_path) as opened:
        yield opened


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """A browser."""
    async with chromium() as opened:
        yield opened


@dataclass
class Provider:
    """An identity provider outside, and how it was told to reach us."""

    http: httpx2.AsyncClient
    dialect: Dialect
    employer: Employer
    address: str = ""
    token: str = ""
    directory: Directory = field(default_factory=Directory)
    pushing: Pushing = field(default_factory=Pushing)

    @property
    def wire(self) -> ScimWire:
        return ScimWire(self.http, self.address, self.dialect.headers(self.token), self.dialect.flag)

    async def cycle(self) -> CycleReport:
        """What it does every forty minutes, or at once."""
        return await run_cycle(
            self.employer, self.dialect, self.directory, self.wire, mode=Mode.DELTA,
            unassigned=self.pushing.unassigned, groups=self.pushing.wanted(self.employer),
        )  # fmt: skip

    async def post(self, user_name: str, **more: Any) -> httpx2.Response:
        """One user by hand."""
        body: dict[str, Any] = {"schemas": [], "userName": user_name, **more}
        return await self.http.post(f"{self.address}/Users", json=body, headers=self.dialect.headers(self.token))


@dataclass
class Walk:
    """A visitor who looks at each page."""

    page: Page
    address: str
    seen: int = 0

    async def look(self, name: str) -> None:
        """The page is clean in both looks; what was open stays open."""
        folder = os.environ.get("STOA_SCREENSHOTS")
        for scheme, width in LOOKS:
            await self.page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
            await self.page.set_viewport_size({"width": width, "height": 800})
            assert await violations(self.page) == [], (name, scheme, width)
            assert await overflow(self.page) is None, (name, scheme, width)
            if folder:
                file = Path(folder) / f"{self.seen:02}-{name}-{width}.png"
                await self.page.screenshot(path=file, full_page=True)
        await self.page.emulate_media(color_scheme="light")
        await self.page.set_viewport_size({"width": 1280, "height": 800})
        self.seen += 1

    async def go(self, path: str) -> None:
        await self.page.goto(self.address + path)

    async def press(self, name: str) -> None:
        """A button, or a link that looks like one; what asks first is told yes."""
        await self.page.get_by_role("button", name=name).first.click()

    async def follow(self, name: str) -> None:
        """A link of the page's main part."""
        await self.page.locator("main").get_by_role("link", name=name).first.click()

    async def says(self, *words: str) -> None:
        for one in words:
            await expect(self.page.locator("main")).to_contain_text(one)

    async def yes(self) -> None:
        """To the question that a dangerous act asks."""
        await self.page.locator("dialog[open] button.danger, dialog[open] button.primary").first.click()


async def visitor(world: World, browser: Browser) -> tuple[Walk, list[str]]:
    context = await signed_in(world, browser, viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(8_000)
    page = await context.new_page()
    return Walk(page, world.address), complaints_of(page)


def not_by_leaving(complaints: list[str]) -> list[str]:
    """Complaints without those about what a page was still loading when it was left."""
    return [one for one in complaints if not one.endswith("net::ERR_ABORTED")]


async def connected(walk: Walk, company: Company, provider: Provider, choice: str) -> None:
    """From the list of connections to the first answer, by clicks alone; nothing is loaded anew to see it."""
    page = walk.page
    await walk.go(f"{company.base}/connections")
    await walk.press("New connection")
    await walk.press("Another provider")
    await walk.look("choose")
    await walk.press(f"Choose {choice}")
    await walk.press("Issue the first token")
    await walk.says("This token is shown this once.")
    await walk.look("token")
    provider.token = (await page.locator("#token code").inner_text()).strip()
    provider.address = (await page.locator("td code", has_text="/scim/v2").first.inner_text()).strip()
    # Loaded again, the step is still there, and the token is not.
    await page.reload()
    await expect(page.locator("#token")).to_have_count(0)
    await walk.says("Where they go in", provider.token[:16])
    async with page.expect_response(lambda one: one.url.endswith("/live")):
        await walk.press("Both are there")
    await walk.says("Waiting for the first request")
    await page.evaluate("() => { window.stayed = true }")
    await provider.dialect.test_connection(provider.wire)
    await walk.says("The connection works")
    await expect(page.locator("tbody tr").first).to_contain_text("/Users")
    assert await page.evaluate("window.stayed === true")
    await walk.look("first-request")
    await walk.press("Next: the attributes")
    await walk.says("Required", "Employee id")
    await walk.look("attributes")
    await walk.press("Next: people and groups")
    await walk.look("assign")
    await walk.press("Next: check what came")


async def work(company: Company, source_id: str) -> None:
    """What a worker does: the runs of the source that wait, one after the other."""
    while await company.worker.claim_one(SOURCE_JOB, source_id, company.tenant_id) is not None:
        pass


async def test_okta_from_the_first_click_to_a_mass_change_that_is_taken_back(world: World, browser: Browser) -> None:
    company, (walk, complaints) = await world.company(), await visitor(world, browser)
    page, employer = walk.page, world.tenancy.company
    async with httpx2.AsyncClient() as http:
        okta = Provider(http, Okta(OktaMode.OIN), employer)
        departments = Counter(one.department for one in employer.with_status(Status.ACTIVE))
        name, members = departments.most_common(1)[0]
        okta.pushing.groups["largest"] = PushedGroup(name, name)
        await connected(walk, company, okta, "Okta")
        provider = re.sub(r"/setup/.*", "", page.url).removeprefix(world.address)
        source_id = provider.rsplit("/", 1)[1]

        # People and a group arrive, and the step says so by itself.
        before = datetime.now(UTC)
        assert (await okta.cycle()).failed == 0
        await walk.says("Groups give roles", f"{sum(departments.values())} of them active")
        await walk.look("check")

        # The log, one request of it, and from there to the person.
        await walk.follow("Requests")
        await page.get_by_role("link", name="POST /Users").first.click()
        await walk.says("What it did, and why", "The difference")
        await walk.look("request")
        await page.locator("main a.person").first.click()
        await walk.says("Okta", "Workday")
        await walk.look("person")

        # Its group gives a role, after a dry run.
        await walk.go(provider)
        await page.locator(".figure", has_text="Groups").get_by_role("link").click()
        await walk.follow(name)
        await page.get_by_label("Give another role").select_option("author")
        await walk.press("Show who would get it")
        await walk.says("Nothing is changed yet")
        await expect(page.locator(".figure", has_text="Would get the role")).to_contain_text(str(members))
        await walk.look("dry-run")
        await walk.press("Give the role")
        assert await company.one("SELECT count(*) FROM person_role WHERE tenant_id = $1") == members

        # A wrong mapping takes the application from half of them: the rest waits, and nothing is lost by the way.
        active = await company.one("SELECT count(*) FROM person WHERE tenant_id = $1 AND active")
        okta.pushing.unassign(employer, 50)
        assert (await okta.cycle()).failed == 0
        lost = active - await company.one("SELECT count(*) FROM person WHERE tenant_id = $1 AND active")
        assert 0 < lost < 20
        await walk.go(f"{provider}/requests?live=1&filter=outcome+eq+%22held%22")
        await page.locator("th[scope=row] a").first.click()
        await walk.look("held-request")
        await walk.follow("The run that waits")
        await walk.says("Held:", "What to do:")
        await walk.look("held-run")
        await walk.go(f"{company.base}/alerts")
        await page.locator("main a[href*='/alerts/']", has_text="Okta").first.click()
        await walk.look("alert")
        # Their memberships wait in a run of their own; both are rejected.
        for what in ("person", "group"):
            held = await company.one(f"{HELD} AND target = '{what}'")
            await walk.go(f"{company.base}/runs/{held}")
            await page.get_by_label("Why you decide so").fill("The mapping was wrong.")
            await walk.press("Reject")
            await walk.says("Rejected")
        await work(company, source_id)
        assert await company.one("SELECT count(*) FROM hold WHERE tenant_id = $1 AND state = 'held'") == 0

        # What had passed before the guard held is undone since the moment before.
        await walk.go(f"/console/t/{company.slug}/sources/{source_id}/undo?since={before:%Y-%m-%dT%H:%M}")
        await walk.says("What it did since")
        await walk.look("undo-since")
        await walk.press("Plan how to undo it")
        await work(company, source_id)
        await walk.says("This is what the rollback would do")
        await walk.look("undo-planned")
        await walk.press("Roll back now")
        await work(company, source_id)
        await walk.says("Rolled back")
        assert await company.one("SELECT count(*) FROM person WHERE tenant_id = $1 AND active") == active
        assert not_by_leaving(complaints) == []
    assert walk.seen > 12


async def test_entra_twins_and_whom_nobody_could_tell(world: World, browser: Browser) -> None:
    company, (walk, complaints) = await world.company(), await visitor(world, browser)
    page = walk.page
    async with httpx2.AsyncClient() as http:
        entra = Provider(http, Entra(flagged=True), world.tenancy.company)
        await connected(walk, company, entra, "Microsoft Entra ID")
        provider = re.sub(r"/setup/.*", "", page.url).removeprefix(world.address)
        assert (await entra.cycle()).failed == 0

        # Somebody with the number of somebody else is refused, and an admin says who it is.
        number = {ENTERPRISE: {"employeeNumber": next(iter(entra.directory.accounts))}}
        refused = await entra.post("second@acme.example", **number)
        assert refused.status_code == 409
        await walk.go(f"{provider}/requests?live=1&filter=outcome+eq+%22refused%22")
        await walk.look("refusals")
        await page.get_by_role("link", name="POST /Users").first.click()
        await walk.says("What to do:")
        await walk.look("refused")
        refusal = page.url
        await walk.go(provider)
        await walk.follow("Who is it?")
        await walk.look("decisions")
        await page.locator("tbody th a").first.click()
        await walk.look("decision")
        await page.get_by_label("Somebody new: a person is made").check()
        await walk.press("Decide")
        # What was refused is done once more from here, after a look at what it would do.
        await page.goto(refusal)
        await walk.press("See what it would do")
        await walk.says("It would be answered 201 now", "nothing has changed")
        await walk.look("would-do")
        await page.get_by_label("Why", exact=True).fill("They are two people.")
        await walk.press("Do it once more")
        await walk.says("Done once more, by hand", "It made somebody")

        # Two who are one are proposed, previewed, merged and split.
        for user in ("eva.twin@acme.example", "eva.twin@other.example"):
            mail = {"emails": [{"value": "eva.twin@acme.example", "type": "work"}]}
            names = {"displayName": "Eva Twin", "name": {"givenName": "Eva", "familyName": "Twin"}}
            made = await entra.post(user, **names, **(mail if "acme" in user else {"emails": mail["emails"]}))
            assert made.status_code == 201
        await walk.go(f"{company.base}/duplicates")
        await walk.press("Compare everybody anew")
        await company.worker.claim_one(SEARCH_JOB, "", company.tenant_id)
        await page.reload()
        await walk.look("duplicates")
        await page.locator("tr", has_text="Eva Twin").get_by_role("link", name="Look at both").click()
        await walk.look("pair")
        people = "SELECT count(*) FROM person WHERE tenant_id = $1 AND merged_into IS NULL"
        before = await company.one(people)
        await walk.follow("Preview: keep this one")
        await walk.look("merge-preview")
        await page.get_by_role("button", name="Merge", exact=True).click()
        await expect(page.get_by_role("button", name="Split")).to_be_visible()
        assert await company.one(people) == before - 1
        await walk.look("merge")
        await walk.press("Split")
        await walk.yes()
        await expect(page.get_by_role("button", name="Split")).to_have_count(0)
        assert await company.one(people) == before

        # Another source is to own the title: first whom it would change; and what clients expect of the service.
        await walk.go(f"{company.base}/people/authority")
        await page.locator("#field-title").check()
        await page.get_by_label("Place 1").select_option(label="Microsoft Entra ID")
        await walk.press("Show what it would change")
        await walk.look("authority-preview")
        await walk.press("Leave it as it is")
        await walk.go(provider)
        await walk.follow("Conformance")
        await walk.press("Run the checks now")
        await expect(page.locator(".figure", has_text="Failed")).to_contain_text("0")
        await walk.look("conformance")
        assert not_by_leaving(complaints) == []
