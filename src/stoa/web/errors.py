"""Errors as pages for people in a browser; programs get the form of their own protocol."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stoa.kernel.problems import Problem
from stoa.web.templates import Pages

Handler = Callable[[Request, Exception], Awaitable[Response]]
TraceOf = Callable[[Request], str | None]

_ADVICE: Final[Mapping[int, str]] = {
    401: "Sign in, then open the address again.",
    403: "An administrator of your company can give you access.",
    404: "Look for a slip in the address, or begin at the start page.",
    405: "Open the page from a link or a button, not from a saved address.",
    429: "Wait a minute, then try again.",
    500: "The fault is ours, and it has been logged.",
    503: "The server is starting or stopping. Try again in a minute.",
}
_TITLES: Final[Mapping[int, str]] = {status.value: status.phrase for status in HTTPStatus}


def wants_html(request: Request) -> bool:
    """Whether the sender named HTML among what it accepts (RFC 9110, 12.5.1), which browsers do and programs do not."""
    ranges = request.headers.get("accept", "").lower().split(",")
    return any(_accepts_html(media_range) for media_range in ranges)


def _accepts_html(media_range: str) -> bool:
    media_type, *parameters = (part.strip() for part in media_range.split(";"))
    if media_type != "text/html":
        return False
    quality = next((text.removeprefix("q=") for text in parameters if text.startswith("q=")), "1")
    return quality.strip("0.") != ""


def error_page(pages: Pages, status: int, *, reference: str | None = None) -> Response:
    """The page for an HTTP status.

    reference: the trace id under which the log tells more, or None.
    """
    known = status if status in _ADVICE else (500 if status >= HTTPStatus.INTERNAL_SERVER_ERROR else 404)
    title = _TITLES.get(status, "Error")
    return pages.render(
        "web/error.html", status=status, code=status, title=title, advice=_ADVICE[known], reference=reference
    )


def error_handlers(
    pages: Pages, otherwise: Handler, *, trace_of: TraceOf = lambda _: None
) -> dict[type[Exception] | int, Handler]:
    """Exception handlers for Starlette: HTML for browsers, and `otherwise` for everybody else.

    otherwise: answers programs, for example with a problem document (RFC 9457); gets HTTPException and what nobody
        foresaw.
    trace_of: the trace id of a request, shown as the reference.
    """

    async def refused(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException) or not wants_html(request):
            return await otherwise(request, error)
        page = error_page(pages, error.status_code)
        page.headers.update(error.headers or {})
        return page

    async def failed(request: Request, error: Exception) -> Response:
        if not wants_html(request):
            return await otherwise(request, error)
        return error_page(pages, HTTPStatus.INTERNAL_SERVER_ERROR, reference=trace_of(request))

    return {HTTPException: refused, HTTPStatus.INTERNAL_SERVER_ERROR: failed}


def problem_page(pages: Pages, problem: Problem, *, reference: str | None) -> Response:
    """What could not be done, as a page: its detail, and its hint as the advice."""
    status = problem.status
    return pages.render(
        "web/error.html",
        status=status,
        code=status,
        title=_TITLES.get(status, "Error"),
        detail=problem.detail,
        advice=problem.hint or _ADVICE.get(status, _ADVICE[500]),
        reference=reference if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None,
    )
