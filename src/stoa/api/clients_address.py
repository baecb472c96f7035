"""Requests as their senders made them, where a proxy stands between: over https if the server's address says so, and
from the client's address instead of the proxy's.

Nothing that a client says is believed: the scheme is the operator's (STOA_BASE_URL), and what X-Forwarded-For holds is
read from its right end, where the proxies that are trusted (STOA_TRUSTED_PROXIES) have written.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

_FORWARDED: Final = b"x-forwarded-for"
# More proxies than any request passes; the rest of a long header is the client's own work.
_MOST_HOPS: Final = 20
_LONGEST: Final = 4_000


def as_sent(app: ASGIApp, *, base_url: str | None = None, trusted: Sequence[IPv4Network | IPv6Network] = ()) -> ASGIApp:
    """Wraps an application so that it finds in its scope how the client sent the request.

    base_url: the address by which clients reach the server. One that begins with https means that every request was
        sent over https, whatever the proxy speaks to the server. None: the request's own scheme stays.
    trusted: networks of the proxies whose word about the client's address is taken.
    """
    is_secure = base_url is not None and urlsplit(base_url).scheme.lower() == "https"
    if not is_secure and not trusted:
        return app

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, **({"scheme": "https"} if is_secure else {}), **_from_client(scope, trusted)}
        await app(scope, receive, send)

    return wrapped


def _from_client(scope: Scope, trusted: Sequence[IPv4Network | IPv6Network]) -> Scope:
    """The client for the scope, or nothing where it is the sender of the connection."""
    peer = scope.get("client")
    if peer is None or not trusted:
        return {}
    sent_by = client_address(peer[0], _forwarded(scope), trusted)
    # The port that a client has at a proxy says nothing here.
    return {} if sent_by == peer[0] else {"client": (sent_by, 0)}


def client_address(peer: str, forwarded: str, trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """From which address a request comes: the nearest one that is no trusted proxy.

    Each proxy appends the address that it was asked from. So the walk begins at the connection's own end and goes on
    from right to left as long as the hop is trusted; what stands farther to the left may be anybody's invention. A word
    that is no address ends it.

    Args:
        peer: who opened the connection.
        forwarded: the value of X-Forwarded-For, several headers joined by commas.
        trusted: the proxies' networks.
    """
    nearest = _address(peer)
    if nearest is None or not _is_among(nearest, trusted):
        return peer
    for hop in _hops(forwarded):
        nearest = hop
        if not _is_among(hop, trusted):
            break
    return str(nearest)


def _hops(forwarded: str) -> Iterator[IPv4Address | IPv6Address]:
    """The addresses of the header from its right end, as far as they are some."""
    for word in reversed(forwarded[-_LONGEST:].rsplit(",", _MOST_HOPS)[-_MOST_HOPS:]):
        found = _address(word)
        if found is None:
            return
        yield found


def _address(word: str) -> IPv4Address | IPv6Address | None:
    """The address of one hop, which some proxies write with a port: 192.0.2.1:4711, [2001:db8::1]:4711."""
    text = word.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _is_among(address: IPv4Address | IPv6Address, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)


def _forwarded(scope: Scope) -> str:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == _FORWARDED]
    return ",".join(values)
