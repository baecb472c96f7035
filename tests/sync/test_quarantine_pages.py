"""The rows that a run set aside, over HTTP without scripts."""

import csv
import re
from collections.abc import AsyncGenerator, Sequence
from html import unescape
from io import StringIO

import pytest

from stoa.access.permissions import Role
from stoa.changes.model import Run
from stoa.kernel.filters import check, parse, require_bound
from stoa.kernel.ids import new_id
from stoa.sync import quarantine
from stoa.sync.model import QuarantinedRow, RowReason
from stoa.sync.pages_quarantine import filter_of
from stoa.tenants.queries import tenant as tenant_of
from tests.conftest import MakeTenant
from tests.sync.conftest import Office
from tests.sync.front import Front, front_of, pages_of
from tests.web.signed_in import Browsers, application_of, browsers, text_of

HOSTILE = '<img src=x onerror="alert(1)"> \u0645\u062d\u0645\u062f \U0001f642'


def bad_row(number: int, code: str = "not_a_date", column: str = "Hire_Date", **raw: str) -> QuarantinedRow:
    reason = RowReason(code, column, f"{column} is wrong in row {number}.")
    return QuarantinedRow(number, f"W-{number}", (reason,), {"Employee_ID": f"W-{number}", column: "31.02.", **raw})


@pytest.fixture
async def people_at(office: Office) -> AsyncGenerator[Browsers]:
    async with browsers(application_of(office.database, pages_of(office)), office.database) as opened:
        yield opened


@pytest.fixture
async def run(office: Office) -> Run:
    office.a_day_passes()
    return await office.sync()


@pytest.fixture
async def front(office: Office, people_at: Browsers) -> Front:
    return await front_of(office, people_at, Role.TENANT_VIEWER)


async def set_aside(front: Front, run: Run, rows: Sequence[QuarantinedRow]) -> str:
    """The address of the rows."""
    office = front.office
    async with office.database.tenant(office.tenant_id, role="sync") as tx:
        await quarantine.write(tx, run.run_id, rows)
    return f"/runs/{run.run_id}/quarantine"


def numbers(page: str) -> list[str]:
    return re.findall(r'<th scope="row" class="number">([\d,]+)</th>', page)


async def test_real_rows_at_fault_are_told_with_reason_and_what_to_do(front: Front) -> None:
    front.office.fault("duplicate_ids")
    run = await front.office.sync()
    page = await front.get(f"/runs/{run.run_id}/quarantine")
    assert page.status_code == 200
    text = text_of(page)
    for told in ("Two rows have the same id", "Employee_ID", "all others went through", "send them to", "at fault"):
        assert told in text, told
    assert len(numbers(page.text)) == run.figures["quarantined"]
    assert "<time" in page.text


async def test_a_run_without_such_rows_says_so(front: Front, run: Run) -> None:
    assert "Every row could be used" in text_of(await front.get(f"/runs/{run.run_id}/quarantine"))


async def test_rows_are_paged_and_sorted(front: Front, run: Run) -> None:
    path = await set_aside(front, run, [bad_row(number) for number in range(1, 61)])
    seen: list[str] = []
    address = f"{front.base}{path}"
    for _ in range(3):
        page = await front.http.get(address)
        seen += numbers(page.text)
        following = re.search(r'<a href="([^"]+)" rel="next">', page.text)
        if following is None:
            break
        address = unescape(following[1])
    assert seen == [str(number) for number in range(1, 61)]
    assert numbers((await front.get(path, sort="-row")).text)[:2] == ["60", "59"]
    other = await front.get(path, cursor="nonsense")
    assert other.status_code == 200
    assert numbers(other.text) == []


async def test_a_reason_leads_to_its_rows(front: Front, run: Run) -> None:
    both = QuarantinedRow(
        9, "W-9", (RowReason("not_a_date", "Birth", "Birth."), RowReason("too_long", "Hire_Date", "Long.")), {"a": "b"}
    )
    path = await set_aside(front, run, [bad_row(1), bad_row(2, "too_long", "Title"), bad_row(3), both])
    page = await front.get(path)
    links = [unescape(link) for link in re.findall(r'href="([^"]*quarantine\?filter[^"]*)"', page.text)]
    assert len(links) == 4
    found = {tuple(numbers((await front.http.get(link)).text)) for link in links}
    # A row is found by a code and a column of the same reason alone.
    assert found == {("1", "3"), ("2",), ("9",)}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"q": "2"}, ["2"]),
        ({"q": "w-3"}, ["3"]),
        ({"q": "nobody"}, []),
        ({"filter": 'reasons.column eq "Title"'}, ["2"]),
        ({"filter": "row gt 1", "q": "W-"}, ["2", "3"]),
        ({"filter": 'external_id eq "W-1"'}, ["1"]),
    ],
)
async def test_rows_are_found(front: Front, run: Run, asked: dict[str, str], expected: list[str]) -> None:
    path = await set_aside(front, run, [bad_row(1), bad_row(2, "too_long", "Title"), bad_row(3)])
    assert numbers((await front.get(path, **asked)).text) == expected


async def test_a_filter_that_says_nothing_is_told(front: Front, run: Run) -> None:
    path = await set_aside(front, run, [bad_row(1)])
    page = await front.get(path, filter='shoe eq "42"')
    assert 'id="list-problem"' in page.text
    assert numbers(page.text) == []


async def test_the_export_holds_the_cells_of_the_rows_that_fit(front: Front, run: Run) -> None:
    rows = [bad_row(1, Name="=cmd()"), bad_row(2, "too_long", "Title"), bad_row(3, Name="Ada, \nByron")]
    path = await set_aside(front, run, rows)
    answer = await front.get(f"{path}.csv", filter=filter_of("not_a_date", "Hire_Date"))
    assert answer.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(StringIO(answer.content.decode("utf-8-sig"))))
    assert [line["row"] for line in table] == ["1", "3"]
    assert table[0]["Name"] == "'=cmd()"
    assert table[1]["Name"] == "Ada, \nByron"
    assert table[0]["Hire_Date"] == "31.02."
    assert "Hire_Date is wrong in row 1." in table[0]["reasons"]


async def test_hostile_cells_stay_text_and_long_ones_are_folded(front: Front, run: Run) -> None:
    path = await set_aside(front, run, [bad_row(1, **{HOSTILE: HOSTILE, "Long": "x" * 10_000})])
    page = await front.get(path)
    assert HOSTILE in unescape(page.text)
    assert "<img src=x" not in page.text
    assert "2,001 characters" in text_of(page)


async def test_other_tenants_find_nothing(front: Front, run: Run, people_at: Browsers, make_tenant: MakeTenant) -> None:
    path = await set_aside(front, run, [bad_row(1)])
    other = await make_tenant()
    http = await people_at.of(Role.TENANT_ADMIN, other)
    async with front.office.database.tenant(other) as tx:
        own = f"/console/t/{(await tenant_of(tx)).slug}"
    for base in (own, front.base):
        for ending in ("", ".csv"):
            assert (await http.get(f"{base}{path}{ending}")).status_code == 404
    assert (await front.get(f"/runs/{new_id()}/quarantine")).status_code == 404


def test_every_attribute_of_the_filter_has_its_place() -> None:
    require_bound(quarantine.CATALOGUE, quarantine.BINDING)
    assert check(parse(filter_of('"; DROP', "Ö\\")), quarantine.CATALOGUE) is not None
