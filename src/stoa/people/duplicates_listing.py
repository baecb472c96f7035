"""Pairs of people who may be one, found, filtered and paged; the same for the console and the public API."""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from stoa.api.lists import ListAsk
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.cursors import Position, number_mark
from stoa.kernel.filters import Attribute, AttrType, Catalogue, Column, Cost, Exists, Operator, successor
from stoa.kernel.fold import fold
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import NotFound

PairState = Literal["open", "dismissed", "merged"]
STATES: Final[tuple[PairState, ...]] = ("open", "dismissed", "merged")
# How many open pairs are counted for a figure on a page.
MOST_COUNTED: Final = 1_000

CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID),
        Attribute("state", case_exact=True, cost=Cost.INDEXED),
        Attribute("score", AttrType.INTEGER, cost=Cost.INDEXED),
        Attribute("evidence", multi_valued=True, operators=frozenset({Operator.EQ, Operator.NE})),
        Attribute("person_a", AttrType.UUID, cost=Cost.INDEXED),
        Attribute("person_b", AttrType.UUID, cost=Cost.INDEXED),
        Attribute("found_at", AttrType.DATETIME),
        Attribute("updated_at", AttrType.DATETIME, cost=Cost.INDEXED),
    )
)


def _name(alias: str) -> str:
    return f"""coalesce({alias}.display_name, nullif(concat_ws(' ', {alias}.given_name, {alias}.family_name), ''),
  {alias}.user_name, {alias}.email, {alias}.employee_id)"""


_SHOWN: Final = ("email", "employee_id", "title", "department")
_COLUMNS: Final = ", ".join(f"{one}.{name} AS {name}_{one}" for one in "ab" for name in _SHOWN)
# Whoever was merged into somebody else meanwhile is no candidate; of a merge the pair tells as it was.
TABLE: Final = Table(
    select=f"""SELECT d.pair_id AS id, d.person_a, d.person_b, d.score, d.evidence, d.state, d.merge_run, d.found_at,
      d.updated_at, d.dismissed_at, d.dismissed_by, d.dismissed_reason, d.dismissed_score, d.dismissed_evidence,
      d.came_back_at, {_name("a")} AS name_a, {_name("b")} AS name_b, {_COLUMNS}
    FROM duplicate_pair d JOIN person a ON a.tenant_id = $1 AND a.person_id = d.person_a
    JOIN person b ON b.tenant_id = $1 AND b.person_id = d.person_b
    WHERE d.tenant_id = $1 AND (d.state = 'merged' OR (a.merged_into IS NULL AND b.merged_into IS NULL))""",
    key="d.pair_id",
    binding={
        "id": Column("d.pair_id"),
        "state": Column("d.state"),
        "score": Column("d.score"),
        "evidence": Exists("unnest(d.evidence) AS e(kind)", {"value": Column("e.kind", "e.kind")}),
        "person_a": Column("d.person_a"),
        "person_b": Column("d.person_b"),
        "found_at": Column("d.found_at"),
        "updated_at": Column("d.updated_at"),
    },
    sorts={"score": ("d.score", number_mark(0, 100)), "updated_at": ("d.updated_at", MOMENT)},
)


@dataclass(frozen=True, slots=True)
class Half:
    """One of the two, as a list shows them."""

    person_id: UUID
    name: str | None
    email: str | None
    employee_id: str | None
    title: str | None
    department: str | None


@dataclass(frozen=True, slots=True)
class ListedPair:
    """Two people who may be one.

    Attributes:
        score: 0 to 100; evidence: kinds of `duplicates_rules`, those that speak for it before those against it.
        dismissed_score, dismissed_evidence: what spoke for it when it was dismissed.
        came_back_at: when it was opened again because much more speaks for it.
    """

    pair_id: UUID
    a: Half
    b: Half
    score: int
    evidence: Sequence[str]
    state: PairState
    merge_run: UUID | None
    found_at: datetime
    updated_at: datetime
    dismissed_at: datetime | None
    dismissed_by: str | None
    dismissed_reason: str | None
    dismissed_score: int | None
    dismissed_evidence: Sequence[str]
    came_back_at: datetime | None

    @property
    def person_a(self) -> UUID:
        """The lower id of the two."""
        return self.a.person_id

    @property
    def person_b(self) -> UUID:
        """The higher id."""
        return self.b.person_id


def pair_of(row: Row) -> ListedPair:
    """The pair of a row of TABLE."""
    halves = [
        Half(row[f"person_{one}"], row[f"name_{one}"], *(row[f"{name}_{one}"] for name in _SHOWN)) for one in "ab"
    ]
    same = (
        *("score", "evidence", "state", "merge_run", "found_at", "updated_at", "dismissed_at", "dismissed_by"),
        *("dismissed_reason", "dismissed_score"),
    )
    values: dict[str, Any] = {name: row[name] for name in same}
    return ListedPair(
        pair_id=row["id"],
        a=halves[0],
        b=halves[1],
        dismissed_evidence=row["dismissed_evidence"] or (),
        came_back_at=row["came_back_at"],
        **values,
    )


async def pair_by_id(tx: TenantTx, pair_id: UUID) -> ListedPair:
    """One pair. Raises NotFound."""
    row = await tx.fetchrow(f"{TABLE.select} AND d.pair_id = $2", tx.tenant_id, pair_id)
    if row is None:
        raise NotFound(
            "There is no such pair in this tenant.",
            hint="It may be gone because nothing speaks for it any more. The list has those that there are.",
        )
    return pair_of(row)


async def pairs_of(tx: TenantTx, person_id: UUID, limit: int = 20) -> list[ListedPair]:
    """The open pairs of one person, the likeliest first."""
    rows = await tx.fetch(
        f"""{TABLE.select} AND (d.person_a = $2 OR d.person_b = $2) AND d.state = 'open'
        ORDER BY d.score DESC, d.pair_id DESC LIMIT $3""",
        *(tx.tenant_id, person_id, limit),
    )
    return [pair_of(row) for row in rows]


async def pairs_page(
    tx: TenantTx, ask: ListAsk, state: PairState, search: str = ""
) -> tuple[list[ListedPair], Position | None]:
    """A page of the pairs of one state. search: what a name, an address or an employee id of one begins with, or an
    id. Raises BadCursor.
    """
    condition, params = " AND d.state = $2", [state]
    more: list[object] = list(params)
    if search:
        condition, more = _found(search, condition, more)
    rows, after = await rows_of(tx, TABLE, ask, *more, condition=condition)
    return [pair_of(row) for row in rows], after


def _found(search: str, condition: str, params: list[object]) -> tuple[str, list[object]]:
    person_id = parse_id(search)
    if person_id is not None:
        return f"{condition} AND $3 IN (d.person_a, d.person_b)", [*params, person_id]
    prefix = fold(search)
    after = successor(prefix)
    keys = ("display_name_key", "family_name_key", "email_key", "employee_id_key", "user_name_key")
    below = "" if after is None else " AND {key} < $4"
    arms = [f"({one}.{key} >= $3{below.format(key=f'{one}.{key}')})" for one in "ab" for key in keys]
    return f"{condition} AND ({' OR '.join(arms)})", [*params, prefix, *([] if after is None else [after])]


async def count_open(tx: TenantTx, most: int = MOST_COUNTED) -> int:
    """How many pairs wait for a decision, as far as `most`."""
    return await tx.fetchval(
        f"SELECT count(*) FROM ({TABLE.select} AND d.state = 'open' LIMIT $2) AS open", tx.tenant_id, most
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the search has come.

    Attributes:
        running: a pass over everybody is under way, and has come to `people`.
        common: keys that more people share than are compared.
    """

    searched_at: datetime | None
    running: bool
    people: int
    pass_ended_at: datetime | None
    common: int


async def standing(tx: TenantTx) -> Standing:
    """How far the search has come."""
    row = await tx.fetchrow(
        """SELECT searched_at, pass_after IS NOT NULL AS running, pass_people AS people, pass_ended_at,
          (SELECT count(*) FROM (SELECT FROM duplicate_common c WHERE c.tenant_id = $1 LIMIT 1000) AS c) AS common
        FROM duplicate_search WHERE tenant_id = $1""",
        tx.tenant_id,
    )
    return Standing(None, False, 0, None, 0) if row is None else Standing(**dict(row))
