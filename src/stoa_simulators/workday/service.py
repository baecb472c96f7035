"""The report over HTTP: Basic authentication, formats, prompts, and the faults that are on."""

import asyncio
import base64
import binascii
import hmac
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from stoa_simulators.company import Company, Status
from stoa_simulators.workday.faults import LOGIN_PAGE, Fault, FaultKind, spoil_bytes, spoil_table
from stoa_simulators.workday.report import CONTENT_TYPES, OWNER, REPORT, Format, render, row_of

_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="Workday", charset="UTF-8"'}


@dataclass(slots=True)
class ReportService:
    """One company's report server: its integration user, and the fault that is on, if any."""

    company: Company
    user: str
    password: str
    fault: Fault | None = field(default=None)

    @property
    def path(self) -> str:
        """The report's path, without the `format` parameter."""
        return f"/ccx/service/customreport2/{self.company.slug}/{OWNER}/{REPORT}"

    def fault_of_request(self) -> Fault | None:
        """The fault that applies to this request; one that is used up is cleared."""
        fault = self.fault
        if fault is None or not fault.spend():
            self.fault = None
            return None
        if fault.remaining == 0:
            self.fault = None
        return fault


def workday_routes(services: Mapping[str, ReportService]) -> list[Route]:
    """The route of every tenant's report."""

    async def report(request: Request) -> Response:
        service = services.get(request.path_params["tenant"])
        if service is None:
            return _refusal(404, "invalid request: unknown tenant")
        if not _authenticated(request, service):
            return PlainTextResponse("Unauthorized", 401, headers=_CHALLENGE)
        if (request.path_params["owner"], request.path_params["report"]) != (OWNER, REPORT):
            return _refusal(404, "invalid request: no such report, or not shared with this user")
        try:
            form = Format(request.query_params.get("format", Format.XML))
        except ValueError:
            return _refusal(400, f"invalid request: format is one of {', '.join(Format)}")
        return _answer(service, form, request.query_params.get("Include_Terminated") == "1")

    return [Route("/ccx/service/customreport2/{tenant}/{owner}/{report}", report, methods=["GET"])]


def _authenticated(request: Request, service: ReportService) -> bool:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        sent = base64.b64decode(credentials, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(sent, f"{service.user}:{service.password}".encode())


def _refusal(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)


def _answer(service: ReportService, form: Format, include_terminated: bool) -> Response:
    fault = service.fault_of_request()
    match fault.kind if fault else None:
        case FaultKind.HTML:
            return Response(LOGIN_PAGE, 200, media_type="text/html")
        case FaultKind.STATUS_429:
            return JSONResponse({"error": "too many requests"}, 429, headers={"Retry-After": "1"})
        case FaultKind.STATUS_500:
            return _refusal(500, "internal error: the report could not be run")
        case _:
            pass
    listed = [Status.ACTIVE, Status.FUTURE, *([Status.TERMINATED] if include_terminated else [])]
    rows, columns = spoil_table(fault, [row_of(person) for person in service.company.with_status(*listed)])
    body = spoil_bytes(fault, render(rows, columns, form))
    delay = fault.seconds if fault and fault.kind is FaultKind.SLOW else 0.0
    return StreamingResponse(_paced(body, delay), headers={"Content-Type": CONTENT_TYPES[form]})


async def _paced(pieces: Iterator[bytes], delay: float) -> AsyncIterator[bytes]:
    """The pieces, other requests being served in between; half the delay comes before the first and half after it."""
    await asyncio.sleep(delay / 2)
    for number, piece in enumerate(pieces):
        yield piece
        await asyncio.sleep(0 if number else delay / 2)
