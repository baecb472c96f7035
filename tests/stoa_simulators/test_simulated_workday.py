"""The worker report: authentication, three formats that agree, and every fault."""

import csv
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from xml.etree import ElementTree

import httpx2
import pytest
from starlette.applications import Starlette

from stoa_simulators.company import Company, Status
from stoa_simulators.workday import FaultKind, ReportService, workday_routes
from stoa_simulators.workday.faults import make_fault
from stoa_simulators.workday.report import COLUMNS

Rows = list[dict[str, str]]


@pytest.fixture
def service(make_company: Callable[..., Company]) -> ReportService:
    return ReportService(make_company(size=400), "ISU_LMS@acme", "s3cret:with colon")


@pytest.fixture
async def client(service: ReportService) -> AsyncIterator[httpx2.AsyncClient]:
    app = Starlette(routes=workday_routes({"acme": service}))
    auth = httpx2.BasicAuth(service.user, service.password)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://workday.test", auth=auth) as client:
        yield client


async def get(client: httpx2.AsyncClient, service: ReportService, **query: str) -> httpx2.Response:
    return await client.get(service.path, params=query)


async def json_rows(client: httpx2.AsyncClient, service: ReportService, **query: str) -> Rows:
    response = await get(client, service, format="json", **query)
    assert response.status_code == 200
    return json.loads(response.content)["Report_Entry"]


async def csv_rows(client: httpx2.AsyncClient, service: ReportService) -> Rows:
    response = await get(client, service, format="csv")
    return list(csv.DictReader(io.StringIO(response.content.decode())))


def switch(service: ReportService, kind: FaultKind, column: str | None = None, requests: int | None = None) -> None:
    service.fault = make_fault(kind, column, requests, 0.01)


async def test_formats_say_the_same(client: httpx2.AsyncClient, service: ReportService) -> None:
    as_json = await json_rows(client, service)
    as_csv = await csv_rows(client, service)
    assert tuple(as_csv[0]) == COLUMNS
    assert [{key: value for key, value in row.items() if value} for row in as_csv] == as_json
    xml = await get(client, service, format="simplexml")
    space = "{urn:com.workday.report/LMS_Worker_Feed}"
    entries = ElementTree.fromstring(xml.content).findall(f"{space}Report_Entry")
    assert [{cell.tag.removeprefix(space): cell.text for cell in entry} for entry in entries] == as_json
    assert len(as_json) == 400


@pytest.mark.parametrize(
    ("form", "media_type"),
    [("json", "application/json"), ("csv", "text/csv"), ("simplexml", "text/xml")],
)
async def test_content_type_fits_and_nothing_says_last_modified(
    client: httpx2.AsyncClient, service: ReportService, form: str, media_type: str
) -> None:
    response = await get(client, service, format=form)
    assert response.headers["content-type"] == f"{media_type};charset=UTF-8"
    assert "last-modified" not in response.headers


async def test_values_are_text_and_absent_ones_are_missing_keys(
    client: httpx2.AsyncClient, service: ReportService
) -> None:
    rows = await json_rows(client, service)
    assert all(isinstance(value, str) and value for row in rows for value in row.values())
    assert {row["Active_Status"] for row in rows} == {"0", "1"}
    assert sum("Manager_Employee_ID" not in row for row in rows) == 1
    assert all("Termination_Date" not in row for row in rows)


async def test_future_hires_are_listed_but_not_active(client: httpx2.AsyncClient, service: ReportService) -> None:
    rows = {row["Employee_ID"]: row for row in await json_rows(client, service)}
    future = list(service.company.with_status(Status.FUTURE))
    assert future
    today = service.company.today.isoformat()
    assert all(rows[p.employee_id]["Active_Status"] == "0" for p in future)
    assert all(rows[p.employee_id]["Hire_Date"] > today for p in future)


async def test_leavers_are_absent_unless_asked_for(client: httpx2.AsyncClient, service: ReportService) -> None:
    service.company.advance(1)
    gone = {person.employee_id for person in service.company.with_status(Status.TERMINATED)}
    assert not gone & {row["Employee_ID"] for row in await json_rows(client, service)}
    everybody = {row["Employee_ID"]: row for row in await json_rows(client, service, Include_Terminated="1")}
    assert gone <= set(everybody)
    assert all(everybody[employee_id]["Termination_Date"] for employee_id in gone)


@pytest.mark.parametrize("header", [None, "Basic !!!", "Basic eDp5", "Bearer x", "Basic"])
async def test_wrong_credentials_get_401_with_a_challenge(
    client: httpx2.AsyncClient, service: ReportService, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = await client.get(service.path, headers=headers, auth=lambda request: request)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic realm=")


async def test_unknown_reports_tenants_and_formats_are_refused(
    client: httpx2.AsyncClient, service: ReportService
) -> None:
    assert (await client.get(service.path.replace("ISU_LMS", "someone"))).status_code == 404
    assert (await client.get(service.path.replace("acme", "globex"))).status_code == 404
    assert (await get(client, service, format="gdata")).status_code == 400


async def test_half_rows_loses_half_but_keeps_the_top(client: httpx2.AsyncClient, service: ReportService) -> None:
    before = await json_rows(client, service)
    switch(service, FaultKind.HALF_ROWS)
    assert await json_rows(client, service) == before[::2]


async def test_html_is_a_login_page_with_status_200(client: httpx2.AsyncClient, service: ReportService) -> None:
    switch(service, FaultKind.HTML)
    response = await get(client, service, format="json")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "Sign In" in response.text


@pytest.mark.parametrize("form", ["json", "csv", "simplexml"])
async def test_truncated_ends_inside_a_record(client: httpx2.AsyncClient, service: ReportService, form: str) -> None:
    whole = (await get(client, service, format=form)).content
    switch(service, FaultKind.TRUNCATED)
    cut = (await get(client, service, format=form)).content
    assert whole.startswith(cut)
    assert len(whole) / 2 < len(cut) < len(whole)
    if form == "json":
        with pytest.raises(json.JSONDecodeError):
            json.loads(cut)
    elif form == "csv":
        assert 1 < len(cut.decode().splitlines()[-1].split(",")) < len(COLUMNS)
    else:
        with pytest.raises(ElementTree.ParseError):
            ElementTree.fromstring(cut)


async def test_empty_is_a_report_without_rows(client: httpx2.AsyncClient, service: ReportService) -> None:
    switch(service, FaultKind.EMPTY)
    assert await json_rows(client, service) == []
    assert (await get(client, service, format="csv")).text == ",".join(COLUMNS) + "\n"
    xml = await get(client, service, format="simplexml")
    assert len(ElementTree.fromstring(xml.content)) == 0


async def test_latin1_is_not_utf8_though_it_says_so(client: httpx2.AsyncClient, service: ReportService) -> None:
    switch(service, FaultKind.LATIN1)
    response = await get(client, service, format="csv")
    assert response.headers["content-type"].endswith("UTF-8")
    with pytest.raises(UnicodeDecodeError):
        response.content.decode("utf-8")
    assert "é" in response.content.decode("latin-1")


@pytest.mark.parametrize(("column", "new"), [(None, "EmployeeID"), ("Division", "Division_1")])
async def test_renamed_column(client: httpx2.AsyncClient, service: ReportService, column: str | None, new: str) -> None:
    old = column or "Employee_ID"
    before = [row[old] for row in await json_rows(client, service)]
    switch(service, FaultKind.RENAMED_COLUMN, column)
    rows = await json_rows(client, service)
    assert [row[new] for row in rows] == before
    assert all(old not in row for row in rows)
    header = list((await csv_rows(client, service))[0])
    assert header.index(new) == COLUMNS.index(old)
    assert old not in header


async def test_missing_column_is_gone_from_the_header(client: httpx2.AsyncClient, service: ReportService) -> None:
    switch(service, FaultKind.MISSING_COLUMN, "Hire_Date")
    assert tuple((await csv_rows(client, service))[0]) == tuple(c for c in COLUMNS if c != "Hire_Date")
    assert all("Hire_Date" not in row for row in await json_rows(client, service))


async def test_empty_column_keeps_its_header(client: httpx2.AsyncClient, service: ReportService) -> None:
    switch(service, FaultKind.EMPTY_COLUMN)
    rows = await csv_rows(client, service)
    assert tuple(rows[0]) == COLUMNS
    assert {row["Department"] for row in rows} == {""}


async def test_duplicate_ids_repeat_some_workers(client: httpx2.AsyncClient, service: ReportService) -> None:
    switch(service, FaultKind.DUPLICATE_IDS)
    rows = await json_rows(client, service)
    twice = [e for e, count in Counter(row["Employee_ID"] for row in rows).items() if count > 1]
    assert len(twice) == 4
    assert len({row["Business_Title"] for row in rows if row["Employee_ID"] == twice[0]}) == 2


async def test_manager_cycle_has_exactly_one_loop(client: httpx2.AsyncClient, service: ReportService) -> None:
    switch(service, FaultKind.MANAGER_CYCLE)
    above = {row["Employee_ID"]: row.get("Manager_Employee_ID") for row in await json_rows(client, service)}
    loops: set[frozenset[str]] = set()
    for start in above:
        path: list[str] = []
        at: str | None = start
        while at is not None and at not in path:
            path.append(at)
            at = above[at]
        if at is not None:
            loops.add(frozenset(path[path.index(at) :]))
    assert [len(loop) for loop in loops] == [3]


@pytest.mark.parametrize(("kind", "status"), [(FaultKind.STATUS_429, 429), (FaultKind.STATUS_500, 500)])
async def test_status_faults_last_for_the_stated_requests(
    client: httpx2.AsyncClient, service: ReportService, kind: FaultKind, status: int
) -> None:
    switch(service, kind, requests=3)
    answers = [await get(client, service, format="json") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [status, status, status, 200]
    assert answers[0].headers.get("retry-after") == ("1" if status == 429 else None)
    assert service.fault is None


async def test_slow_sends_everything_in_the_end(client: httpx2.AsyncClient, service: ReportService) -> None:
    before = await json_rows(client, service)
    switch(service, FaultKind.SLOW)
    assert await json_rows(client, service) == before


async def test_a_refused_request_spends_no_fault(client: httpx2.AsyncClient, service: ReportService) -> None:
    switch(service, FaultKind.EMPTY, requests=1)
    assert (await client.get(service.path, auth=("a", "b"))).status_code == 401
    assert await json_rows(client, service) == []
    assert len(await json_rows(client, service)) == 400


def test_faults_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="no column"):
        make_fault(FaultKind.EMPTY_COLUMN, "Salary", None, None)
    with pytest.raises(ValueError, match="at least 1"):
        make_fault(FaultKind.HTML, None, 0, None)
