"""One request and the beginning of its answer, on connections that a lane keeps to itself."""

import asyncio
from pathlib import Path

import pytest

from stoa.outbound.http import HttpClient
from stoa.outbound.model import RemoteDown, Timeouts
from tests.outbound.certificates import certificate
from tests.outbound.server import Seen, Served, allowing, plain, reply, serving


async def ask(client: HttpClient, served: Served, lane: str = "a", body: bytes = b"{}") -> int:
    given = await client.answer(
        "POST", f"{served.url}/x?y=%20z", headers={"x-one": "1"}, content=body, allow=allowing(served), lane=lane
    )
    return given.status


async def test_a_request_arrives_as_it_was_meant(client: HttpClient) -> None:
    async with serving(plain(reply(204))) as served:
        assert await ask(client, served, body="é".encode()) == 204
    seen = served.seen[0]
    assert (seen.method, seen.target, seen.body) == ("POST", "/x?y=%20z", "é".encode())
    assert (seen.headers["host"], seen.headers["x-one"], seen.headers["content-length"]) == (served.pair, "1", "2")


async def test_a_lane_keeps_its_connection_and_shares_it_with_no_other(client: HttpClient) -> None:
    async with serving(plain(reply(200, b"ok"))) as served:
        for _ in range(3):
            await ask(client, served, "a")
        assert served.connections == 1
        await ask(client, served, "b")
        assert served.connections == 2


async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced(client: HttpClient) -> None:
    async def close_after(_: Seen, writer: asyncio.StreamWriter) -> None:
        # It does not say that it will.
        writer.write(reply(200))
        await writer.drain()
        writer.close()

    async with serving(close_after) as served:
        assert [await ask(client, served) for _ in range(3)] == [200, 200, 200]
        assert served.connections == 3


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n", 200, b"ok!"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.0 500 X\r\ncontent-length: 3\r\n\r\nbad", 500, b"bad"),
    ],
)
async def test_answers_are_read_in_their_every_form(
    client: HttpClient, answer: bytes, status: int, body: bytes
) -> None:
    async with serving(plain(answer)) as served:
        given = await client.answer("POST", served.url, content=b"{}", allow=allowing(served))
    assert (given.status, given.body) == (status, body)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"\x16\x03\x01\x02\x00",
    ],
)
async def test_what_is_no_answer_is_told_as_none(client: HttpClient, answer: bytes) -> None:
    async with serving(plain(answer)) as served:
        with pytest.raises(RemoteDown):
            await ask(client, served)


async def test_trailers_without_end_cost_nothing(client: HttpClient) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx: 1\r\n\r\n2\r\nok\r\n0\r\n"
    async with serving(plain(head + b"x: y\r\n" * 200_000)) as served:
        async with asyncio.timeout(5):
            given = await client.answer("POST", served.url, content=b"{}", allow=allowing(served))
    assert (given.status, given.body, given.headers["x"]) == (200, b"ok", "1")


async def test_what_comes_unasked_ends_the_connection(client: HttpClient) -> None:
    # A second answer on the heels of the first must not be taken for that of the next request.
    async with serving(plain(reply(200) + reply(500), reply(201))) as served:
        assert await ask(client, served) == 200
        assert await ask(client, served) == 201


async def test_silence_and_drips_end_in_time(client: HttpClient) -> None:
    async def drip(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await asyncio.Event().wait()

    async with serving(drip) as served:
        with pytest.raises(RemoteDown):
            await client.answer(
                "POST",
                served.url,
                content=b"{}",
                allow=allowing(served),
                timeout=Timeouts(connect=1, read=1, total=0.2),
            )


async def test_the_certificate_must_be_the_hosts(tmp_path: Path) -> None:
    server, trusting = certificate(tmp_path, "hooks.example")

    async def resolver(_: str, __: int) -> list[str]:
        return ["127.0.0.1"]

    async with serving(plain(reply(204)), tls=server) as served, HttpClient(resolver=resolver, tls=trusting) as own:
        for host, trusts in (("hooks.example", True), ("other.example", False)):
            pair = f"{host}:{served.port}"
            asked = own.answer("POST", f"https://{pair}/", content=b"{}", allow=frozenset({pair}))
            if trusts:
                assert (await asked).status == 204
            else:
                with pytest.raises(RemoteDown, match="not trusted"):
                    await asked
