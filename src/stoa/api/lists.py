"""Lists of the API: filter, sort, fields, updated_since and cursors, the same everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec

from stoa.api.errors import BadQuery
from stoa.api.operations import Answer, Call
from stoa.kernel.cursors import Position, decode_cursor, encode_cursor
from stoa.kernel.filters import Catalogue, FilterError, Typed, check, parse

Item = TypeVar("Item")
MOST: Final = 200
# A change bears the time at which its transaction began, and is seen once that has ended: nobody's takes this long.
SETTLED: Final = timedelta(minutes=2)
_LONGEST_FIELDS: Final = 1_000


CursorText = Annotated[str, msgspec.Meta(min_length=1, max_length=4_000, pattern="^[A-Za-z0-9_-]+$")]
# An address as a whole may have some 65,000 bytes, and a character of a filter may take twelve of them.
FilterText = Annotated[str, msgspec.Meta(min_length=1, max_length=4_000)]


class RowsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list whose items never change."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST, description="The most items of a page.")] = 50
    cursor: Annotated[
        CursorText | None,
        msgspec.Meta(description="`next_cursor` of the page before; without it the first page."),
    ] = None
    filter: Annotated[
        FilterText | None,
        msgspec.Meta(description='A filter in the grammar of RFC 7644, 3.4.2.2, such as `name sw "A"`.'),
    ] = None
    sort: Annotated[
        Annotated[str, msgspec.Meta(max_length=100, pattern="^-?[a-z_]+$")] | None,
        msgspec.Meta(description="The order; with a minus sign before it, from the other end."),
    ] = None
    fields: Annotated[
        Annotated[str, msgspec.Meta(max_length=_LONGEST_FIELDS, pattern="^[a-z_, ]+$")] | None,
        msgspec.Meta(description="Names of the members that are wanted, with commas; `id` always comes."),
    ] = None


class ListQuery(RowsQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of every list whose items change."""

    updated_since: Annotated[
        Annotated[datetime, msgspec.Meta(tz=True)] | None,
        msgspec.Meta(description="Only what was changed at or after this time; what is gone comes as a tombstone."),
    ] = None


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """A page of a list."""

    items: list[Item]
    next_cursor: Annotated[str | None, msgspec.Meta(description="Where the next page begins; null on the last page.")]
    as_of: Annotated[datetime, msgspec.Meta(tz=True, description="When the list was read, by the tenant's clock.")]
    next_updated_since: Annotated[
        Annotated[datetime, msgspec.Meta(tz=True)] | None,
        msgspec.Meta(
            description="What to send as `updated_since` next time, so that no change is missed; some come twice. Null "
            "for a list that does not take it."
        ),
    ]


class Tombstone(msgspec.Struct, frozen=True):
    """What is left in a list of something that is gone: shown with updated_since."""

    id: UUID
    deleted_at: Annotated[datetime, msgspec.Meta(tz=True, description="When it went.")]
    merged_into: Annotated[UUID | None, msgspec.Meta(description="What it is now, where it was merged.")] = None
    deleted: Annotated[bool, msgspec.Meta(description="True: this is a tombstone.")] = True


@dataclass(frozen=True, slots=True)
class ListAsk:
    """What is asked of a list, checked.

    Attributes:
        where: filter and updated_since together; None for neither.
        after: the position after which the page begins, or None; whoever reads it checks its values (`read_position`).
        fields: the members that are wanted; None for all.
        updated_since: set when tombstones are wanted too.
    """

    where: Typed | None
    sort: str
    descending: bool
    after: Position | None
    limit: int
    fields: frozenset[str] | None
    updated_since: datetime | None
    scope: str


def read_list(
    call: Call[Any, Any], catalogue: Catalogue, sorts: Sequence[str], *, default: str, since: str = "updated_at"
) -> ListAsk:
    """What the query of a list asks for.

    sorts: the orders that there are. default: the one without `sort`; with a minus sign, from the other end.
    since: the attribute of the catalogue that updated_since compares.

    Raises:
        BadQuery: an order that there is not. BadCursor. FilterError: with the position in the filter.
    """
    query: RowsQuery = call.query
    changed_since = query.updated_since if isinstance(query, ListQuery) else None
    asked = query.sort or (since if changed_since is not None and since in sorts else default)
    name, descending = asked.removeprefix("-"), asked.startswith("-")
    if name not in sorts:
        raise BadQuery(f"This list has no order {asked[:60]!r}.", hint=f"Orders: {', '.join(sorts)}.", parameter="sort")
    where = _where(catalogue, query.filter, since, changed_since)
    told = (call.operation.id, str(call.tx.tenant_id), asked, query.filter or "", str(changed_since or ""))
    told += tuple(call.path.values())
    scope = "\0".join(("api", *told))
    after = None if query.cursor is None else decode_cursor(query.cursor, scope)
    fields = None if query.fields is None else _fields(query.fields, item_type(call))
    return ListAsk(where, name, descending, after, query.limit, fields, changed_since, scope)


def _where(catalogue: Catalogue, text: str | None, since: str, moment: datetime | None) -> Typed | None:
    typed = None
    if text is not None:
        # By itself first, so that a complaint's position is one in what the client wrote.
        try:
            typed = check(parse(text), catalogue)
        except FilterError as error:
            error.extra.setdefault("parameter", "filter")
            raise
    if moment is None:
        return typed
    try:
        changed = f'{since} ge "{moment.astimezone(UTC).isoformat()}"'
    except OverflowError:
        raise BadQuery("This moment lies outside of the years 1 to 9999 in UTC.", parameter="updated_since") from None
    return check(parse(changed if text is None else f"{changed} and ({text})"), catalogue)


def item_type(call: Call[Any, Any]) -> type[msgspec.Struct]:
    """The Struct of the items of the operation's page."""
    return call.operation.answers[200].__args__[0]


def _fields(text: str, item: type[msgspec.Struct]) -> frozenset[str]:
    if len(text) > _LONGEST_FIELDS:
        raise BadQuery("The list of fields is too long.", parameter="fields")
    known = frozenset(item.__struct_encode_fields__)
    wanted = frozenset(part.strip() for part in text.split(",") if part.strip())
    unknown = sorted(wanted - known)
    if unknown:
        raise BadQuery(
            f"There is no member {unknown[0][:60]!r}.", hint=f"Members: {', '.join(sorted(known))}.", parameter="fields"
        )
    return wanted | {"id"}


def page(call: Call[Any, Any], ask: ListAsk, items: Sequence[msgspec.Struct], after: Position | None) -> Answer:
    """The answer with a page. after: the position of its last item if there are more."""
    cursor = None if after is None else encode_cursor(ask.scope, after)
    since = call.tx.now - SETTLED if isinstance(call.query, ListQuery) else None
    content: object = Page(list(items), cursor, call.tx.now, since)
    if ask.fields is not None:
        chosen = [pick(item, ask.fields) for item in items]
        content = {"items": chosen, "next_cursor": cursor, "as_of": call.tx.now, "next_updated_since": since}
    return Answer(content=content, headers=() if cursor is None else (_link(call, cursor),))


def pick(item: msgspec.Struct, fields: frozenset[str]) -> dict[str, object]:
    """The wanted members of an item; all of a tombstone."""
    names = item.__struct_encode_fields__
    wanted = names if isinstance(item, Tombstone) else (name for name in names if name in fields)
    return {name: getattr(item, name) for name in wanted}


def _link(call: Call[Any, Any], cursor: str) -> tuple[str, str]:
    # RFC 8288: the address of the next page, as libraries that follow links look for it.
    query: dict[str, Any] = {
        name: value for name, value in msgspec.to_builtins(call.query).items() if value is not None and name != "cursor"
    }
    path = call.operation.path
    for name, value in call.path.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return "link", f'<{call.url(path)}?{urlencode({**query, "cursor": cursor})}>; rel="next"'
