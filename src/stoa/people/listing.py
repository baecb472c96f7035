"""People found, filtered, sorted and paged. Each order and each arm of a search has an index
(tests/people/test_listing_indexes.py reads the plans).
"""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from stoa.db.errors import TookTooLong
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.cursors import BadCursor, Position, id_mark, mark_of, moment_mark, read_position, text_mark
from stoa.kernel.filters import Typed, sql
from stoa.kernel.ids import PersonId
from stoa.kernel.problems import Problem
from stoa.people.catalogue import BINDING
from stoa.people.redirects import redirected
from stoa.people.searching import MOST_FOUND, Search, found_by

PeopleSort = Literal["display_name", "updated_at"]

# A filter on what no index answers reads everybody; whoever waits for it is told so before they give up.
_SCAN_MILLISECONDS: Final = 3_000
_READERS: Final = {"display_name_key": text_mark, "updated_at": moment_mark, "person_id": id_mark}
_TEXTS: Final = (
    *("display_name", "given_name", "family_name", "user_name", "email", "employee_id", "title", "department"),
    *("division", "cost_center", "organization", "location", "worker_type"),
)


@dataclass(frozen=True, slots=True)
class PeopleAsk:
    """What is asked of the list.

    Attributes:
        search: what a name, address or id begins with; empty for all.
        where: a filter, checked against `catalogue.CATALOGUE`; None for none.
        descending: from the other end. People without a name come after all others, or before them.
        after: where the last page ended: its `next`.
        most: people whom each arm of a search looks at.
        columns: what is read of each person, besides what tells a place in the list.
        gone: whether those who were merged into somebody else come too.
    """

    search: str = ""
    where: Typed | None = None
    sort: PeopleSort = "display_name"
    descending: bool = False
    after: Position | None = None
    limit: int = 50
    most: int = MOST_FOUND
    columns: tuple[str, ...] = _TEXTS
    gone: bool = False


@dataclass(frozen=True, slots=True)
class ListedPerson:
    """A person as a line of the list.

    Attributes:
        texts: effective values by the name of the field.
        sources: the names of the sources that have a record of them in their latest word, in the order of their age.
    """

    person_id: PersonId
    active: bool
    texts: Mapping[str, str | None]
    updated_at: datetime
    sources: Sequence[str]

    @property
    def name(self) -> str | None:
        """What to call them, or None where no source says anything of the kind."""
        texts = self.texts
        parts = " ".join(part for part in (texts["given_name"], texts["family_name"]) if part)
        return texts["display_name"] or parts or texts["user_name"] or texts["email"] or texts["employee_id"]


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """People, and where the next page begins; None at the end.

    too_many: the search matches more than `PeopleAsk.most` people, of whom only so many were looked at.
    """

    rows: Sequence[ListedPerson]
    next: Position | None
    too_many: bool = False


class ReadsTooMuch(Problem):
    """A filter was stopped because nothing but reading everybody would have answered it in time.

    Filter on a name, an id, an e-mail address or a time, for which there is an index.
    """

    code = "reads_too_much"
    status = 422


async def people_page(tx: TenantTx, ask: PeopleAsk, *, milliseconds: int = _SCAN_MILLISECONDS) -> PeoplePage:
    """A page of the tenant's people. milliseconds: how long any one statement may take.

    Raises:
        BadCursor: `ask.after` is no place in this list.
        ReadsTooMuch: the filter could not be answered in time.
    """
    # The last statements of a read-only transaction: what is set here ends with it.
    await tx.execute(f"SET LOCAL statement_timeout = {milliseconds}")
    try:
        rows, too_many = await _rows(tx, ask)
    except TookTooLong as error:
        raise ReadsTooMuch(
            "The filter was stopped: it has to read too many people one by one.",
            hint="Search for a name as well, or filter by user_name, email, employee_id, display_name or family_name, "
            "which have an index.",
        ) from error
    shown = rows[: ask.limit]
    sources = await _sources_of(tx, [row["person_id"] for row in shown])
    found = [_listed(row, sources.get(row["person_id"], ())) for row in shown]
    return PeoplePage(found, _position(ask, shown[-1]) if len(rows) > ask.limit else None, too_many)


async def person_rows(tx: TenantTx, ask: PeopleAsk) -> tuple[list[Row], Position | None]:
    """The rows of a page with `ask.columns`, and where the next page begins. The caller's transaction limits the time.

    Raises:
        BadCursor: `ask.after` is no place in this list.
    """
    rows, _ = await _rows(tx, ask)
    shown = rows[: ask.limit]
    return shown, _position(ask, shown[-1]) if len(rows) > ask.limit else None


# ------------------------------------------------------------------ parts of a list


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the list that one index answers.

    Attributes:
        where: besides the tenant and what is asked for.
        keys: the columns that tell a place in it; the last is the person's id.
        order: the columns that it is ordered by, ascending.
    """

    where: str
    keys: tuple[str, ...]
    order: tuple[str, ...]


# A comparison of rows does not pass from names to those who have none: an index answers the one or the other.
_BY_NAME: Final = ("display_name_key", "person_id")
_NAMED: Final = Part("p.display_name_key IS NOT NULL", _BY_NAME, _BY_NAME)
# By the same columns, or the planner may look for them among everybody in the order of the ids: how many people of this
# tenant have no name is not told by the statistics of all tenants.
_NAMELESS: Final = Part("p.display_name_key IS NULL", ("person_id",), _BY_NAME)
_BY_CHANGE: Final = ("updated_at", "person_id")
_UPDATED: Final = Part("TRUE", _BY_CHANGE, _BY_CHANGE)


def _parts(ask: PeopleAsk) -> tuple[tuple[Part, Position | None], ...]:
    """The parts that are left of the list, in order, with the place to begin at in the first."""
    if ask.sort == "updated_at":
        return ((_UPDATED, ask.after),)
    parts = (_NAMELESS, _NAMED) if ask.descending else (_NAMED, _NAMELESS)
    match ask.after:
        case None:
            return tuple((part, None) for part in parts)
        case (None, last):
            begin, after = _NAMELESS, (last,)
        case (str(name), last):
            begin, after = _NAMED, (name, last)
        case _:
            raise BadCursor("This place in the list of people does not exist.", hint="Begin at the first page.")
    left = parts[parts.index(begin) :]
    return tuple((part, after if part is begin else None) for part in left)


async def _rows(tx: TenantTx, ask: PeopleAsk) -> tuple[list[Row], bool]:
    search = found_by(ask.search)
    # Whoever follows the changes asks for what became of an id; everybody else for who it means.
    if ask.where is not None and not ask.gone:
        ask = replace(ask, where=await redirected(tx, ask.where, ("id", "manager_id")))
    rows: list[Row] = []
    too_many = False
    for part, after in _parts(ask):
        text, params = page_query(tx, replace(ask, limit=ask.limit - len(rows)), search, part, after)
        rows += await tx.fetch(text, *params)
        too_many = too_many or any(row["most"] > ask.most for row in rows[:1])
        if len(rows) > ask.limit:
            break
    return rows, too_many


def page_query(
    tx: TenantTx, ask: PeopleAsk, search: Search | None, part: Part, after: Position | None
) -> tuple[str, tuple[object, ...]]:
    """The statement of a page, or of a part of it, and its parameters. It asks for one row more than the page holds."""
    where, params = "p.tenant_id = $1" + ("" if ask.gone else " AND p.merged_into IS NULL"), (tx.tenant_id,)
    bound: tuple[object, ...] = params
    if ask.where is not None:
        condition = sql(ask.where, BINDING, first_param=2, now=tx.now)
        where, bound = f"{where} AND {condition.text}", (*params, *condition.params)
    found, most = "", "0"
    if search is not None:
        # What is found is ordered afterwards, so that each arm can use the index of its own.
        found, terms = search.sql(where, first_param=len(bound) + 1, most=ask.most)
        bound = (*bound, *terms)
        where = "p.tenant_id = $1 AND p.person_id = ANY(ARRAY(SELECT person_id FROM found))"
        most = "(SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM found GROUP BY arm) AS counted)"
    where += f" AND {part.where}"
    if after is not None:
        marks = ", ".join(f"${i}" for i in range(len(bound) + 1, len(bound) + 1 + len(part.keys)))
        names = ", ".join(f"p.{key}" for key in part.keys)
        where += f" AND ({names}) {'<' if ask.descending else '>'} ({marks})"
        bound = (*bound, *read_position(after, *(_READERS[key] for key in part.keys)))
    order = ", ".join(f"p.{key} DESC" if ask.descending else f"p.{key}" for key in part.order)
    columns = ", ".join(f"p.{name}" for name in (*ask.columns, "active", "updated_at", "display_name_key", "person_id"))
    text = f"{found}SELECT {columns}, {most} AS most FROM person p WHERE {where} ORDER BY {order} LIMIT {ask.limit + 1}"
    return text, bound


# ------------------------------------------------------------------ places in the list


def _position(ask: PeopleAsk, row: Row) -> Position:
    if ask.sort == "updated_at":
        return (mark_of(row["updated_at"]), str(row["person_id"]))
    return (row["display_name_key"], str(row["person_id"]))


# ------------------------------------------------------------------ lines of the list


_SOURCES: Final = """
SELECT r.person_id, array_agg(DISTINCT s.name) AS names FROM source_record r
JOIN source s ON s.tenant_id = $1 AND s.source_id = r.source_id
WHERE r.tenant_id = $1 AND r.person_id = ANY($2) AND r.present GROUP BY r.person_id"""


async def _sources_of(tx: TenantTx, person_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    if not person_ids:
        return {}
    return {row["person_id"]: row["names"] for row in await tx.fetch(_SOURCES, tx.tenant_id, person_ids)}


def _listed(row: Row, sources: Sequence[str]) -> ListedPerson:
    texts = {name: row[name] for name in _TEXTS}
    return ListedPerson(row["person_id"], row["active"], texts, row["updated_at"], sources)
