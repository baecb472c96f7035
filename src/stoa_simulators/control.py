"""The control interface: JSON over loopback, by which scripts read the truth, move the clock, and break things."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stoa_simulators.company import Event, Person, Status
from stoa_simulators.control_provider import provider_table
from stoa_simulators.control_shared import BadRequest, Handler, decoded, guarded, json_answer, tenancy_of
from stoa_simulators.estate import Estate, Tenancy
from stoa_simulators.provisioning import ProvisionOrder, provision_stream
from stoa_simulators.scim_client import Okta
from stoa_simulators.workday.faults import FaultKind, make_fault

PAGE: Final = 1000
LONGEST_ADVANCE: Final = 366


class AdvanceOrder(msgspec.Struct, forbid_unknown_fields=True):
    """How many whole days to live through."""

    days: int = 1


class FaultOrder(msgspec.Struct, forbid_unknown_fields=True):
    """A fault to switch on; see workday.faults for what is left open."""

    fault: FaultKind
    column: str | None = None
    requests: int | None = None
    seconds: float | None = None


def control_routes(estate: Estate) -> list[Route]:
    """Every route under /control."""
    one = "/control/companies/{slug}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/control/health", _health),
        ("GET", "/control/companies", _companies),
        ("POST", "/control/advance", _advance_all),
        ("GET", one, _company),
        ("GET", f"{one}/workers", _workers),
        ("POST", f"{one}/advance", _advance),
        ("POST", f"{one}/provision", _provision),
        ("POST", f"{one}/faults", _set_fault),
        ("DELETE", f"{one}/faults", _clear_fault),
        *provider_table(one),
    ]
    return [Route(path, guarded(estate, handler), methods=[method]) for method, path, handler in table]


async def _health(estate: Estate, _request: Request) -> Response:
    return json_answer({"status": "ok", "companies": len(estate)})


async def _companies(estate: Estate, _request: Request) -> Response:
    return json_answer({"companies": [_summary(tenancy) for tenancy in estate.values()]})


async def _company(estate: Estate, request: Request) -> Response:
    tenancy = tenancy_of(estate, request)
    events = _counts(tenancy.company.events)
    return json_answer({**_summary(tenancy), "fault": tenancy.report.fault, "events": events})


async def _workers(estate: Estate, request: Request) -> Response:
    return json_answer(_page(tenancy_of(estate, request), request.query_params.get("cursor", "0")))


async def _advance(estate: Estate, request: Request) -> Response:
    tenancy = tenancy_of(estate, request)
    happened = tenancy.company.advance(_days(await request.body()))
    return json_answer({**_lived(tenancy, happened), "events": happened})


async def _advance_all(estate: Estate, request: Request) -> Response:
    days = _days(await request.body())
    lived: list[dict[str, Any]] = []
    for tenancy in estate.values():
        lived.append(_lived(tenancy, tenancy.company.advance(days)))
        await asyncio.sleep(0)
    return json_answer({"companies": lived})


async def _provision(estate: Estate, request: Request) -> Response:
    tenancy = tenancy_of(estate, request)
    order = decoded(await request.body(), ProvisionOrder)
    if tenancy.provisioning:
        raise BadRequest(409, f"{tenancy.company.slug} is being provisioned already")
    try:
        return provision_stream(tenancy, order)
    except ValueError as error:
        raise BadRequest(400, str(error)) from error


async def _set_fault(estate: Estate, request: Request) -> Response:
    tenancy = tenancy_of(estate, request)
    order = decoded(await request.body(), FaultOrder)
    try:
        fault = make_fault(order.fault, order.column, order.requests, order.seconds)
    except ValueError as error:
        raise BadRequest(400, str(error)) from error
    tenancy.report.fault = fault
    return json_answer(fault)


async def _clear_fault(estate: Estate, request: Request) -> Response:
    tenancy_of(estate, request).report.fault = None
    return Response(status_code=204)


def _days(body: bytes) -> int:
    days = decoded(body, AdvanceOrder).days
    if not 1 <= days <= LONGEST_ADVANCE:
        raise BadRequest(400, f"days is between 1 and {LONGEST_ADVANCE}")
    return days


def _counts(events: Iterable[Event]) -> dict[str, int]:
    return dict(sorted(Counter(event.kind.value for event in events).items()))


def _lived(tenancy: Tenancy, happened: list[Event]) -> dict[str, Any]:
    company = tenancy.company
    return {"slug": company.slug, "today": company.today, "counts": _counts(happened)}


def _summary(tenancy: Tenancy) -> dict[str, Any]:
    company, report = tenancy.company, tenancy.report
    counts = company.counts()
    return {
        "slug": company.slug,
        "name": company.name,
        "domain": company.domain,
        "size": counts[Status.ACTIVE] + counts[Status.FUTURE],
        "idp": tenancy.idp,
        "okta_mode": tenancy.dialect.mode if isinstance(tenancy.dialect, Okta) else None,
        "today": company.today,
        "counts": counts,
        "workday": {
            "url_path_json": f"{report.path}?format=json",
            "url_path_csv": f"{report.path}?format=csv",
            "user": report.user,
            "password": report.password,
        },
    }


def _page(tenancy: Tenancy, cursor: str) -> dict[str, Any]:
    """A page of everybody who ever worked there; nobody is ever taken off the list, so a position is a safe cursor."""
    if not cursor.isdecimal():
        raise BadRequest(400, "cursor is the next_cursor of the page before")
    start = int(cursor)
    people = list(tenancy.company.people.values())
    after = start + PAGE
    workers = [_truth(person) for person in people[start:after]]
    return {"workers": workers, "next_cursor": str(after) if after < len(people) else None}


def _truth(person: Person) -> dict[str, Any]:
    return {
        "employee_id": person.employee_id,
        "user_name": person.email,
        "email": person.email,
        "active": person.status is Status.ACTIVE,
        "status": person.status,
        "given_name": person.given_name,
        "family_name": person.family_name,
        "department": person.department,
        "title": person.title,
        "manager_employee_id": person.manager_employee_id,
        "worker_type": person.worker_type,
        "hire_date": person.hire_date,
        "termination_date": person.termination_date,
        "on_leave": person.on_leave,
    }
