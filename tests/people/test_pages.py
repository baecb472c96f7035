"""The pages about people, over HTTP as a browser without scripts has them."""

import csv
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import date
from html import unescape
from io import StringIO
from typing import Any
from uuid import UUID

import httpx2
import pytest
from starlette.types import ASGIApp

from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.kernel.ids import PersonId, RunId, SourceId, TenantId, new_id
from stoa.people import actions, queries
from stoa.people.model import Asserted, Provisioned
from stoa.people.pages import CSV_HEADER, people_pages
from stoa.people.recompute import settle
from stoa.tenants.queries import tenant as tenant_of

from ..conftest import MakeTenant
from ..web.signed_in import application_of, browsers, text_of
from .making import report, rollback, source, sync, worker

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202eevil.exe",
    "محمد علي",
    "🙂" * 40,
    "x" * 1000,
    "{{ 7 * 7 }}",
    "=cmd|' /C calc'!A0",
)


class Visitor:
    """Somebody who is signed in, before one tenant's people."""

    def __init__(self, http: httpx2.AsyncClient, database: Database, tenant_id: TenantId, slug: str) -> None:
        self.http, self.database, self.tenant_id = http, database, tenant_id
        self.base = f"/console/t/{slug}"

    async def get(self, path: str = "/people", **params: str) -> httpx2.Response:
        return await self.http.get(self.base + path, params=params or None)

    async def report(self, rows: Sequence[dict[str, Any]]) -> Any:
        hr = await source(self.database, self.tenant_id)
        return await sync(self.database, self.tenant_id, hr, report(rows))

    async def post(self, name: str, **values: Any) -> PersonId:
        okta = await source(self.database, self.tenant_id, "idp", "Okta")
        async with self.database.tenant(self.tenant_id) as tx:
            raw = {"userName": name, "active": True, "~": {"userName": name.upper()}}
            made = await actions.provision(tx, okta, Asserted({"user_name": name, **values}, True, f"id-{name}", raw))
            assert isinstance(made, Provisioned)
            return made.record.person_id

    async def person(self, key: str) -> PersonId:
        hr = await source(self.database, self.tenant_id)
        async with self.database.tenant(self.tenant_id) as tx:
            record = await queries.record_by_key(tx, hr, key)
        assert record is not None
        return record.person_id

    async def do(self, sql: str, *params: object) -> None:
        async with self.database.tenant(self.tenant_id) as tx:
            await tx.execute(sql, *params)


SignIn = Callable[..., Awaitable[Visitor]]


@pytest.fixture
def app(database: Database) -> ASGIApp:
    return application_of(database, people_pages)


@pytest.fixture
async def sign_in(app: ASGIApp, database: Database, make_tenant: MakeTenant) -> AsyncGenerator[SignIn]:
    """Signs somebody in, in a tenant of their own or in a given one."""
    async with browsers(app, database) as people:

        async def enter(role: Role = Role.TENANT_VIEWER, tenant_id: TenantId | None = None) -> Visitor:
            tenant_id = tenant_id or await make_tenant(name="Acme", domains=("acme.example",))
            async with database.tenant(tenant_id) as tx:
                slug = (await tenant_of(tx)).slug
            return Visitor(await people.of(role, tenant_id), database, tenant_id, slug)

        yield enter


@pytest.fixture
async def ada(sign_in: SignIn) -> Visitor:
    return await sign_in()


def names_in(page: httpx2.Response) -> list[str]:
    return [
        unescape(name) for name in re.findall(r'class="person" id="[^"]+" href="[^"]+"><bdi[^>]*>([^<]*)<', page.text)
    ]


# ------------------------------------------------------------------ the list


async def test_an_empty_list_says_what_to_connect(ada: Visitor) -> None:
    page = await ada.get()
    assert page.status_code == 200
    assert "Connect the identity provider" in text_of(page)
    assert f'href="{ada.base}/connections"' in page.text


async def test_people_are_searched_filtered_sorted_and_paged(ada: Visitor) -> None:
    await ada.report([worker(n) for n in range(60)])
    first = await ada.get(limit="25")
    assert names_in(first)[:3] == ["Given0 Family0", "Given1 Family1", "Given10 Family10"]
    following = unescape(re.findall(r'href="([^"]+)" rel="next"', first.text)[0])
    second = await ada.http.get(following)
    assert not set(names_in(first)) & set(names_in(second))
    assert len(names_in(second)) == 25
    assert names_in(await ada.get(q="family59")) == ["Given59 Family59"]
    assert set(names_in(await ada.get(filter='department eq "Sales" and employee_id sw "e0000"'))) == {
        f"Given{n} Family{n}" for n in (0, 3, 6, 9)
    }
    assert names_in(await ada.get(sort="-display_name"))[0] == "Given9 Family9"
    assert len(names_in(await ada.get(sort="updated_at"))) == 25
    assert "Nobody fits" in text_of(await ada.get(q="zzz"))


async def test_what_cannot_be_asked_is_told_with_its_place(ada: Visitor) -> None:
    await ada.report([worker(1)])
    page = await ada.get(filter='departmnt eq "Sales"')
    assert page.status_code == 200
    assert "Did you mean department?" in text_of(page)
    assert names_in(page) == []
    assert (await ada.get(cursor="nonsense")).status_code == 200


async def test_figures_tell_their_age(ada: Visitor) -> None:
    await ada.report([worker(n, active=n > 0) for n in range(4)])
    assert "No figures yet" in text_of(await ada.get())
    await ada.do(
        "INSERT INTO tenant_status (tenant_id, updated_at) VALUES ($1, now()) ON CONFLICT DO NOTHING", ada.tenant_id
    )
    async with ada.database.tenant(ada.tenant_id) as tx:
        await tx.execute("UPDATE tenant_status SET people = 4, active_people = 3, people_at = $1", tx.now)
    assert "People 4 As of just now Active 3 As of just now Inactive 1 As of" in text_of(await ada.get())


async def test_more_than_can_be_shown_is_told(ada: Visitor) -> None:
    await ada.report([worker(n, manager_ref=None) for n in range(1_010)])
    page = await ada.get(q="given")
    assert "More than 1,000 people match" in text_of(page)
    assert "More than" not in text_of(await ada.get(q="given1"))
    # The export leaves nobody out.
    lines = list(csv.reader(StringIO((await ada.get("/people.csv", q="given")).text)))
    assert len(lines) == 1_011


# ------------------------------------------------------------------ export


async def test_the_export_holds_everybody_and_runs_nothing(ada: Visitor) -> None:
    await ada.report([worker(n, display_name=name, title=name) for n, name in enumerate(HOSTILE)])
    answer = await ada.get("/people.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    header, *lines = csv.reader(StringIO(answer.content.decode("utf-8-sig")))
    assert tuple(header) == CSV_HEADER
    titles = {line[CSV_HEADER.index("title")] for line in lines}
    assert titles == {*HOSTILE} - {"=cmd|' /C calc'!A0"} | {"'=cmd|' /C calc'!A0"}
    assert {line[CSV_HEADER.index("sources")] for line in lines} == {"Workday"}
    assert (await ada.get("/people.csv", filter="nonsense")).status_code == 400


async def test_the_export_goes_on_over_pages(ada: Visitor) -> None:
    await ada.report([worker(n, manager_ref=None) for n in range(2_050)])
    lines = list(csv.reader(StringIO((await ada.get("/people.csv", filter='title eq "Engineer"')).text)))
    assert len({line[0] for line in lines[1:]}) == 2_050


# ------------------------------------------------------------------ one person


async def test_a_profile_tells_who_won_and_what_others_say(ada: Visitor) -> None:
    await ada.report([worker(0), worker(1, title="Engineer", cost_center="C1")])
    person_id = await ada.post("user1@acme.example", employee_id="E00001", title="Chief", email="person1@acme.example")
    assert person_id == await ada.person("E00001")
    page = await ada.get(f"/people/{person_id}")
    text = text_of(page)
    assert "Every source whose word counts says so" in text
    assert "Title Engineer Workday ranks before Okta." in text
    assert re.search(r"<del>.*Chief.*</del>", page.text)
    assert "Workday, and the others agree." in text
    assert "Cost centre C1 Only Workday says anything." in text
    assert "User name user1@acme.example Only Okta says anything." in text
    assert f'href="{ada.base}/people/{await ada.person("E00000")}"' in page.text
    assert "id-user1@acme.example" in text
    assert "USER1@ACME.EXAMPLE" not in text
    assert "Same employee id as somebody known" in text
    assert "_key" not in text
    manager = text_of(await ada.get(f"/people/{await ada.person('E00000')}"))
    assert "Given1 Family1" in manager


async def test_why_somebody_has_no_access(ada: Visitor) -> None:
    await ada.report(
        [worker(1, termination_date=date(2020, 2, 3)), worker(2, active=False), worker(3, hire_date=date(2999, 1, 1))]
    )
    for key, words in (
        ("E00001", "Inactive Workday says that the last day was 2020-02-03."),
        ("E00002", "Inactive Workday says inactive."),
        ("E00003", "Inactive Workday says that the first day is 2999-01-01."),
    ):
        assert words in text_of(await ada.get(f"/people/{await ada.person(key)}"))
    assert "From 2999-01-01 on: active." in text_of(await ada.get(f"/people/{await ada.person('E00003')}"))
    await ada.report([worker(1), worker(3)])
    assert "Workday has no such record any more." in text_of(await ada.get(f"/people/{await ada.person('E00002')}"))


async def test_a_hold_is_told_with_both_values(ada: Visitor) -> None:
    run = await ada.report([worker(1, title="New")])
    person_id = await ada.person("E00001")
    async with ada.database.tenant(ada.tenant_id) as tx:
        await tx.execute(
            """INSERT INTO hold
              (tenant_id, hold_id, resource_id, person_id, source_id, field, held_value, run_id, state, made_at)
            SELECT tenant_id, $1, resource_id, person_id, source_id, 'title', '"Old"', $2, 'held', $3
            FROM source_record""",
            *(new_id(), run.run_id, tx.now),
        )
        await settle(tx, person_id, RunId(new_id()))
    text = text_of(await ada.get(f"/people/{person_id}"))
    assert "Title is held Workday now says New . Until somebody decides, this stays in force: Old" in text
    assert "Title Old Held" in text


async def test_the_timeline_pages_through_the_journal(ada: Visitor) -> None:
    for n in range(30):
        run = await ada.report([worker(1, title=f"Title {n:02}")])
    await rollback(ada.database, ada.tenant_id, run.run_id)
    person_id = await ada.person("E00001")
    first = await ada.get(f"/people/{person_id}/timeline")
    text = text_of(first)
    assert text.index("Taken back by a rollback") < text.index("Rolled back") < text.index("Title 27")
    assert f"{ada.base}/runs/{run.run_id}" in first.text
    following = unescape(re.findall(r'href="([^"]+)" rel="next"', first.text)[0])
    second = text_of(await ada.http.get(following))
    assert "Nobody with these identifiers is known" in second
    assert "Nobody with these identifiers is known" not in text
    assert "The whole timeline" in text_of(await ada.get(f"/people/{person_id}"))
    assert (await ada.get(f"/people/{person_id}/timeline", cursor="x")).status_code == 200


async def test_who_was_merged_leads_to_the_survivor(ada: Visitor) -> None:
    await ada.report([worker(1), worker(2)])
    one, other = await ada.person("E00001"), await ada.person("E00002")
    await ada.do("UPDATE source_record SET person_id = $1 WHERE person_id = $2", one, other)
    await ada.do("UPDATE person SET merged_into = $1 WHERE person_id = $2", one, other)
    for end in ("", "/timeline"):
        answer = await ada.get(f"/people/{other}{end}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{ada.base}/people/{one}{end}")
    # The journal of both is theirs.
    assert text_of(await ada.get(f"/people/{one}/timeline")).count("Nobody with these identifiers") == 2
    assert names_in(await ada.get()) == ["Given1 Family1"]


@pytest.mark.parametrize("path", ["/people/{}", "/people/{}/timeline"])
async def test_nobody_is_found_where_nobody_is(ada: Visitor, path: str) -> None:
    for name in (str(UUID(int=1)), "nobody", "%00"):
        assert (await ada.get(path.format(name))).status_code == 404


async def test_a_person_without_any_record_left_is_told(ada: Visitor) -> None:
    await ada.report([worker(1)])
    person_id = await ada.person("E00001")
    await ada.do("DELETE FROM due_change WHERE tenant_id = $1", ada.tenant_id)
    await ada.do(
        """INSERT INTO person (tenant_id, person_id, active, merged_into, created_run, created_at, updated_at)
        SELECT tenant_id, $1, false, person_id, created_run, created_at, updated_at FROM person WHERE person_id = $2""",
        *(new_id(), person_id),
    )
    await ada.do("DELETE FROM source_record WHERE person_id = $1", person_id)
    async with ada.database.tenant(ada.tenant_id) as tx:
        await settle(tx, person_id, RunId(new_id()))
    page = await ada.get(f"/people/{person_id}")
    assert page.status_code == 200
    assert "No source has a record of them any more." in text_of(page)
    assert "Without a name" in page.text


# ------------------------------------------------------------------ hostile values, and who may look


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names_are_text(ada: Visitor, name: str) -> None:
    long = name if len(name) < 100 else name * 10
    await ada.report([worker(1, display_name=name, manager_ref=None), worker(2, manager_ref="E00001")])
    await ada.do("UPDATE source_record SET title = $1, raw = $2", long, {"userName": long, "list": [long] * 20})
    await ada.do("UPDATE person SET title = $1", long)
    person_id = await ada.person("E00001")
    for path in ("/people", f"/people/{person_id}", f"/people/{person_id}/timeline"):
        page = await ada.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img" not in page.text.replace('<img src="/assets/', "")
        assert "onerror=alert(1)>" not in page.text
        assert name[:70] in unescape(page.text)


async def test_another_tenant_s_session_finds_nothing(ada: Visitor, sign_in: SignIn) -> None:
    await ada.report([worker(1)])
    person_id = await ada.person("E00001")
    stranger = await sign_in(Role.TENANT_ADMIN)
    for path in ("/people", "/people.csv", f"/people/{person_id}", f"/people/{person_id}/timeline"):
        assert (await stranger.http.get(ada.base + path)).status_code == 404
    assert (await stranger.get(f"/people/{person_id}")).status_code == 404
    assert (await stranger.get(f"/people/{person_id}/timeline")).status_code == 404


async def test_nobody_looks_without_signing_in(ada: Visitor, app: ASGIApp, database: Database) -> None:
    async with browsers(app, database) as people:
        answer = await (await people.stranger()).get(f"{ada.base}/people")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in")


async def test_sources_keep_their_names_apart(ada: Visitor) -> None:
    other: SourceId = await source(ada.database, ada.tenant_id, "idp", "<b>Entra</b>")
    assert other
    await ada.report([worker(1)])
    page = await ada.get(f"/people/{await ada.person('E00001')}")
    assert "<b>Entra" not in page.text
