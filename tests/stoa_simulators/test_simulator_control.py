"""The control interface, and a whole cycle over it."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx2
import pytest

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
    ],
)
async def test_bad_orders_are_refused_with_a_reason(
    client: httpx2.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    response = await client.post(f"/control/companies/acme/{path}", json=body)
    assert response.status_code == 400
    assert response.json()["detail"]


async def test_unknown_companies_and_bad_cursors(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/control/companies/nobody")).status_code == 404
    assert (await client.get("/control/companies/acme/workers?cursor=x")).status_code == 400


async def test_control_answers_loopback_only(estate: Estate) -> None:
    transport = httpx2.ASGITransport(app=create_app(estate), client=("192.0.2.7", 5000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://sim.test") as client:
        assert (await client.get("/control/companies")).status_code == 403
