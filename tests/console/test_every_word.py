"""In the pseudo-language every text of every page is between brackets, whoever wrote it: what is left is data."""

import re
from collections.abc import AsyncGenerator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import httpx2
import pytest

from stoa.access.permissions import Role
from stoa.alerts.queries import recent_alerts
from stoa.db.embedded import Server
from stoa.people.journal import TARGET
from stoa.sync.actions import request_sync
from stoa_simulators.workday.faults import FaultKind, make_fault
from tests.console.every_page import addresses
from tests.console.journey import Company, World, world_of
from tests.web.signed_in import Browsers, browsers

PSEUDO: Final = {"Accept-Language": "en-XA"}
# What stands in these is data, or the same in every language.
DATA: Final = {"code", "kbd", "pre", "samp", "script", "style", "option", "time"}
FEWEST_WORDS: Final = 3


class Bare(HTMLParser):
    """Collects what stands outside of brackets, by the element that it stands in."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._data, self._deep = 0, 0
        # The elements that are open inside of one that is marked as English: the API's document has one language.
        self._english: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._data += tag in DATA
        if self._english or ("lang", "en") in attrs:
            self._english.append(tag)
        shown = {"alt", "aria-label", "placeholder", "title", "data-confirm"}
        self.found += [_outside(value or "")[0] for name, value in attrs if name in shown]

    def handle_endtag(self, tag: str) -> None:
        self._data -= tag in DATA
        if self._english and self._english[-1] == tag:
            self._english.pop()

    def handle_data(self, data: str) -> None:
        text, self._deep = _outside(data, self._deep)
        if not self._data and not self._english:
            self.found.append(text)


def _outside(text: str, deep: int = 0) -> tuple[str, int]:
    """What is in no brackets, and how deep in them it ends. deep: how deep it begins."""
    kept: list[str] = []
    for letter in text:
        deep += letter == "⟦"
        if deep == 0:
            kept.append(letter)
        deep -= letter == "⟧"
    return "".join(kept), deep


def bare(page: str) -> list[str]:
    """The phrases of a page that went through no gettext: three words and more that are no names."""
    parser = Bare()
    parser.feed(page)
    parser.close()
    return [text.strip() for text in parser.found if _is_phrase(text)]


def _is_phrase(text: str) -> bool:
    """Whether there are words of prose, and no example of a filter."""
    words = [word for word in re.sub(r'[.,:;!?()"“”]+(?=\s|$)', "", text).split() if word.isalpha() and word.islower()]
    return len(words) >= FEWEST_WORDS and " eq " not in text


@pytest.fixture
async def world(server: Server, tmp_path: Path) -> AsyncGenerator[World]:
    """The application and a company."""
    async with world_of(server, tmp_path) as opened:
        yield opened


async def speaker(people: Browsers, role: Role, company: Company | None = None) -> httpx2.AsyncClient:
    """Somebody who reads the pseudo-language."""
    browser = await people.of(role, None if company is None else company.tenant_id)
    browser.headers.update(PSEUDO)
    return browser


def test_what_is_not_between_brackets_is_found() -> None:
    page = '<p>⟦Held⟧ The run is held.</p><p title="Not to be seen">⟦a <b>⟦bold⟧</b> word of it⟧</p>'
    assert bare(page) == ["The run is held.", "Not to be seen"]
    assert bare("<p>⟦It is ⟦held by a guard⟧ now⟧ Ada Byron</p><code>not to be told</code>") == []


async def test_no_page_says_anything_that_cannot_be_translated(world: World) -> None:
    company = await world.company()
    asked = 0
    async with browsers(world.app, world.parts.database) as people:
        admin = await speaker(people, Role.PLATFORM_ADMIN)
        for path, address in (await addresses(world, company, "GET")).items():
            # The samples of the style page are data, and a mail is shown as it was sent.
            if path.endswith(("/live", ".csv", ".jsonl", ".atom", ".css", "/raw", "/styleguide")) or "/mailbox" in path:
                continue
            asked += 1
            page = await admin.get(address)
            assert bare(page.text) == [], path
    assert asked > 25


async def test_what_holds_a_run_is_told_in_the_visitors_language(world: World) -> None:
    company = await world.company()
    run = f"{company.base}/runs/{company.held.run_id}"
    alert_id = await company.one("SELECT alert_id FROM alert WHERE tenant_id = $1 AND kind = 'run_held'")
    async with browsers(world.app, world.parts.database) as people:
        admin = await speaker(people, Role.TENANT_ADMIN, company)
        assert "⟦Compare with the source system. Approve the run if this is meant" in (await admin.get(run)).text
        alert = (await admin.get(f"{company.base}/alerts/{alert_id}")).text
        assert "⟦A sync of Workday is held⟧" in alert
        assert "⟦The run would deactivate" in alert
        overview = (await admin.get(company.base)).text
        assert "⟦The run would deactivate" in overview
        # What a program reads stays English.
        assert "⟦" not in (await admin.get(f"{company.base}/alerts/all.csv")).text
        assert "⟦" not in (await admin.get(f"{company.base}/runs.csv")).text


async def test_refused_forms_are_told_in_the_visitors_language(world: World) -> None:
    company = await world.company()
    wrong = {
        "alerts/{alert_id}/mute": {"mute_reason": "x", "mute_days": "7"},
        "alerts/{alert_id}/assign": {"owner": "nobody"},
        "alerts/{alert_id}/resolve": {"resolve_reason": ""},
        "connections/{connection_id}/pause": {"reason": ""},
        "connections/{connection_id}/settings": {"setting-url": "ftp://x", "guard-deactivate-percent": "many"},
        "connections/{connection_id}/secret": {"setting-password": ""},
        "connections/{connection_id}/schedule": {"every": "cron", "cron": "x y z"},
        "connections/new/{connector}": {"name": "", "setting-columns": "nonsense"},
        "runs/{run_id}/reject": {"reason": "\0"},
        "settings": {"name": "", "time_zone": "Mars", "owner_email": "x", "accent": "red"},
        "connections/scim/new": {"provider": "okta", "name": "Okta", "days": "x"},
    }
    told = 0
    async with browsers(world.app, world.parts.database) as people:
        admin = await speaker(people, Role.PLATFORM_ADMIN)
        for path, address in (await addresses(world, company, "POST")).items():
            form = wrong.get(path.removeprefix("/console/t/{tenant}/"))
            if form is None:
                continue
            answer = await admin.post(address, data=form)
            assert 400 <= answer.status_code < 500, (path, answer.status_code)
            assert bare(answer.text) == [], path
            told += 1
    assert told == len(wrong)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("filter=departmnt+eq+1", "at position 0"),
        ("filter=(", "at position"),
        ("sort=salary", "⟦This list cannot be sorted by"),
        ("q=" + "x" * 300, "⟦A search has at most 200 characters.⟧"),
        ("cursor=x", "⟦The cursor does not belong to this list, order and filter.⟧"),
    ],
)
async def test_what_a_list_cannot_answer_is_told_in_the_visitors_language(world: World, query: str, told: str) -> None:
    company = await world.company()
    async with browsers(world.app, world.parts.database) as people:
        admin = await speaker(people, Role.TENANT_ADMIN, company)
        page = (await admin.get(f"{company.base}/people?{query}")).text
    assert told in page
    assert bare(page) == []


async def test_problems_are_told_in_the_visitors_language(world: World) -> None:
    company = await world.company()
    nobody = "019a0000-0000-7000-8000-000000000000"
    async with browsers(world.app, world.parts.database) as people:
        admin = await speaker(people, Role.TENANT_ADMIN, company)
        viewer = await speaker(people, Role.TENANT_VIEWER, company)
        pages = [
            await admin.get(f"{company.base}/runs/{nobody}"),
            await admin.get(f"{company.base}/people/{nobody}"),
            await admin.get(f"{company.base}/alerts/{nobody}"),
            await admin.get(f"{company.base}/connections/{nobody}"),
            await admin.get("/console/t/nobody"),
            await admin.get("/nowhere"),
            await viewer.get(f"{company.base}/connections/new"),
            await viewer.post(f"{company.base}/runs/{company.held.run_id}/approve"),
            await admin.post(f"{company.base}/runs/{nobody}/approve", headers={"Sec-Fetch-Site": "cross-site"}),
        ]
        english = await admin.get(f"{company.base}/runs/{nobody}", headers={"Accept-Language": "en"})
    assert [page.status_code for page in pages] == [404] * 6 + [403] * 3
    for page in pages:
        assert "⟦" in page.text
        assert bare(page.text) == []
    assert "⟦" not in english.text


@pytest.mark.all
async def test_whatever_befalls_a_report_is_told_in_the_visitors_language(world: World) -> None:
    company = await world.company()
    connection = f"/connections/{company.connection.connection_id}"
    states: set[str] = set()
    async with browsers(world.app, world.parts.database) as people:
        admin = await speaker(people, Role.TENANT_ADMIN, company)
        for kind in FaultKind:
            if kind is FaultKind.SLOW:
                continue
            world.tenancy.report.fault = make_fault(kind, None, None, None)
            async with world.parts.database.tenant(company.tenant_id) as tx:
                queued = await request_sync(tx, company.connection, TARGET)
            await company.work()
            run = f"/runs/{queued.run_id}"
            states.add((await company.run(queued.run_id)).state)
            for path in ("", "/alerts", "/connections", connection, run, f"{run}/quarantine"):
                assert bare((await admin.get(company.base + path)).text) == [], (kind, path)
            assert bare((await admin.post(f"{company.base}{connection}/test")).text) == [], kind
        async with world.parts.database.tenant(company.tenant_id, read_only=True) as tx:
            alerts = await recent_alerts(tx)
        for alert in alerts:
            assert bare((await admin.get(f"{company.base}/alerts/{alert.alert_id}")).text) == [], alert.kind
    assert states == {"held", "applied"}
    assert alerts


async def test_a_sign_in_that_is_refused_is_told_in_the_visitors_language(world: World) -> None:
    company = await world.company()
    async with browsers(world.app, world.parts.database) as people:
        stranger = await people.stranger()
        stranger.headers.update(PSEUDO)
        form = {"email": "nobody@words.example", "password": "wrong"}
        answers = [await stranger.post("/console/sign-in", data=form) for _ in range(7)]
        admin = await speaker(people, Role.TENANT_ADMIN, company)
        weak = {"current": "x", "new": "abc", "again": "abc"}
        answers.append(await admin.post("/console/password", data=weak))
    assert {answer.status_code for answer in answers} == {422, 429}
    for answer in answers:
        assert "⟦" in answer.text
        assert bare(answer.text) == []
