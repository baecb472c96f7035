"""What the parts of the control interface share: who may ask, how orders are read, how answers are written."""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stoa_simulators.estate import Estate, Tenancy

Handler = Callable[[Estate, Request], Awaitable[Response]]
T = TypeVar("T")


class BadRequest(Exception):
    """What the caller sent cannot be done; `status` is 400, 404 or 409."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def guarded(estate: Estate, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Loopback only; errors as JSON."""

    async def guarded(request: Request) -> Response:
        if request.client is None or not _is_loopback(request.client.host):
            return json_answer({"detail": "the control interface answers loopback only"}, 403)
        try:
            return await handler(estate, request)
        except BadRequest as error:
            return json_answer({"detail": str(error)}, error.status)

    return guarded


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def json_answer(value: object, status: int = 200) -> Response:
    """An answer with the value as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def tenancy_of(estate: Estate, request: Request) -> Tenancy:
    """The company that the path names. Raises BadRequest."""
    slug: str = request.path_params["slug"]
    tenancy = estate.get(slug)
    if tenancy is None:
        raise BadRequest(404, f"there is no company {slug!r}")
    return tenancy


def decoded(body: bytes, kind: type[T]) -> T:
    """The order in a request's body. Raises BadRequest."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise BadRequest(400, str(error)) from error
