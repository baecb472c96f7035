"""Lists that are searched, filtered, sorted and paged by their address, all in one way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from stoa.kernel.cursors import Position, decode_cursor, encode_cursor
from stoa.kernel.filters import Catalogue, FilterError, Typed, check, parse
from stoa.kernel.problems import BadInput
from stoa.web.visiting import Visit

LIMITS: Final = (25, 50, 100)
_LONGEST_SEARCH: Final = 200
Row = TypeVar("Row", covariant=True)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a visitor asked of a list.

    Attributes:
        search: of the search box, without white space around it.
        filter, typed: the filter as written, and checked; typed is None without one.
        sort, descending: the name of the order.
        after: the position after which the page begins, or None for the first page.
        limit: the most rows.
        problem: why it cannot be answered, in words; a list with a problem has no rows.
    """

    search: str
    filter: str
    typed: Typed | None
    sort: str
    descending: bool
    after: Position | None
    limit: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class Slice(Generic[Row]):
    """A page of rows, and the position of its last one if there are more."""

    rows: Sequence[Row]
    next: Position | None


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row]):
    """A page of a list, for a template."""

    rows: Sequence[Row]
    ask: Ask
    next_url: str | None
    first_url: str
    csv_url: str
    _path: str
    _default: str

    @property
    def problem(self) -> str | None:
        """Why there are no rows."""
        return self.ask.problem

    def sort_url(self, name: str) -> str:
        """The address of the list in another order; that of the present one turns it round."""
        same = name == self.ask.sort
        return _address(
            self._path, self.ask, self._default, sort=f"-{name}" if same and not self.ask.descending else name
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that there is.

    Attributes:
        name: of the list; a cursor of another one is refused.
        sorts: orders by their name in the address.
        default: the order without another word; `-name` is descending.
        catalogue: what a filter may ask, or None if there is none.
    """

    name: str
    sorts: Mapping[str, object]
    default: str
    catalogue: Catalogue | None = None

    def scope(self, visit: Visit, search: str, text: str, order: str) -> str:
        """What a cursor belongs to."""
        tenant = "" if visit.tenant is None else str(visit.tenant.tenant_id)
        return "\0".join((self.name, tenant, visit.here.removesuffix(".csv"), search, text, order))

    def page(self, visit: Visit, ask: Ask, found: Slice[Row]) -> Listed[Row]:
        """A page for a template."""
        path = visit.here
        cursor = None
        if found.next is not None:
            order = f"-{ask.sort}" if ask.descending else ask.sort
            cursor = encode_cursor(self.scope(visit, ask.search, ask.filter, order), found.next)
        return Listed(
            rows=() if ask.problem else found.rows,
            ask=ask,
            next_url=None if cursor is None else _address(path, ask, self.default, cursor=cursor),
            first_url=_address(path, ask, self.default),
            csv_url=_address(f"{path}.csv", ask, self.default),
            _path=path,
            _default=self.default,
        )


def read_ask(visit: Visit, listing: Listing) -> Ask:
    """What the address asks of a list. Whatever cannot be used becomes the ask's `problem`, for the page to show."""
    given = visit.request.query_params
    problem: str | None = None
    search = given.get("q", "").strip()
    if len(search) > _LONGEST_SEARCH or "\x00" in search:
        search, problem = "", f"A search has at most {_LONGEST_SEARCH} characters."
    text = given.get("filter", "").strip()
    typed: Typed | None = None
    if text:
        try:
            typed = _checked(listing, text)
        except FilterError as error:
            problem = str(error)
    order = given.get("sort") or listing.default
    if order.removeprefix("-") not in listing.sorts:
        problem = problem or f"This list cannot be sorted by {order[:40]!r}. Possible: {', '.join(listing.sorts)}."
        order = listing.default
    after: Position | None = None
    if cursor := given.get("cursor"):
        try:
            after = decode_cursor(cursor, listing.scope(visit, search, text, order))
        except BadInput as error:
            problem = problem or str(error)
    limit = next((one for one in LIMITS if str(one) == given.get("limit")), LIMITS[0])
    return Ask(search, text, typed, order.removeprefix("-"), order.startswith("-"), after, limit, problem)


def _checked(listing: Listing, text: str) -> Typed:
    if listing.catalogue is None:
        raise FilterError("This list has no filter", position=0, hint="Use the search.")
    return check(parse(text), listing.catalogue)


def _address(path: str, ask: Ask, default: str, *, sort: str | None = None, cursor: str | None = None) -> str:
    order = sort or (f"-{ask.sort}" if ask.descending else ask.sort)
    parts = {
        "q": ask.search,
        "filter": ask.filter,
        "sort": "" if order == default else order,
        "limit": "" if ask.limit == LIMITS[0] else str(ask.limit),
        "cursor": cursor or "",
    }
    query = urlencode({name: value for name, value in parts.items() if value})
    return f"{path}?{query}" if query else path
