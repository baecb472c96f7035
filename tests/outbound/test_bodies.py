import asyncio
import gzip
from pathlib import Path

import pytest

from stoa.outbound.http import HttpClient
from stoa.outbound.model import RemoteDown, TooLarge
from tests.outbound.server import Seen, allowing, files_in, plain, reply, serving


async def test_a_body_goes_to_its_file_when_whole(client: HttpClient, tmp_path: Path) -> None:
    body = bytes(range(256)) * 20_000
    target = tmp_path / "report.csv"
    target.write_bytes(b"yesterday")
    async with serving(plain(reply(200, body))) as served:
        answer = await client.request("GET", served.url, allow=allowing(served), sink=target)
    assert target.read_bytes() == body
    assert (answer.body, answer.path, answer.size) == (b"", target, len(body))
    assert target.stat().st_mode & 0o777 == 0o600
    assert files_in(tmp_path) == ["report.csv"]


@pytest.mark.parametrize("to_file", [False, True])
async def test_an_answer_that_says_it_is_too_large_is_not_read(
    client: HttpClient, tmp_path: Path, *, to_file: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"
    async with serving(plain(head)) as served:
        sink = tmp_path / "f" if to_file else None
        with pytest.raises(TooLarge):
            await client.request("GET", served.url, allow=allowing(served), max_bytes=1000, sink=sink)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("to_file", [False, True])
async def test_an_answer_without_a_length_is_cut_at_the_limit(
    client: HttpClient, tmp_path: Path, *, to_file: bool
) -> None:
    async def endless(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with serving(endless) as served:
        sink = tmp_path / "f" if to_file else None
        with pytest.raises(TooLarge):
            await client.request("GET", served.url, allow=allowing(served), max_bytes=3_000_000, sink=sink)
    assert len(served.seen) == 1
    assert files_in(tmp_path) == []


async def test_a_body_of_exactly_the_limit_is_taken(client: HttpClient) -> None:
    async with serving(plain(reply(200, b"x" * 1000))) as served:
        answer = await client.request("GET", served.url, allow=allowing(served), max_bytes=1000)
    assert answer.size == 1000


async def test_a_compressed_answer_is_read(client: HttpClient) -> None:
    body = b"employee_id,name\n" * 100_000
    # Two members, as some servers write them.
    packed = gzip.compress(body[:1000]) + gzip.compress(body[1000:])
    async with serving(plain(reply(200, packed, content_encoding="gzip"))) as served:
        answer = await client.request("GET", served.url, allow=allowing(served))
    assert answer.body == body
    assert served.seen[0].headers["accept-encoding"] == "gzip"


async def test_a_compression_bomb_is_stopped_at_the_limit(client: HttpClient, tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * 300_000_000, compresslevel=1)
    assert len(bomb) < 2_000_000
    async with serving(plain(reply(200, bomb, content_encoding="gzip"))) as served:
        with pytest.raises(TooLarge):
            await client.request("GET", served.url, allow=allowing(served), max_bytes=5_000_000, sink=tmp_path / "f")
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"x" * 10_000)[:-9]),
        ("gzip", b"not gzip at all"),
        ("gzip", gzip.compress(b"x") + b"trailing"),
        ("br", b"x"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"x"))),
    ],
    ids=["cut", "not gzip", "trailing", "brotli", "twice"],
)
async def test_a_damaged_or_unknown_encoding_is_down(client: HttpClient, encoding: str, body: bytes) -> None:
    async with serving(plain(reply(200, body, content_encoding=encoding))) as served:
        with pytest.raises(RemoteDown, match="damaged"):
            await client.request("GET", served.url, allow=allowing(served))


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\ncontent-encoding: gzip\r\n\r\n"),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
async def test_an_answer_without_a_body_is_empty(client: HttpClient, method: str, answer: bytes) -> None:
    async with serving(plain(answer)) as served:
        assert (await client.request(method, served.url, allow=allowing(served), max_bytes=10)).size == 0
