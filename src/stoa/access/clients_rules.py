"""What API clients may be: their names, scopes and the addresses that they call from. Pure."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeVar

from stoa.access.scopes import SCOPES, granted
from stoa.kernel.problems import BadInput
from stoa.tenants.rules import BadFields, checked_name

MOST_ADDRESSES: Final = 50
MOST_PER_MINUTE: Final = 1_000_000
LONGEST_DAYS: Final = 3_650
WRITES_PEOPLE: Final = "people:write"

_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_Network = IPv4Network | IPv6Network
_Checked = TypeVar("_Checked")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a client is let do, as somebody sets it.

    Attributes:
        scopes: of `scopes.SCOPES`.
        allowed_addresses: addresses and CIDR networks that it may call from; empty for anywhere.
        version: the version of the API that it is written for, as a date; None for that of the day.
        per_minute: requests a minute that it may make; None for what every client may.
    """

    name: str
    scopes: Sequence[str]
    allowed_addresses: Sequence[str] = ()
    version: str | None = None
    per_minute: int | None = None

    @property
    def writes_people(self) -> bool:
        """Whether it may assert facts about people, and so needs a source."""
        return granted(frozenset(self.scopes), WRITES_PEOPLE)


def checked_terms(terms: Terms) -> Terms:
    """`terms` in their stored form: each scope and network once, in order.

    Raises:
        BadFields: naming every field that cannot be accepted.
    """
    wrong: dict[str, BadInput] = {}

    def checked(name: str, check: Callable[[], _Checked], otherwise: _Checked) -> _Checked:
        try:
            return check()
        except BadInput as problem:
            wrong[name] = problem
            return otherwise

    fresh = Terms(
        name=checked("name", lambda: checked_name(terms.name, "client's name"), ""),
        scopes=checked("scopes", lambda: checked_scopes(terms.scopes), []),
        allowed_addresses=checked("allowed_addresses", lambda: checked_addresses(terms.allowed_addresses), []),
        version=checked("version", lambda: _checked_version(terms.version), None),
        per_minute=checked("per_minute", lambda: _checked_per_minute(terms.per_minute), None),
    )
    if wrong:
        raise BadFields(wrong)
    return fresh


def checked_scopes(scopes: Iterable[str]) -> list[str]:
    """The scopes in order, each once.

    Raises:
        BadInput: there is none, or one is not a scope of the API.
    """
    wanted = sorted(set(scopes))
    if not wanted:
        raise BadInput("A client has at least one scope.", hint="Choose what it may read or change.")
    unknown = [one for one in wanted if one not in SCOPES]
    if unknown:
        raise BadInput(f"{unknown[0][:80]!r} is not a scope of the API.", hint=f"Scopes: {', '.join(SCOPES)}.")
    return wanted


def checked_addresses(given: Iterable[str]) -> list[str]:
    """The addresses and networks as CIDR, in the order given, each once.

    Raises:
        BadInput: there are too many, or one is not an address or network.
    """
    networks = list(dict.fromkeys(str(_network(text.strip())) for text in given if text.strip()))
    if len(networks) > MOST_ADDRESSES:
        raise BadInput(f"{len(networks)} networks are too many.", hint=f"At most {MOST_ADDRESSES} are possible.")
    return networks


def _network(text: str) -> _Network:
    try:
        return ip_network(text)
    except ValueError:
        raise BadInput(
            f"{text[:60]!r} is not an address or a network.",
            hint="Write it as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32, with no bits set behind the prefix.",
        ) from None


def may_call_from(allowed: tuple[str, ...], address: str | None) -> bool:
    """Whether a request from `address` is from one of the networks; from anywhere when there is none.

    allowed: CIDR networks as `checked_addresses` gives them. address: as the server saw it; None if it saw none.
    """
    if not allowed:
        return True
    try:
        found = ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in _networks(allowed))


@lru_cache(maxsize=1_000)
def _networks(allowed: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ip_network(one) for one in allowed)


def _checked_version(text: str | None) -> str | None:
    if text is not None and not _VERSION.fullmatch(text):
        raise BadInput(f"{text[:40]!r} is not a version.", hint="Versions are dates, such as 2026-11-23.")
    return text


def _checked_per_minute(number: int | None) -> int | None:
    if number is not None and not 1 <= number <= MOST_PER_MINUTE:
        raise BadInput(f"A client may make 1 to {MOST_PER_MINUTE:,} requests a minute.")
    return number


def checked_days(days: int | None) -> int | None:
    """After how many days something ends; None for never.

    Raises:
        BadInput: it is less than a day or more than ten years.
    """
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise BadInput(f"It lasts 1 to {LONGEST_DAYS:,} days, or has no end.")
    return days
