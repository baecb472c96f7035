"""What is logged of a request: enough to find it again, and nothing of whom it is about."""

import json
import subprocess
import sys

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from stoa.api.answers import problem_answer
from stoa.api.trace import room_of, traced

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


async def _fail(_: Request) -> Response:
    raise RuntimeError("ann@acme.example")


async def test_a_failure_is_logged_under_the_trace_id_that_is_answered() -> None:
    app = traced(Starlette(routes=[Route("/fail", _fail)], exception_handlers={500: problem_answer}))
    # Nothing is raised beyond the wrapper: the server would log it once more, without its id.
    transport = httpx2.ASGITransport(app, raise_app_exceptions=True)
    with capture_logs() as logs:
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = await client.get("/fail?who=ann@acme.example", headers=SENT)
    assert (answer.status_code, answer.json()["trace_id"]) == (500, TRACE)
    assert "ann@" not in answer.text
    assert [(line["event"], line["trace_id"]) for line in logs] == [("request_failed", TRACE), ("request", TRACE)]
    assert logs[1]["status"] == 500
    assert "fail" not in logs[1]["room"]


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("/t/acme/scim/v2/Users", "scim"), ("/healthz", "healthz"), ("/", "web"), ("", "web"), ("/t/acme", "web"),
        ("/ann@acme.example", "web"),
    ],
)  # fmt: skip
def test_a_room_is_one_of_a_closed_set(path: str, room: str) -> None:
    assert room_of(path) == room


PROGRAM = """
import logging, structlog
from stoa.kernel.problems import BadInput
from stoa.logs import set_up_logging
from stoa.settings import Settings
set_up_logging(Settings(), "web")
try:
    try:
        raise ValueError("ann@acme.example")
    except ValueError as error:
        raise BadInput("The file is not JSON.") from error
except BadInput:
    structlog.get_logger().exception("own", trace_id="7")
    logging.getLogger("uvicorn.error").exception("foreign")
"""


def test_a_traceback_tells_where_and_not_with_which_values() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30)
    own, foreign = (json.loads(line) for line in done.stderr.splitlines())
    assert (own["event"], own["process"], own["trace_id"]) == ("own", "web", "7")
    for line in (own, foreign):
        assert "BadInput: The file is not JSON." in line["exception"]
        assert "ValueError" in line["exception"]
        assert 'File "<string>", line' in line["exception"]
    assert "ann@" not in done.stderr
