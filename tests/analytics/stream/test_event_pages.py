"""The event browser: looking through the log, one event, following it, taking it away."""

import csv
import io
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import quote

import httpx2
import msgspec
import pytest

from stoa.access.permissions import Role
from stoa.analytics.stream.pages import event_pages
from stoa.analytics.stream.reading import MOST_SCANNED
from stoa.db import embedded
from stoa.db.database import Database
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import TenantId
from stoa.people.queries import person_names
from stoa.tenants.queries import tenant

from ...api.calling import BASE_URL, serving, token_of
from ...people.making import report, source, sync, worker
from ...web.signed_in import Browsers, application_of, text_of
from .writing import number, write


@dataclass
class Desk:
    """A viewer before the events of a tenant."""

    browser: httpx2.AsyncClient
    browsers: Browsers
    base: str
    database: Database
    tenant_id: TenantId

    async def get(self, path: str = "") -> httpx2.Response:
        """A page below the list of events."""
        return await self.browser.get(f"{self.base}/events{path}")


@pytest.fixture
async def desk(database: Database, tenant_id: TenantId) -> AsyncGenerator[Desk]:
    """With people, and what was told of them."""
    hr = await source(database, tenant_id)
    await sync(database, tenant_id, hr, report([worker(1, display_name="Ada <b>Byron</b>"), worker(2)]))
    await sync(database, tenant_id, hr, report([worker(1, display_name="Ada <b>Byron</b>", title="Countess")]))
    await number(database, tenant_id)
    app = application_of(database, lambda shell: event_pages(shell, BASE_URL, person_names))
    async with AsyncExitStack() as stack, database.tenant(tenant_id) as tx:
        browsers = Browsers(app, database, stack)
        slug = (await tenant(tx)).slug
        viewer = await browsers.of(Role.TENANT_ADMIN, tenant_id)
        yield Desk(viewer, browsers, f"/console/t/{slug}", database, tenant_id)


async def test_the_newest_event_comes_first_with_who_and_what(desk: Desk) -> None:
    answer = await desk.get()
    assert answer.status_code == 200
    text = text_of(answer)
    assert "Ada <b>Byron</b>" in text
    assert answer.text.index("<code>person.deactivated") < answer.text.index("<code>person.created")
    assert "Last event: number" in text
    assert "As of" in text


async def test_pages_lead_back_to_the_beginning(desk: Desk) -> None:
    await write(desk.database, desk.tenant_id, *(f"domain:{n}.example" for n in range(30)))
    seen: list[str] = []
    path: str | None = f"{desk.base}/events"
    while path:
        page = (await desk.browser.get(path)).text
        seen += [cell.split('">')[0] for cell in page.split("/events/")[1:] if cell.split('">')[0].isdigit()]
        links = page.split('" rel="next"')[0].rsplit('href="', 1)
        path = links[1].replace("&amp;", "&") if '" rel="next"' in page else None
    numbers = [int(one) for one in dict.fromkeys(seen)]
    assert numbers == list(range(numbers[0], 0, -1))
    oldest = await desk.get("?sort=sequence")
    assert oldest.text.index("<code>tenant.created") < oldest.text.index("<code>person.created")


async def test_a_filter_and_a_search_leave_what_fits(desk: Desk) -> None:
    found = (await desk.get("?q=person.updated")).text
    assert "<code>person.updated</code>" in found
    assert "<code>person.created</code>" not in found
    filtered = (await desk.get("?filter=" + quote('type sw "person_record."'))).text
    assert "<code>person_record.created</code>" in filtered
    assert "<code>person.created</code>" not in filtered
    wrong = await desk.get("?filter=" + quote('kind eq "x"'))
    assert "Unknown attribute" in text_of(wrong)
    hostile = await desk.get("?q=" + quote('"\\) or type pr or ("'))
    assert "No event fits" in text_of(hostile)


async def test_choosing_a_type_puts_it_into_the_filter(desk: Desk) -> None:
    answer = await desk.get("?type=person.created")
    assert answer.status_code == 303
    assert "type+eq+%22person.created%22" in answer.headers["location"]
    family = await desk.get("?type=person.*&filter=" + quote('via eq "system"'))
    shown = await desk.browser.get(family.headers["location"])
    assert "<code>person.created</code>" in shown.text
    assert "<code>person_record.created</code>" not in shown.text
    assert (await desk.get("?type=nothing.ever")).status_code == 400


async def test_a_filter_that_finds_nothing_recent_offers_to_look_further_back(desk: Desk) -> None:
    async with desk.database.tenant(desk.tenant_id) as tx:
        for n in range(MOST_SCANNED):
            emit(tx, Event("domain.proven", f"domain:{n}.example", {}))
    await number(desk.database, desk.tenant_id)
    first = await desk.get("?filter=" + quote('type eq "tenant.created"'))
    assert "Look further back" in first.text
    further = first.text.split('">Look further back')[0].rsplit('href="', 1)[1].replace("&amp;", "&")
    assert "<code>tenant.created</code>" in (await desk.browser.get(further)).text


async def test_one_event_is_shown_as_integrators_get_it(desk: Desk, server: embedded.Server) -> None:
    token = await token_of(desk.database, desk.tenant_id, ["events:read"])
    async with serving(server, token) as client:
        documents = (await client.get("/v1/events")).json()["items"]
    wanted = next(one for one in documents if one["type"] == "person.updated")
    answer = await desk.get(f"/{wanted['sequence']}")
    assert answer.status_code == 200
    text = text_of(answer)
    assert "Countess" in text
    shown = answer.text.split('<pre class="code"')[1].split("<code>")[1].split("</code>")[0]
    assert msgspec.json.decode(shown.replace("&#34;", '"').replace("&lt;", "<").replace("&gt;", ">")) == wanted
    for path in ("/0", "/99999", "/x", "/" + "9" * 30):
        assert (await desk.get(path)).status_code == 404


async def test_events_are_taken_away_as_csv_and_as_json_lines(desk: Desk) -> None:
    query = "?filter=" + quote('type eq "person.created"')
    lines = list(csv.DictReader(io.StringIO((await desk.get(f".csv{query}")).text.removeprefix("\ufeff"))))
    assert [line["type"] for line in lines] == ["person.created"] * 2
    assert msgspec.json.decode(lines[0]["data"])["after"]["display_name"] == "Ada <b>Byron</b>"
    answer = await desk.get(f".jsonl{query}")
    documents = [msgspec.json.decode(line) for line in answer.text.splitlines()]
    assert [one["sequence"] for one in documents] == [line["sequence"] for line in lines]
    assert answer.headers["content-disposition"] == 'attachment; filename="events.jsonl"'
    for path in (".csv", ".jsonl"):
        assert (await desk.get(f"{path}?filter=nothing")).status_code == 400
    # Each way of taking them is written down.
    await number(desk.database, desk.tenant_id)
    taken = await desk.get(".jsonl?filter=" + quote('type eq "list.exported"'))
    assert [msgspec.json.decode(line)["data"]["list"] for line in taken.text.splitlines()] == ["events"] * 2


async def test_following_is_offered_and_can_be_stopped(desk: Desk) -> None:
    assert "sse-connect" not in (await desk.get()).text
    live = (await desk.get("?live=1")).text
    assert "sse-connect" in live
    assert "Stop following" in live
    for wrong in ("filter=nothing", "after=x"):
        assert (await desk.get(f"/live?{wrong}")).status_code == 400


async def test_who_may_not_see_people_sees_no_events(desk: Desk) -> None:
    stranger = await desk.browsers.stranger()
    assert (await stranger.get(f"{desk.base}/events")).status_code == 303
