import asyncio
import datetime
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from stoa.outbound.http import HttpClient, resolve
from stoa.outbound.model import (
    Basic,
    Bearer,
    OutboundRefused,
    RemoteDown,
    RemoteRefused,
    Retry,
    Timeouts,
)
from tests.outbound.certificates import certificate
from tests.outbound.conftest import Sleeps
from tests.outbound.server import Seen, allowing, files_in, plain, reply, serving

QUICK = Timeouts(connect=5, read=5, total=10)


def addresses(*found: list[str]) -> tuple[Callable[[str, int], Awaitable[list[str]]], list[str]]:
    """A resolver that gives these lists in turn, and the names that it was asked for."""
    waiting, asked = list(found), list[str]()

    async def look_up(host: str, _: int) -> list[str]:
        asked.append(host)
        return waiting.pop(0)

    return look_up, asked


async def test_a_request_arrives_as_it_was_meant(client: HttpClient) -> None:
    async with serving(plain(reply(201, b"made", x_one="1"))) as served:
        answer = await client.request(
            "POST",
            f"{served.url}/a/b%2Fc?q=1&r=%20#part",
            headers={"X-Trace": "t", "Content-Type": "text/csv"},
            content=b"a,b",
            auth=Basic("ada", "pä:ss"),
            allow=allowing(served),
        )
    assert (answer.status, answer.body, answer.size, answer.headers["x-one"]) == (201, b"made", 4, "1")
    (seen,) = served.seen
    assert (seen.method, seen.target, seen.body) == ("POST", "/a/b%2Fc?q=1&r=%20", b"a,b")
    assert seen.headers["host"] == served.pair
    assert seen.headers["authorization"] == "Basic YWRhOnDDpDpzcw=="
    assert (seen.headers["x-trace"], seen.headers["content-type"]) == ("t", "text/csv")
    assert "cookie" not in seen.headers


async def test_connections_are_kept_open_for_the_next_request(client: HttpClient) -> None:
    async with serving(plain(reply(200, b"x"))) as served:
        for _ in range(5):
            await client.request("GET", served.url, allow=allowing(served))
        await client.close()
    assert (len(served.seen), served.connections) == (5, 1)


async def test_without_an_exception_loopback_is_never_called(client: HttpClient) -> None:
    async with serving(plain(reply(200))) as served:
        for url in (served.url, f"https://127.0.0.1:{served.port}/", f"https://localhost:{served.port}/"):
            with pytest.raises(OutboundRefused):
                await client.request("GET", url, allow=frozenset({"127.0.0.1:1"}))
    assert served.connections == 0


@pytest.mark.parametrize("found", [["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["no"]])
async def test_a_public_name_that_leads_inside_is_refused(found: list[str]) -> None:
    look_up, _ = addresses(found)
    async with serving(plain(reply(200))) as served, HttpClient(resolver=look_up) as client:
        with pytest.raises(OutboundRefused) as refusal:
            await client.request("GET", f"https://rebind.example:{served.port}/")
    assert served.connections == 0
    assert "127.0.0.1" not in str(refusal.value)


async def test_the_name_is_looked_up_once_and_that_address_is_called() -> None:
    look_up, asked = addresses(["127.0.0.1"], ["127.0.0.2"])
    async with (
        serving(plain(reply(200, b"checked"))) as checked,
        # The same port at the address that the name leads to afterwards.
        serving(plain(reply(200, b"swapped")), host="127.0.0.2", port=checked.port) as swapped,
        HttpClient(resolver=look_up) as client,
    ):
        pair = f"sim.example.com:{checked.port}"
        answer = await client.request("GET", f"http://{pair}/", allow=frozenset({pair}))
    assert (answer.body, asked, swapped.connections) == (b"checked", ["sim.example.com"], 0)
    assert checked.seen[0].headers["host"] == pair


async def test_a_name_that_changes_to_a_private_address_is_refused_though_a_line_is_open() -> None:
    look_up, _ = addresses(["127.0.0.1"], ["10.0.0.1"])
    async with serving(plain(reply(200))) as served, HttpClient(resolver=look_up) as client:
        pair = f"sim.example.com:{served.port}"
        await client.request("GET", f"http://{pair}/", allow=frozenset({pair}))
        with pytest.raises(OutboundRefused):
            await client.request("GET", f"https://{pair}/")


async def test_if_one_address_does_not_answer_the_next_is_tried() -> None:
    look_up, _ = addresses(["127.0.0.3", "127.0.0.1"])
    async with serving(plain(reply(200, b"second"))) as served, HttpClient(resolver=look_up) as client:
        pair = f"sim.example.com:{served.port}"
        answer = await client.request("GET", f"http://{pair}/", allow=frozenset({pair}))
    assert answer.body == b"second"


async def test_names_are_looked_up_by_the_system() -> None:
    assert "127.0.0.1" in await resolve("127.0.0.1", 80)


async def test_a_name_without_addresses_is_down_and_tried_again(sleeps: Sleeps) -> None:
    async def unknown(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    async with HttpClient(resolver=unknown, sleep=sleeps.sleep, chance=lambda: 0.0) as client:
        with pytest.raises(RemoteDown, match=r"gone\.example"):
            await client.request("POST", "https://gone.example/secret-path")
    assert sleeps == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_told_and_never_followed(client: HttpClient, status: int) -> None:
    async with serving(plain(reply(200, b"inside"))) as inside:
        moved = reply(status, location=f"{inside.url}/metadata")
        async with serving(plain(moved)) as served:
            allow = frozenset({served.pair, inside.pair})
            with pytest.raises(RemoteRefused, match="redirect") as refusal:
                await client.request("GET", served.url, allow=allow)
    assert refusal.value.remote_status == status
    assert inside.connections == 0


async def test_a_refusal_carries_the_answer_for_the_connector_only(client: HttpClient, sleeps: Sleeps) -> None:
    async with serving(plain(reply(400, b"ada@example.com is unknown" + b"x" * 9999))) as served:
        with pytest.raises(RemoteRefused) as refusal:
            await client.request("POST", f"{served.url}/secret?token=hunter2", allow=allowing(served))
    assert refusal.value.body.startswith(b"ada@example.com")
    assert len(refusal.value.body) == 4096
    assert "ada" not in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert sleeps == []


async def test_429_with_seconds_is_waited_for_even_by_a_post(client: HttpClient, sleeps: Sleeps) -> None:
    async with serving(plain(reply(429, retry_after="3"), reply(200, b"ok"))) as served:
        answer = await client.request("POST", served.url, content=b"x", allow=allowing(served))
    assert (answer.body, sleeps) == (b"ok", [3.0])
    assert [seen.body for seen in served.seen] == [b"x", b"x"]


async def test_503_with_a_date_is_waited_for(client: HttpClient, sleeps: Sleeps) -> None:
    busy = reply(503, retry_after="Thu, 01 Jan 2026 12:00:09 GMT")
    async with serving(plain(busy, reply(200, b"ok"))) as served:
        await client.request("GET", served.url, allow=allowing(served))
    assert sleeps == [9.0]


async def test_a_wish_beyond_the_bound_is_handed_to_the_caller(client: HttpClient, sleeps: Sleeps) -> None:
    async with serving(plain(reply(429, retry_after="3600"))) as served:
        with pytest.raises(RemoteDown) as failure:
            await client.request("GET", served.url, allow=allowing(served))
    assert failure.value.retry_after == datetime.timedelta(hours=1)
    assert failure.value.remote_status == 429
    assert (len(served.seen), sleeps) == (1, [])


async def test_attempts_are_bounded(client: HttpClient, sleeps: Sleeps) -> None:
    async with serving(plain(reply(500))) as served:
        with pytest.raises(RemoteDown) as failure:
            await client.request("GET", served.url, allow=allowing(served), retry=Retry(attempts=3))
    assert (len(served.seen), failure.value.remote_status, sleeps) == (3, 500, [0.5, 1.0])


async def test_a_post_that_may_have_been_done_is_not_repeated_unless_it_may_be(client: HttpClient) -> None:
    async with serving(plain(reply(500), reply(200, b"ok"))) as served:
        with pytest.raises(RemoteDown):
            await client.request("POST", served.url, allow=allowing(served))
        assert len(served.seen) == 1
    async with serving(plain(reply(500), reply(200, b"ok"))) as served:
        assert (await client.request("POST", served.url, allow=allowing(served), repeatable=True)).body == b"ok"


async def test_a_closed_port_is_down(client: HttpClient, sleeps: Sleeps) -> None:
    async with serving(plain(reply(200))) as served:
        pass
    with pytest.raises(RemoteDown):
        await client.request("POST", served.url, allow=allowing(served))
    assert len(sleeps) == 3


async def test_an_answer_that_drips_ends_at_the_total_time(client: HttpClient) -> None:
    async def drip(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(drip) as served:
        limits = Timeouts(connect=5, read=5, total=0.2)
        with pytest.raises(RemoteDown, match=r"longer than 0\.2 seconds"):
            await client.request("GET", served.url, allow=allowing(served), timeout=limits, retry=Retry(attempts=1))


async def test_silence_ends_at_the_read_time(client: HttpClient) -> None:
    async def hang(_: Seen, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with serving(hang) as served:
        limits = Timeouts(connect=5, read=0.05, total=10)
        with pytest.raises(RemoteDown, match="silent"):
            await client.request("GET", served.url, allow=allowing(served), timeout=limits, retry=Retry(attempts=1))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 300_000 + b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
async def test_a_broken_answer_is_down_and_leaves_no_file(client: HttpClient, answer: bytes, tmp_path: Path) -> None:
    async def cut(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with serving(cut) as served:
        with pytest.raises(RemoteDown):
            await client.request("GET", served.url, allow=allowing(served), sink=tmp_path / "f", timeout=QUICK)
    assert len(served.seen) == 4
    assert files_in(tmp_path) == []


async def test_nothing_secret_is_logged(
    client: HttpClient, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {"X-Key": "hunter2"}
    async with serving(plain(reply(503), reply(200, b"hunter2"))) as served:
        url = f"{served.url}/hunter2?token=hunter2"
        await client.request("GET", url, headers=secrets, auth=Bearer("hunter2"), allow=allowing(served))
    told = capsys.readouterr()
    assert "outbound_again" in told.out + told.err
    assert "hunter2" not in caplog.text + told.out + told.err
    assert "hunter2" not in repr(Bearer("hunter2")) + repr(Basic("ada", "hunter2"))


async def test_two_hosts_at_one_address_never_share_a_connection() -> None:
    look_up, _ = addresses(*[["127.0.0.1"]] * 4)
    async with serving(plain(reply(200))) as served, HttpClient(resolver=look_up) as client:
        pairs = [f"{name}.example.com:{served.port}" for name in ("one", "two", "one", "two")]
        for pair in pairs:
            await client.request("GET", f"http://{pair}/", allow=frozenset(pairs))
    assert [seen.headers["host"] for seen in served.seen] == pairs
    assert served.connections == 2


async def test_the_certificate_is_checked_for_the_name_though_the_address_is_called(tmp_path: Path) -> None:
    server, trusting = certificate(tmp_path, "workday.example.com")
    asked: list[str | None] = []
    server.sni_callback = lambda _connection, name, _context: asked.append(name)
    look_up, _ = addresses(["127.0.0.1"], ["127.0.0.1"])
    async with serving(plain(reply(200, b"private")), tls=server) as served:
        pairs = frozenset({f"workday.example.com:{served.port}", f"other.example.com:{served.port}"})
        async with HttpClient(resolver=look_up, tls=trusting) as client:
            answer = await client.request("GET", f"https://workday.example.com:{served.port}/", allow=pairs)
            assert answer.body == b"private"
            with pytest.raises(RemoteDown, match="certificate"):
                await client.request("GET", f"https://other.example.com:{served.port}/", allow=pairs)
    assert asked == ["workday.example.com", "other.example.com"]


async def test_an_unknown_certificate_is_refused_at_once(client: HttpClient, sleeps: Sleeps, tmp_path: Path) -> None:
    server, _ = certificate(tmp_path, "localhost")
    async with serving(plain(reply(200)), tls=server) as served:
        with pytest.raises(RemoteDown, match="not trusted"):
            await client.request("GET", f"https://127.0.0.1:{served.port}/", allow=allowing(served))
    assert (served.seen, sleeps) == ([], [])


# ------------------------------------------------------------------ answers of any status


async def test_an_answer_of_any_status_is_given_with_its_beginning_alone(client: HttpClient) -> None:
    async with serving(plain(reply(302, b"x" * 5000, location="http://127.0.0.1/"))) as served:
        given = await client.answer("POST", served.url, content=b"{}", allow=allowing(served))
    assert (given.status, given.body, given.headers["location"]) == (302, b"x" * 1024, "http://127.0.0.1/")
    assert [one.method for one in served.seen] == ["POST"]


async def test_an_answer_that_breaks_off_after_its_status_has_answered(client: HttpClient) -> None:
    async def break_off(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")
        await writer.drain()
        writer.close()

    async with serving(break_off) as served:
        given = await client.answer("POST", served.url, content=b"{}", allow=allowing(served))
    assert given.status == 200


async def test_a_damaged_or_foreign_answer_is_none(client: HttpClient) -> None:
    async with serving(plain(b"SSH-2.0-OpenSSH_9.6\r\n")) as served:
        limits = Timeouts(connect=5, read=0.5, total=10)
        with pytest.raises(RemoteDown):
            await client.answer("POST", served.url, content=b"{}", timeout=limits, allow=allowing(served))
    assert len(served.seen) == 1
