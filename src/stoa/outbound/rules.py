"""Where a request may go, and when a failed one is sent again. Pure."""

import math
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal, assert_never

import httpx2

from stoa.outbound.addresses import is_public
from stoa.outbound.model import OutboundRefused, RemoteDown, Repeat, Retry

Scheme = Literal["http", "https"]

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# WHATWG URL, "ends in a number": 127.1, 2130706433, 0x7f.1 and 0177.0.0.1 are addresses to the C library.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_NAMES: Final = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa", "localdomain")
# Below 1024 only the web's own; above, what speaks another protocol: the Fetch standard's bad ports, and data stores.
_WEB_PORTS: Final = frozenset({80, 443})
_CLOSED_PORTS: Final = frozenset(
    {
        1433,
        1521,
        1719,
        1720,
        1723,
        2049,
        2375,
        2376,
        2379,
        2380,
        3306,
        3389,
        3659,
        4045,
        4190,
        5060,
        5061,
        5432,
        5672,
        5900,
    }
    | {6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9200, 9300, 10080, 10250, 11211, 27017}
)
# The client answers for these itself; a caller's own would let one request be read as two, or reach another host.
_OWN_HEADERS: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# Sent before the remote side acts; 503 says so by RFC 9110, 15.6.4.
_NOT_ACTED_ON: Final = frozenset({425, 429, 503})
_TEMPORARY: Final = frozenset({408, 425, 429})
_PERMANENT_5XX: Final = frozenset({501, 505})


@dataclass(frozen=True, slots=True)
class Destination:
    """A checked address to send to.

    Attributes:
        host: the ASCII host name without a final dot, or the address without brackets.
        literal: whether the host is an address itself.
        exempt: whether it is one of the development exceptions, whose addresses are not checked.
        url: the address as parsed. It may hold secrets in path and query: not for logs.
    """

    scheme: Scheme
    host: str
    port: int
    literal: bool
    exempt: bool
    url: httpx2.URL

    @property
    def authority(self) -> str:
        """The Host header: the host, and the port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port: all that may be told of it."""
        return f"{self.scheme}://{self.authority}"


def destination(url: str, allow: AbstractSet[str]) -> Destination:
    """Reads and checks a URL. The addresses that a host name leads to are checked after it was resolved, by
    `refused_address`.

    allow: exact `host:port` pairs, as in `127.0.0.1:8081` or `[::1]:8081`, that development exempts.

    Raises:
        OutboundRefused: saying what is wrong. The message names no more than the host.
    """
    parsed = _parsed(url)
    scheme = _scheme(parsed)
    if parsed.userinfo:
        raise OutboundRefused(
            "The URL carries a user name or password.", hint="Put them into the connection's own fields."
        )
    host = parsed.raw_host.decode("ascii").lower().rstrip(".")
    port = _default_port(scheme) if parsed.port is None else parsed.port
    literal = _address(host)
    exempt = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}") in allow
    if literal is None:
        _check_host_name(host, exempt=exempt)
    if not exempt:
        _check_for_public(scheme, host, port, literal)
    return Destination(scheme, host, port, literal is not None, exempt, parsed)


def refused_address(to: Destination, addresses: list[str]) -> str | None:
    """The first address of `addresses` that `to` must not lead to, or None. One bad address spoils the name: which one
    is used is chance."""
    if to.exempt:
        return None
    return next((address for address in addresses if not is_public(address)), None)


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers`, names in lower case.

    Raises:
        OutboundRefused: a name or value cannot stand in a header, or the client sets that header itself.
    """
    checked: dict[str, str] = {}
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise OutboundRefused(f"The header {name[:40]!r} cannot be set.", hint="Leave it out.")
        if not value.isascii() or not value.replace("\t", "").isprintable():
            raise OutboundRefused(f"The value of the header {name!r} has characters that cannot stand in one.")
        checked[name.lower()] = value
    return checked


def is_success(status: int) -> bool:
    """Whether the status says that the request was fulfilled."""
    return 200 <= status < 300


def is_temporary(status: int) -> bool:
    """Whether the status says that the same request may succeed later."""
    return status in _TEMPORARY or (status >= 500 and status not in _PERMANENT_5XX)


def repeat_after_status(status: int) -> Repeat:
    """Whether a request that was answered with this temporary status may be sent again."""
    return Repeat.ALWAYS if status in _NOT_ACTED_ON else Repeat.IF_REPEATABLE


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """What a Retry-After header asks for (RFC 9110, 10.2.3): seconds or an HTTP date. None if it is absent or
    unreadable; never negative."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 10**8))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(moment - now, timedelta(0))


def wait_before_next(
    failure: RemoteDown, attempt: int, retry: Retry, *, repeatable: bool, chance: float
) -> float | None:
    """How many seconds to wait before the request is sent again, or None if it is not.

    attempt: how often it was sent so far, from 1.
    chance: a random number from 0 to 1, which spreads the clients of a service that comes back.
    """
    if attempt >= retry.attempts:
        return None
    match failure.repeat:
        case Repeat.NEVER:
            return None
        case Repeat.IF_REPEATABLE:
            if not repeatable:
                return None
        case Repeat.ALWAYS:
            pass
        case _:
            assert_never(failure.repeat)
    backoff = min(retry.first_wait * math.ldexp(1.0, min(attempt - 1, 30)), retry.longest_wait) * (1 - chance / 2)
    if failure.retry_after is None:
        return backoff
    wished = failure.retry_after.total_seconds()
    # The remote side's wish is a least; a little is added so that not all come back in the same moment.
    return None if wished > retry.longest_wait else wished + min(backoff, 1.0) * chance


def _parsed(url: str) -> httpx2.URL:
    if not url.isprintable() or " " in url or "\\" in url:
        raise OutboundRefused("The URL has white space, a backslash or control characters.")
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        # The parser's own message quotes parts of the URL.
        raise OutboundRefused("The URL cannot be read.", hint="Write it as https://host/path.") from None
    if not parsed.raw_host:
        raise OutboundRefused("The URL names no host.", hint="Write it as https://host/path.")
    return parsed


def _scheme(url: httpx2.URL) -> Scheme:
    match url.scheme:
        case "http":
            return "http"
        case "https":
            return "https"
        case _:
            raise OutboundRefused("Only https:// addresses can be used.", hint="Write the URL as https://host/path.")


def _default_port(scheme: Scheme) -> int:
    return 443 if scheme == "https" else 80


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _check_host_name(host: str, *, exempt: bool) -> None:
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or _NUMERIC_LABEL.fullmatch(labels[-1]):
        raise OutboundRefused(
            f"{host[:80]!r} is neither a host name nor an address in its usual form.",
            hint="Write the host's name, or an address as in 198.51.100.7 or [2001:db8::7].",
        )
    if not exempt and (len(labels) == 1 or any(host == name or host.endswith("." + name) for name in _LOCAL_NAMES)):
        raise OutboundRefused(
            f"{host!r} names a host of a private network.", hint="Use a name from the public internet."
        )


def _check_for_public(scheme: Scheme, host: str, port: int, literal: IPv4Address | IPv6Address | None) -> None:
    if literal is not None and not is_public(host):
        raise OutboundRefused(
            f"{host} is not an address of the public internet.", hint="Use a name from the public internet."
        )
    if scheme != "https":
        raise OutboundRefused(f"{host} would be called without encryption.", hint="Use https://.")
    if not (port in _WEB_PORTS or 1024 <= port <= 65535) or port in _CLOSED_PORTS:
        raise OutboundRefused(
            f"Port {port} is not open for calls.", hint="Use 443, or a port from 1024 that serves HTTPS."
        )
