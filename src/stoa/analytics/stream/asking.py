"""What is asked of the log: where to begin, and by which filter."""

from datetime import datetime
from typing import Final

from stoa.analytics.stream.reading import head_of, place_of
from stoa.api.errors import BadQuery
from stoa.db.transactions import TenantTx
from stoa.events.moments import seq_before
from stoa.events.selecting import selected
from stoa.kernel.filters import FilterError, Typed, render_literal

BEGINNING: Final = "beginning"
NOW: Final = "now"


async def asked_place(tx: TenantTx, cursor: str | None, begin: str | None) -> int:
    """The number after which to read.

    Raises:
        BadQuery: both are given, or `from` is neither a word that is known nor a time.
        BadCursor: the cursor is damaged, or of another tenant or list.
    """
    if cursor is not None:
        if begin is not None:
            raise BadQuery("Both cursor and from are given.", hint="Leave one of them out.", parameter="from")
        return place_of(tx.tenant_id, cursor)
    if begin is None or begin == BEGINNING:
        return 0
    if begin == NOW:
        return (await head_of(tx)).seq
    return await seq_before(tx, _moment(begin))


def _moment(text: str) -> datetime:
    # A plus sign that was not percent-encoded arrives as a space.
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadQuery(
            "`from` is neither beginning, nor now, nor a time with a zone.",
            hint="For example 2026-03-01T09:30:00Z.",
            parameter="from",
        )
    return found


def searched_where(text: str | None, search: str) -> Typed | None:
    """A filter, and a search for part of a type, a subject or an actor, together. Raises FilterError."""
    if not search:
        return asked_where(text)
    anywhere = " or ".join(f"{name} co {render_literal(search)}" for name in ("type", "subject", "actor"))
    # By itself first, so that a complaint's position is one in what was written.
    return asked_where(anywhere if asked_where(text) is None else f"({text}) and ({anywhere})")


def asked_where(text: str | None) -> Typed | None:
    """The filter. Raises FilterError, which names the parameter."""
    if text is None:
        return None
    try:
        return selected(text)
    except FilterError as error:
        error.extra.setdefault("parameter", "filter")
        raise
