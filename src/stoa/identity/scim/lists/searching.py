"""Lists and searches of any kind of resource (RFC 7644, 3.4.2 and 3.4.3; RFC 9865): what is asked, and the answer.

`/Users`, `/Groups`, their `/.search`, and the search over all kinds at the root are one function with other kinds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from stoa.identity.scim.dialects import normalised_filter
from stoa.identity.scim.errors import ScimType, bad, invalid_syntax, invalid_value, of_filter
from stoa.identity.scim.http import Answer, Call, json_answer, json_of, whole_number
from stoa.identity.scim.lists import listed as pages
from stoa.identity.scim.lists.listed import After, Branch, Key, Listed
from stoa.identity.scim.lists.ordering import Order, order_of
from stoa.identity.scim.lists.union import binding_within, united
from stoa.identity.scim.model import LIST_SCHEMA, Document
from stoa.identity.scim.projection import projection
from stoa.identity.scim.validation import described, is_list, is_object
from stoa.kernel.cursors import BadCursor, decode_cursor, encode_cursor, id_mark, number_mark, read_position
from stoa.kernel.filters import Catalogue, FilterError, Sql, Typed, check, parse, sql

MAX_RESULTS: Final = 200
DEFAULT_RESULTS: Final = 100
# Parameters $1 and $2 of every list are tenant and source.
_FIRST_PARAM: Final = 3
_SCAN_MILLISECONDS: Final = 5_000
# Changed when the marks in a cursor come to mean something else: older cursors have then expired.
_LAYOUT: Final = 1
_SEARCH_TEXTS: Final = ("filter", "sortBy", "sortOrder", "cursor")


@dataclass(frozen=True, slots=True)
class _Ask:
    """A list that is asked for.

    Attributes:
        start: the first resource's number from 1, or None where a cursor says where the page begins.
        after: what the cursor says; None for the first page.
        scope: what a cursor is bound to.
    """

    branches: tuple[Branch, ...]
    scans: bool
    order: Order | None
    count: int
    start: int | None
    after: After | None
    scope: str


async def search(call: Call, kinds: Sequence[Listed[Any]]) -> Answer:
    """The list of these kinds that the query asks for. Nothing found is an empty list, never 404. Raises ScimError."""
    ask = _read(call, kinds)
    query = call.request.query
    wanted = [projection(one.kind, query.get("attributes"), query.get("excludedAttributes")) for one in kinds]
    if ask.scans:
        await call.tx.execute(f"SET LOCAL statement_timeout = {_SCAN_MILLISECONDS}")
    if ask.start is not None and ask.order is None and len(ask.branches) == 1:
        found, total = await _usual(call, ask, ask.branches[0], ask.start)
        return _answer(ask, await kinds[0].shown(call, found, wanted[0]), total, None)
    keys, total = await _keys(call, ask)
    page, more = keys[: ask.count], len(keys) > ask.count
    documents: dict[Any, Document] = {}
    for rank, listed in enumerate(kinds):
        ids = [key.identity for key in page if key.rank == rank]
        resources = await pages.loaded(call.tx, call.source_id, listed, ids)
        shown = await listed.shown(call, list(resources.values()), wanted[rank]) if resources else []
        documents |= dict(zip(resources, shown, strict=True))
    shown_in_order = [documents[key.identity] for key in page if key.identity in documents]
    return _answer(ask, shown_in_order, total, page[-1] if more and ask.start is None else None)


async def _usual(call: Call, ask: _Ask, branch: Branch, start: int) -> tuple[list[Any], int]:
    """The resources of a page, and how many there are on all pages; counted only where the page does not tell."""
    found: list[Any] = []
    if ask.count:
        found = await pages.usual_page(call.tx, call.source_id, branch, limit=ask.count, offset=start - 1)
    if len(found) < ask.count and (found or start == 1):
        return found, start - 1 + len(found)
    return found, await pages.count(call.tx, call.source_id, ask.branches)


async def _keys(call: Call, ask: _Ask) -> tuple[list[Key], int]:
    """One key more than the page has, if there is one, and how many there are on all pages."""
    offset = 0 if ask.start is None else ask.start - 1
    keys: list[Key] = []
    if ask.count:
        keys = await pages.keys_page(
            *(call.tx, call.source_id, ask.branches, ask.order), after=ask.after, limit=ask.count + 1, offset=offset
        )
    if ask.after is None and len(keys) <= ask.count and (keys or (ask.count and offset == 0)):
        return keys, offset + len(keys)
    return keys, await pages.count(call.tx, call.source_id, ask.branches)


def _answer(ask: _Ask, resources: list[Document], total: int, last: Key | None) -> Answer:
    content: Document = {"schemas": [LIST_SCHEMA], "totalResults": total}
    if ask.start is not None:
        content["startIndex"] = ask.start
    content["itemsPerPage"] = len(resources)
    if last is not None:
        value = None if ask.order is None else ask.order.mark(last.value)
        content["nextCursor"] = encode_cursor(ask.scope, (_LAYOUT, last.rank, value, str(last.identity)))
    content["Resources"] = resources
    return json_answer(HTTPStatus.OK, content)


# ------------------------------------------------------------------ what is asked


def _read(call: Call, kinds: Sequence[Listed[Any]]) -> _Ask:
    query = call.request.query
    catalogue = kinds[0].catalogue if len(kinds) == 1 else united(tuple(one.catalogue for one in kinds))
    text = query.get("filter") or ""
    typed = compiled(catalogue, text) if text.strip() else None
    order = order_of(catalogue, query.get("sortBy"), query.get("sortOrder"))
    named = "+".join(one.kind.name for one in kinds)
    ordered = "" if order is None else f"{order.name} {order.descending}"
    scope = "\0".join(("scim", str(call.tx.tenant_id), str(call.source_id), named, text, ordered))
    by_cursor = "cursor" in query
    if by_cursor and query.get("startIndex"):
        raise invalid_value(
            '"cursor" and "startIndex" exclude each other: the one pages by position, the other by number.'
        )
    return _Ask(
        branches=_branches(kinds, catalogue, typed),
        scans=(typed is not None and typed.needs_scan) or (order is not None and not order.indexed),
        order=order,
        count=_cursor_count(query) if by_cursor else _count(query),
        start=None if by_cursor else max(1, whole_number(query, "startIndex", 1)),
        after=_after(query["cursor"], scope, order) if by_cursor and query["cursor"] else None,
        scope=scope,
    )


@lru_cache(maxsize=512)
def compiled(catalogue: Catalogue, text: str) -> Typed:
    """The filter, checked. Raises ScimError invalidFilter with the position."""
    try:
        return check(normalised_filter(parse(text)), catalogue)
    except FilterError as error:
        raise of_filter(error) from None


def _branches(kinds: Sequence[Listed[Any]], catalogue: Catalogue, typed: Typed | None) -> tuple[Branch, ...]:
    if typed is None:
        return tuple(Branch(one, None) for one in kinds)
    branches: list[Branch] = []
    first = _FIRST_PARAM
    for one in kinds:
        binding = one.binding if len(kinds) == 1 else binding_within(one.binding, catalogue)
        where: Sql = sql(typed, binding, first_param=first)
        branches.append(Branch(one, where))
        first += len(where.params)
    return tuple(branches)


def _count(query: Mapping[str, str]) -> int:
    return min(MAX_RESULTS, max(0, whole_number(query, "count", DEFAULT_RESULTS)))


def _cursor_count(query: Mapping[str, str]) -> int:
    """RFC 9865, 2: a positive number. More than there are on the largest page gives the largest page."""
    text = (query.get("count") or str(DEFAULT_RESULTS)).strip()
    if not (text.isascii() and text.isdigit()) or not text.strip("0"):
        raise bad(ScimType.INVALID_COUNT, f'"count" must be a whole number from 1 to {MAX_RESULTS}.')
    return MAX_RESULTS if len(text.lstrip("0")) > 9 else min(MAX_RESULTS, int(text))


def _after(text: str, scope: str, order: Order | None) -> After:
    """Raises ScimError: invalidCursor for a cursor of another list, expiredCursor for one of an earlier release."""
    try:
        position = decode_cursor(text, scope)
        if position[:1] != (_LAYOUT,):
            raise bad(ScimType.EXPIRED_CURSOR, "The cursor is of an earlier release. Begin again at the first page.")
        _, rank, value, identity = read_position(
            position,
            number_mark(),
            number_mark(0, 100),
            lambda mark: mark if order is None else order.value(mark),
            id_mark,
        )
    except BadCursor:
        detail = "The cursor does not belong to this list, filter and order. Begin again with an empty cursor."
        raise bad(ScimType.INVALID_CURSOR, detail) from None
    assert isinstance(rank, int)
    return After(rank, value, id_mark(str(identity)))


# ------------------------------------------------------------------ the query in a body


def from_body(call: Call) -> Call:
    """The call of a POST to `/.search` as the GET that its body stands for. Raises ScimError."""
    body = json_of(call.request)
    if not is_object(body):
        raise invalid_syntax(f"The body must be a JSON object with a SearchRequest, not {described(body)}.")
    query: dict[str, str] = {}
    for name, value in body.items():
        canonical = _SEARCH_FIELDS.get(name.lower())
        if canonical is None:
            raise invalid_syntax(f"Unknown attribute {name[:60]!a} in the search request.")
        if value is not None and canonical != "schemas":
            query[canonical] = _search_text(canonical, value)
    return replace(call, request=replace(call.request, query=query, body=b""))


_SEARCH_FIELDS: Final = {
    name.lower(): name
    for name in ("schemas", "attributes", "excludedAttributes", "startIndex", "count", *_SEARCH_TEXTS)
}


def _search_text(name: str, value: Any) -> str:
    """A member of a search request as the query parameter that it stands for."""
    if name in _SEARCH_TEXTS and isinstance(value, str):
        return value
    if name in {"startIndex", "count"} and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name in {"attributes", "excludedAttributes"} and is_list(value) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    raise invalid_value(f'"{name}" cannot be {described(value)}.')
