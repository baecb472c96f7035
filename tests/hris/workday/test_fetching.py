"""Fetching a report over HTTP."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import SecretStr

from stoa.hris.workday.config import WorkdayConfig
from stoa.hris.workday.connector import CONNECTOR
from stoa.outbound.http import HttpClient
from stoa.outbound.model import OutboundRefused, RemoteDown, RemoteRefused
from stoa.sync.feeds import Feed, FeedFormat
from tests.outbound.server import Seen, Served, plain, reply, serving

PAYLOADS = Path(__file__).parent / "payloads"
REPORT = (PAYLOADS / "report_text_values.json").read_bytes()


@pytest.fixture
async def waits() -> list[float]:
    return []


@pytest.fixture
async def client(waits: list[float]) -> AsyncGenerator[HttpClient]:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with HttpClient(sleep=sleep, chance=lambda: 0.0) as made:
        yield made


def config_for(served: Served) -> WorkdayConfig:
    return WorkdayConfig(
        url=f"{served.url}/ccx/service/customreport2/acme/ISU_LMS/Feed", username="ISU_LMS", password=SecretStr("pä:ss")
    )


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def read(client: HttpClient, served: Served, into: Path) -> Feed:
    return await CONNECTOR.read(config_for(served), client, into, allow=frozenset({served.pair}))


async def test_a_report_is_fetched_into_a_file(client: HttpClient, tmp_path: Path) -> None:
    async with serving(plain(reply(200, REPORT, content_type="application/json;charset=UTF-8"))) as served:
        feed = await read(client, served, tmp_path)
    assert (feed.path.parent, feed.path.read_bytes(), feed.size) == (tmp_path, REPORT, len(REPORT))
    assert (feed.format, feed.content_type) == (FeedFormat.JSON, "application/json;charset=UTF-8")
    assert feed.digest == hashlib.sha256(REPORT).digest()
    (seen,) = served.seen
    assert (seen.method, seen.target) == ("GET", "/ccx/service/customreport2/acme/ISU_LMS/Feed?format=json")
    assert seen.headers["accept"] == "application/json"
    assert base64.b64decode(seen.headers["authorization"].removeprefix("Basic ")).decode() == "ISU_LMS:pä:ss"
    assert CONNECTOR.frame(feed, config_for(served)).height == 2


@pytest.mark.parametrize(
    ("status", "words", "hint"),
    [
        (401, "did not accept the integration system user", "password of the integration system user"),
        (403, "did not accept the integration system user", "may run the report"),
        (404, "no report at this address", "another owner"),
        (302, "another address", "Copy the address again"),
        (400, "HTTP status 400", "same prompts"),
    ],
)
async def test_a_refusal_says_what_the_administrator_can_do(
    client: HttpClient, tmp_path: Path, status: int, words: str, hint: str
) -> None:
    async with serving(plain(reply(status, b'{"error":"no"}'))) as served:
        with pytest.raises(RemoteRefused, match=words) as caught:
            await read(client, served, tmp_path)
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    assert (caught.value.remote_status, caught.value.body) == (status, b'{"error":"no"}')
    assert len(served.seen) == 1


async def test_a_busy_workday_is_asked_again_when_it_says(
    client: HttpClient, tmp_path: Path, waits: list[float]
) -> None:
    busy = reply(429, retry_after="7")
    async with serving(plain(busy, reply(503), reply(200, REPORT))) as served:
        feed = await read(client, served, tmp_path)
    assert (feed.size, len(served.seen), waits[0]) == (len(REPORT), 3, 7)


async def test_a_report_cut_off_on_the_wire_is_no_feed(client: HttpClient, tmp_path: Path) -> None:
    async def cut(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(200, REPORT)[:-100])
        await writer.drain()
        writer.close()

    async with serving(cut) as served:
        with pytest.raises(RemoteDown):
            await read(client, served, tmp_path)
    assert files_in(tmp_path) == []


async def test_an_inside_address_is_not_asked(client: HttpClient, tmp_path: Path) -> None:
    async with serving(plain(reply(200, REPORT))) as served:
        with pytest.raises(OutboundRefused):
            await CONNECTOR.read(config_for(served), client, tmp_path)
    assert served.connections == 0
