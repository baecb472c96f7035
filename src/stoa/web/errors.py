"""Errors as pages for people in a browser; programs get the form of their own protocol."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stoa.kernel.problems import Problem
from stoa.web.templates import Pages
from stoa.web.words import N_, chosen_language

Handler = Callable[[Request, Exception], Awaitable[Response]]
TraceOf = Callable[[Request], str | None]

_ADVICE: Final[Mapping[int, str]] = {
    401: N_("Sign in, then open the address again."),
    403: N_("An administrator of your company can give you access."),
    404: N_("Look for a slip in the address, or begin at the start page."),
    405: N_("Open the page from a link or a button, not from a saved address."),
    429: N_("Wait a minute, then try again."),
    500: N_("The fault is ours, and it has been logged."),
    503: N_("The server is starting or stopping. Try again in a minute."),
}
_TITLES: Final[Mapping[int, str]] = {
    400: N_("Not understood"),
    401: N_("Not signed in"),
    403: N_("Not allowed"),
    404: N_("Not found"),
    405: N_("Not done this way"),
    409: N_("Not possible now"),
    413: N_("Too large"),
    422: N_("Not accepted"),
    429: N_("Too many requests"),
    500: N_("An error of the server"),
    503: N_("Not available now"),
}
_ANY_TITLE: Final = N_("Error")


def wants_html(request: Request) -> bool:
    """Whether the sender named HTML among what it accepts (RFC 9110, 12.5.1), which browsers do and programs do not."""
    ranges = request.headers.get("accept", "").lower().split(",")
    return any(_accepts_html(media_range) for media_range in ranges)


def language_of(request: Request, pages: Pages) -> str:
    """The visitor's language, of those there are words for."""
    return chosen_language(request.headers.get("accept-language", ""), pages.environments)


def _accepts_html(media_range: str) -> bool:
    media_type, *parameters = (part.strip() for part in media_range.split(";"))
    if media_type != "text/html":
        return False
    quality = next((text.removeprefix("q=") for text in parameters if text.startswith("q=")), "1")
    return quality.strip("0.") != ""


def error_page(pages: Pages, request: Request, status: int, *, reference: str | None = None) -> Response:
    """The page for an HTTP status, in the visitor's language.

    reference: the trace id under which the log tells more, or None.
    """
    known = status if status in _ADVICE else (500 if status >= HTTPStatus.INTERNAL_SERVER_ERROR else 404)
    return pages.render(
        "web/error.html",
        status=status,
        language=language_of(request, pages),
        code=status,
        title=_TITLES.get(status, _ANY_TITLE),
        advice=_ADVICE[known],
        reference=reference,
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
        page = error_page(pages, request, error.status_code)
        page.headers.update(error.headers or {})
        return page

    async def failed(request: Request, error: Exception) -> Response:
        if not wants_html(request):
            return await otherwise(request, error)
        return error_page(pages, request, HTTPStatus.INTERNAL_SERVER_ERROR, reference=trace_of(request))

    return {HTTPException: refused, HTTPStatus.INTERNAL_SERVER_ERROR: failed}


def problem_page(pages: Pages, request: Request, problem: Problem, *, reference: str | None) -> Response:
    """What could not be done, as a page in the visitor's language: its detail, and its hint as the advice."""
    status = problem.status
    return pages.render(
        "web/error.html",
        status=status,
        language=language_of(request, pages),
        code=status,
        title=_TITLES.get(status, _ANY_TITLE),
        detail=problem.detail,
        advice=problem.hint or _ADVICE.get(status, _ADVICE[500]),
        reference=reference if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None,
    )
