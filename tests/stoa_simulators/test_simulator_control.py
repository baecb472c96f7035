"""The control interface, and a whole cycle over it."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx2
import pytest

from stoa_simulators.company import Status
from stoa_simulators.estate import Estate, build_estate
from stoa_simulators.server import create_app


@pytest.fixture
def estate() -> Estate:
    return build_estate(companies=4, people=400, seed=7, start=date(2026, 3, 2))


@pytest.fixture
async def client(estate: Estate) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_app(estate), client=("127.0.0.1", 5000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://sim.test") as client:
        yield client


async def test_health(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/control/health")).json() == {"status": "ok", "companies": 4}


async def test_companies_say_how_to_reach_their_systems(client: httpx2.AsyncClient) -> None:
    companies = (await client.get("/control/companies")).json()["companies"]
    assert sum(company["size"] for company in companies) == 400
    assert [company["idp"] for company in companies] == ["okta", "entra", "entra-flagged", "okta"]
    assert [company["okta_mode"] for company in companies] == ["oin", None, None, "aiw"]
    for company in companies:
        workday = company["workday"]
        report = await client.get(workday["url_path_json"], auth=(workday["user"], workday["password"]))
        assert len(report.json()["Report_Entry"]) == company["size"]
        assert (await client.get(f"/control/companies/{company['slug']}")).json()["domain"] == company["domain"]


async def test_credentials_of_one_company_do_not_open_another(client: httpx2.AsyncClient) -> None:
    first, second = (await client.get("/control/companies")).json()["companies"][:2]
    auth = (first["workday"]["user"], first["workday"]["password"])
    assert (await client.get(second["workday"]["url_path_csv"], auth=auth)).status_code == 401


async def test_advance_tells_what_happened(client: httpx2.AsyncClient) -> None:
    lived = (await client.post("/control/companies/acme/advance", json={"days": 2})).json()
    assert lived["today"] == "2026-03-04"
    assert sum(lived["counts"].values()) == len(lived["events"])
    renamed = next(event for event in lived["events"] if event["kind"] == "renamed")
    assert [change["field"] for change in renamed["changes"]] == ["family_name", "email"]
    everyone = (await client.post("/control/advance")).json()["companies"]
    assert [company["today"] for company in everyone] == ["2026-03-05"] + ["2026-03-03"] * 3


async def test_workers_are_paged_and_agree_with_the_counts(estate: Estate, client: httpx2.AsyncClient) -> None:
    cursor: str | None = "0"
    workers: list[dict[str, Any]] = []
    while cursor is not None:
        page = (await client.get("/control/companies/acme/workers", params={"cursor": cursor})).json()
        workers += page["workers"]
        cursor = page["next_cursor"]
    counts = estate["acme"].company.counts()
    assert sum(worker["active"] for worker in workers) == counts["active"]
    assert len(workers) == sum(counts.values())


async def test_more_than_a_page_of_workers_needs_the_cursor() -> None:
    app = create_app(build_estate(companies=1, people=1500, seed=1, start=date(2026, 3, 2)))
    transport = httpx2.ASGITransport(app=app, client=("::1", 5000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://sim.test") as client:
        first = (await client.get("/control/companies/acme/workers")).json()
        second = (await client.get(f"/control/companies/acme/workers?cursor={first['next_cursor']}")).json()
    ids = [worker["employee_id"] for worker in first["workers"] + second["workers"]]
    assert len(first["workers"]) == 1000
    assert second["next_cursor"] is None
    assert len(set(ids)) == len(ids) == 1545


async def test_faults_are_set_and_cleared(client: httpx2.AsyncClient) -> None:
    path = "/control/companies/acme/faults"
    workday = (await client.get("/control/companies/acme")).json()["workday"]
    auth = (workday["user"], workday["password"])
    assert (await client.post(path, json={"fault": "empty"})).status_code == 200
    assert (await client.get(workday["url_path_json"], auth=auth)).json() == {"Report_Entry": []}
    assert (await client.get("/control/companies/acme")).json()["fault"]["kind"] == "empty"
    assert (await client.delete(path)).status_code == 204
    assert len((await client.get(workday["url_path_json"], auth=auth)).json()["Report_Entry"]) > 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"fault": "earthquake"}),
        ("faults", {"fault": "empty_column", "column": "Salary"}),
        ("faults", {"fault": "html", "requests": 0}),
        ("faults", {}),
        ("advance", {"days": 0}),
        ("advance", {"days": "x"}),
        ("advance", {"weeks": 1}),
        ("provision", {"scim_base_url": "ftp://x", "token": "t"}),
        ("provision", {"scim_base_url": "http://x", "token": "t", "concurrency": 0}),
        ("provision", {"token": "t"}),
        ("provision", {"scim_base_url": "http://x", "token": "t", "groups": "some"}),
        ("happen", {"event": "left", "employee_id": "nobody"}),
        ("happen", {"event": "announced"}),
        ("assignments", {"employee_ids": ["nobody"], "assigned": False}),
        ("wrong-mapping", {"count": 0}),
        ("wrong-mapping", {"count": 100_000}),
    ],
)
async def test_bad_orders_are_refused_with_a_reason(
    client: httpx2.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    response = await client.post(f"/control/companies/acme/{path}", json=body)
    assert response.status_code == 400
    assert response.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": " ", "department": "Sales"},
        {"name": "x" * 201, "department": "Sales"},
        {"name": "x"},
        {"name": "x", "department": "Sales", "employee_ids": []},
        {"name": "x", "employee_ids": ["nobody"]},
    ],
)
async def test_a_group_that_cannot_be_is_refused(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    response = await client.put("/control/companies/acme/groups/sales", json=body)
    assert (response.status_code, bool(response.json()["detail"])) == (400, True)
    assert (await client.get("/control/companies/acme/groups")).json() == {"groups": []}


async def test_everything_can_be_made_to_happen_to_one_worker(estate: Estate, client: httpx2.AsyncClient) -> None:
    company = estate["acme"].company
    leaf = next(p for p in company.people.values() if p.status == "active" and p.manager_employee_id)
    for event, changed in (
        ("moved", None),
        ("renamed", "email"),
        ("left", "termination_date"),
        ("rehired", "wid"),
    ):
        order = {"event": event, "employee_id": leaf.employee_id}
        answer = (await client.post("/control/companies/acme/happen", json=order)).json()
        own = next(one for one in answer["events"] if one["employee_id"] == leaf.employee_id)
        assert own["kind"] == event
        assert changed is None or changed in {one["field"] for one in own["changes"]}
    joined = (await client.post("/control/companies/acme/happen", json={"event": "joined"})).json()["events"]
    assert [event["kind"] for event in joined] == ["joined"]
    assert company.people[joined[0]["employee_id"]].hire_date == company.today


async def test_groups_and_assignments_are_kept_until_they_are_changed(
    estate: Estate, client: httpx2.AsyncClient
) -> None:
    one, company = "/control/companies/acme", estate["acme"].company
    department = next(p.department for p in company.people.values() if p.manager_employee_id)
    sales = (await client.put(f"{one}/groups/sales", json={"name": "Sales", "department": department})).json()
    assert sales["members"] == sum(p.department == department for p in company.with_status(Status.ACTIVE))
    assert (await client.get(f"{one}/groups")).json() == {"groups": [sales]}
    cleared = (await client.put(f"{one}/groups/sales", json={"name": "Sales", "employee_ids": []})).json()
    assert cleared["members"] == 0
    assert (await client.delete(f"{one}/groups/sales")).status_code == 204
    assert (await client.delete(f"{one}/groups/sales")).status_code == 404
    gone = (await client.post(f"{one}/wrong-mapping", json={"count": 5})).json()["unassigned"]
    assert len(gone) == 5
    assert (await client.get(f"{one}/assignments")).json() == {"unassigned": sorted(gone)}
    order = {"employee_ids": gone[:1], "assigned": True}
    assert (await client.post(f"{one}/assignments", json=order)).json() == {"unassigned": sorted(gone[1:])}
    assert (await client.delete(f"{one}/wrong-mapping")).status_code == 204
    assert (await client.get(f"{one}/assignments")).json() == {"unassigned": []}


async def test_unknown_companies_and_bad_cursors(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/control/companies/nobody")).status_code == 404
    assert (await client.get("/control/companies/acme/workers?cursor=x")).status_code == 400


async def test_control_answers_loopback_only(estate: Estate) -> None:
    transport = httpx2.ASGITransport(app=create_app(estate), client=("192.0.2.7", 5000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://sim.test") as client:
        assert (await client.get("/control/companies")).status_code == 403
