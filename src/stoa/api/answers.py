"""What programs are told when nobody else answered: problem documents (RFC 9457)."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stoa.kernel.problems import Problem


def trace_of(request: Request) -> str | None:
    """The request's trace id, if the tracing wrapper gave it one."""
    return getattr(request.state, "trace_id", None)


async def problem_answer(request: Request, error: Exception) -> Response:
    """A problem document. An unforeseen failure tells its trace id and nothing else."""
    headers: dict[str, str] = {}
    if isinstance(error, Problem):
        status, code, detail, hint = error.status, error.code, error.detail, error.hint
    elif isinstance(error, HTTPException):
        status, code, detail, hint = error.status_code, "http_error", error.detail, None
        headers = dict(error.headers or {})
    else:
        status, code, detail, hint = (
            500,
            "internal_error",
            "Something failed here. Its trace id is in the server's log.",
            None,
        )
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "hint": hint,
    }
    body["trace_id"] = trace_of(request)
    return JSONResponse(
        {name: value for name, value in body.items() if value is not None},
        status,
        headers,
        media_type="application/problem+json",
    )
