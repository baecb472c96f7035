"""What is compressed on its way, and what is not."""

from collections.abc import AsyncGenerator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from stoa.web.compression import compressed

TEXT = "Held by a guard. " * 200


async def _page(_: Request) -> Response:
    return PlainTextResponse(TEXT)


async def _short(_: Request) -> Response:
    return PlainTextResponse("Held.")


async def _events(_: Request) -> Response:
    async def frames() -> AsyncGenerator[str]:
        yield f"data: {TEXT}\n\n"

    return StreamingResponse(frames(), media_type="text/event-stream")


APPLICATION = compressed(
    Starlette(
        routes=[
            Route("/console/page", _page),
            Route("/console/short", _short),
            Route("/console/events", _events),
            Route("/scim/v2/Users", _page),
            Route("/healthz", _page),
        ]
    )
)


async def get(path: str, accept: str = "gzip") -> httpx2.Response:
    transport = httpx2.ASGITransport(APPLICATION)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get(path, headers={"Accept-Encoding": accept})


async def test_a_page_of_the_console_is_compressed() -> None:
    answer = await get("/console/page")
    assert answer.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert int(answer.headers["content-length"]) < len(TEXT) / 10
    assert answer.text == TEXT


@pytest.mark.parametrize("path", ["/scim/v2/Users", "/healthz", "/console/short", "/console/events"])
async def test_what_programs_read_what_is_short_and_streams_are_not(path: str) -> None:
    answer = await get(path)
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


async def test_who_does_not_take_it_gets_it_plain() -> None:
    answer = await get("/console/page", accept="identity")
    assert "content-encoding" not in answer.headers
    assert answer.text == TEXT
