"""Behind a proxy: whose address a request comes from, over what, and that nobody can make either up."""

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stoa.access.operators import NewOperator, create_operator
from stoa.access.permissions import Role
from stoa.api.clients_address import as_sent, client_address
from stoa.composition import Store, platform
from stoa.db.embedded import Server
from stoa.kernel.problems import Misconfigured
from stoa.main import serve
from stoa.settings import Settings, read_settings

PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"), ip_network("127.0.0.1"))
STRANGER = "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # Whoever is no proxy is believed nothing.
        (STRANGER, "198.51.100.7", STRANGER),
        (STRANGER, "", STRANGER),
        ("unknown", "198.51.100.7", "unknown"),
        # A proxy says from whom it has it.
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        # What stands left of the first stranger is the stranger's own word.
        ("10.0.0.1", "10.9.9.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 127.0.0.1, 198.51.100.7", "198.51.100.7"),
        # Through several proxies.
        ("10.0.0.1", "198.51.100.7, 10.0.0.3,10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7 ,2001:db8::5", "198.51.100.7"),
        # All within: the farthest is the client.
        ("10.0.0.1", "10.0.0.7, 10.0.0.2", "10.0.0.7"),
        # With ports, and in another spelling.
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.1", "[2001:DB9:0::1]:4711", "2001:db9::1"),
        ("10.0.0.1", "2001:db9::1", "2001:db9::1"),
        # What is no address ends the walk where it is.
        ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "198.51.100.7,", "10.0.0.1"),
        ("10.0.0.1", "<script>", "10.0.0.1"),
    ],
)
def test_the_client_is_the_nearest_who_is_no_trusted_proxy(peer: str, forwarded: str, client: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


def test_a_header_that_never_ends_is_not_followed_to_its_end() -> None:
    assert client_address("10.0.0.1", "198.51.100.7," + "10.0.0.2," * 5_000 + "10.0.0.3", PROXIES).startswith("10.0.")


@given(st.text(max_size=300), st.ip_addresses().map(str), st.ip_addresses().map(str))
def test_what_a_client_writes_itself_changes_nothing(invented: str, client: str, peer: str) -> None:
    appended = f"{invented}, {client}"
    if any(ip_address(client) in network for network in PROXIES) or getattr(ip_address(client), "ipv4_mapped", None):
        return
    assert client_address("10.0.0.1", appended, PROXIES) == client
    if not any(ip_address(peer) in network for network in PROXIES) and not getattr(
        ip_address(peer), "ipv4_mapped", None
    ):
        assert client_address(peer, appended, PROXIES) == peer


async def _seen(request: Request) -> PlainTextResponse:
    assert request.client is not None
    return PlainTextResponse(f"{request.url.scheme} {request.client.host}")


async def seen(peer: str, headers: dict[str, str] | list[tuple[str, str]], **how: Any) -> str:
    """What an application sees of a request."""
    app = as_sent(Starlette(routes=[Route("/", _seen)]), **how)
    transport = httpx2.ASGITransport(app, client=(peer, 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://stoa.example") as client:
        return (await client.get("/", headers=headers)).text


async def test_the_scheme_is_the_operators_word_alone() -> None:
    lies = {"X-Forwarded-Proto": "https", "Forwarded": "for=1.1.1.1;proto=https"}
    assert await seen(STRANGER, lies) == f"http {STRANGER}"
    assert await seen(STRANGER, lies, base_url="http://stoa.example") == f"http {STRANGER}"
    assert await seen(STRANGER, {}, base_url="HTTPS://stoa.example") == f"https {STRANGER}"


async def test_several_headers_are_one_list() -> None:
    headers = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-For", "10.0.0.2")]
    assert await seen("10.0.0.1", headers, trusted=PROXIES) == "http 198.51.100.7"
    assert await seen("10.0.0.1", headers) == "http 10.0.0.1"


async def test_behind_a_proxy_the_cookie_is_secure_and_the_sender_is_the_client(server: Server) -> None:
    settings = Settings.model_validate(
        {"state_dir": Path("/nonexistent"), "base_url": "https://stoa.example", "trusted_proxies": "127.0.0.1"}
    )
    async with platform(settings, Store(server.url, server.keyring_path)) as parts:
        async with parts.database.platform() as tx:
            new = NewOperator("proxied@example.com", "Ada", Role.PLATFORM_VIEWER, {})
            operator, password = await create_operator(tx, new)
        transport = httpx2.ASGITransport(serve(parts), client=("127.0.0.1", 50_000))
        # As a proxy hands it on: over http, with the Host that the browser sent.
        forwarded = {"Host": "stoa.example", "X-Forwarded-For": "10.1.1.1, 198.51.100.7"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as proxy:

            async def post(origin: str) -> httpx2.Response:
                form = {"email": operator.email, "password": password}
                return await proxy.post("/console/sign-in", data=form, headers={**forwarded, "Origin": origin})

            for other in ("https://evil.example", "http://stoa.example", "http://127.0.0.1:8000"):
                assert (await post(other)).status_code == 403, other
            answer = await post("https://stoa.example")
        assert answer.status_code == 303
        assert answer.headers["set-cookie"].startswith("__Host-stoa_session=")
        assert "secure" in answer.headers["set-cookie"].lower()
        assert "max-age" in answer.headers["strict-transport-security"]
        async with parts.database.platform() as tx:
            address = await tx.fetchval(
                "SELECT address FROM operator_session WHERE operator_id = $1", operator.operator_id
            )
        assert str(address) == "198.51.100.7"


@pytest.mark.parametrize("given", ["10.0.0.1/8", "proxy.example", "10.0.0.0/8 10.1.0.0/16"])
def test_a_network_that_is_none_is_told_at_the_start(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOA_TRUSTED_PROXIES", given)
    with pytest.raises(Misconfigured, match="STOA_TRUSTED_PROXIES: ") as told:
        read_settings()
    assert "pydantic" not in str(told.value).lower()


def test_networks_and_addresses_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOA_TRUSTED_PROXIES", " 10.0.0.0/8,::1 ,")
    assert read_settings().trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))
    monkeypatch.delenv("STOA_TRUSTED_PROXIES")
    assert read_settings().trusted_proxies == ()
