"""The platform's own log, found, filtered and paged."""

# ruff: noqa: S608 - the text is code; every value is a bound parameter

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stoa.access.platform_log import PlatformEntry, entry_of_row
from stoa.db.transactions import PlatformTx
from stoa.kernel.cursors import Position, number_mark, read_position
from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Typed, sql

CATALOGUE: Final = Catalogue(
    (
        Attribute("at", AttrType.DATETIME),
        Attribute("actor", case_exact=True),
        Attribute("via", case_exact=True),
        Attribute("type", case_exact=True),
        Attribute("subject", case_exact=True),
        Attribute("address", case_exact=True),
        Attribute("request_id", case_exact=True),
    )
)
_BINDING: Final[Binding] = {attribute.name: Column(f"p.{attribute.name}") for attribute in CATALOGUE.attributes}
_SEARCHED: Final = ("p.type", "p.subject", "p.address", "p.request_id", "p.actor")
_MILLISECONDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class PlatformAsk:
    """What is asked of the log.

    Attributes:
        search: what is within a type, subject, address, request id or actor, in any case; empty for all.
        who: beside the search: actors or subjects whose lines are wanted too, for their names are within it.
        where: a filter, checked against CATALOGUE; None for none.
        descending: the newest first.
        after: where the last page ended: its `next`.
    """

    search: str = ""
    who: tuple[str, ...] = ()
    where: Typed | None = None
    descending: bool = True
    after: Position | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class PlatformPage:
    """Lines, and where the next page begins; None at the end."""

    lines: Sequence[PlatformEntry]
    next: Position | None


async def platform_page_of(tx: PlatformTx, ask: PlatformAsk) -> PlatformPage:
    """A page of the platform's own log. Raises BadCursor for a position that is none."""
    where, params = ["TRUE"], list[object]()
    if ask.after is not None:
        params += read_position(ask.after, number_mark(0))
        where.append(f"p.entry_no {'<' if ask.descending else '>'} ${len(params)}")
    if ask.search:
        params += [ask.search.replace("\0", "").lower(), list(ask.who)]
        within = " OR ".join(f"strpos(lower({name}), ${len(params) - 1}) > 0" for name in _SEARCHED)
        who = f"${len(params)}::text[]"
        where.append(f"({within} OR p.actor = ANY({who}) OR p.subject = ANY({who}))")
    if ask.where is not None:
        condition = sql(ask.where, _BINDING, first_param=len(params) + 1)
        params += condition.params
        where.append(condition.text)
    await tx.execute(f"SET LOCAL statement_timeout = {_MILLISECONDS}")
    rows = await tx.fetch(
        f"""SELECT p.entry_no, p.at, p.actor, p.via, p.request_id, p.address, p.type, p.subject, p.body
            FROM platform_entry p WHERE {" AND ".join(where)}
            ORDER BY p.entry_no {"DESC" if ask.descending else "ASC"} LIMIT {int(ask.limit) + 1}""",
        *params,
    )
    lines = [entry_of_row(row) for row in rows[: ask.limit]]
    return PlatformPage(lines, (lines[-1].entry_no,) if len(rows) > ask.limit else None)
