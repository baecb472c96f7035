"""Lists in SQL, the same for every kind of resource: where a page begins, and which resources stand on it."""

# ruff: noqa: S608 - identifiers come from the code alone; every value is a bound parameter

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.identity.scim.http import Call
from stoa.identity.scim.lists.ordering import Order
from stoa.identity.scim.model import Document, ResourceType
from stoa.identity.scim.projection import Projection
from stoa.kernel.filters import Binding, Catalogue, Sql
from stoa.kernel.ids import SourceId

Resource = TypeVar("Resource")


@dataclass(frozen=True, slots=True, eq=False)
class Listed(Generic[Resource]):
    """One kind of resource, as lists, searches and orders see it.

    Attributes:
        table: with the alias that the binding uses: `source_record r`.
        columns: of a resource, as `made` reads them.
        key: the column of the id, with its alias.
        having: which rows there are at all; $1 is the tenant, $2 the source.
        sorts: canonical name to the SQL expression by which a list is ordered.
        made: a resource of a row.
        shown: the documents of resources, in their order, as far as they are asked for.
    """

    kind: ResourceType
    catalogue: Catalogue
    binding: Binding
    sorts: Mapping[str, str]
    table: str
    columns: str
    key: str
    having: str
    made: Callable[[Row], Resource]
    shown: Callable[[Call, Sequence[Resource], Projection], Awaitable[list[Document]]]


@dataclass(frozen=True, slots=True)
class Branch:
    """A kind of resource with the condition that a filter is for it; its parameters follow those before it."""

    listed: Listed[Any]
    where: Sql | None

    @property
    def condition(self) -> str:
        """In SQL."""
        where = "" if self.where is None else f" AND ({self.where.text})"
        return f"FROM {self.listed.table} WHERE {self.listed.having}{where}"

    @property
    def params(self) -> list[object]:
        """Of the condition."""
        return [] if self.where is None else self.where.params


@dataclass(frozen=True, slots=True)
class After:
    """The last resource of the page before: the place of its kind among the kinds, its value in the order, its id."""

    rank: int
    value: object
    identity: UUID


@dataclass(frozen=True, slots=True)
class Key:
    """Which resource stands there, and why there."""

    rank: int
    identity: UUID
    value: object


async def usual_page(tx: TenantTx, source_id: SourceId, branch: Branch, *, limit: int, offset: int) -> list[Any]:
    """Resources of one kind in the usual order, that of their making: one statement."""
    listed, n = branch.listed, len(branch.params)
    rows = await tx.fetch(
        f"SELECT {listed.columns} {branch.condition} ORDER BY {listed.key} LIMIT ${n + 3} OFFSET ${n + 4}",
        *(tx.tenant_id, source_id, *branch.params, limit, offset),
    )
    return [listed.made(row) for row in rows]


async def count(tx: TenantTx, source_id: SourceId, branches: Sequence[Branch]) -> int:
    """How many resources the branches have."""
    counts = " + ".join(f"(SELECT count(*) {branch.condition})" for branch in branches)
    params = [value for branch in branches for value in branch.params]
    return await tx.fetchval(f"SELECT {counts}", tx.tenant_id, source_id, *params)


async def keys_page(
    tx: TenantTx,
    source_id: SourceId,
    branches: Sequence[Branch],
    order: Order | None,
    *,
    after: After | None,
    limit: int,
    offset: int = 0,
) -> list[Key]:
    """Which resources stand on a page: after a position, or after so many others. Without an order: kind by kind, in
    the order of their making.
    """
    find = partial(keys_query, tx, source_id, branches, order, after=after, offset=offset)
    if order is None or not order.indexed or order.descending or offset:
        return await _keys(tx, find(limit=limit))
    # No index has those without a value, who come last: they are looked for when a page is not full without them.
    found = await _keys(tx, find(limit=limit, part=Part.WITH_VALUE))
    if len(found) == limit:
        return found
    return found + await _keys(tx, find(limit=limit - len(found), part=Part.WITHOUT_VALUE))


async def _keys(tx: TenantTx, query: Sql) -> list[Key]:
    rows = await tx.fetch(query.text, *query.params)
    return [Key(row["rank"], row["id"], row["sort_key"]) for row in rows]


class Part(Enum):
    """Which resources of an order."""

    ALL = "all"
    WITH_VALUE = "with value"
    WITHOUT_VALUE = "without value"


def keys_query(
    tx: TenantTx,
    source_id: SourceId,
    branches: Sequence[Branch],
    order: Order | None,
    *,
    after: After | None = None,
    limit: int,
    offset: int = 0,
    part: Part = Part.ALL,
) -> Sql:
    """The statement of a page, or of a part of it."""
    params: list[object] = [tx.tenant_id, source_id, *(value for branch in branches for value in branch.params)]

    def bind(value: object, type_: str) -> str:
        params.append(value)
        return f"${len(params)}::{type_}"

    here, named = None, "true"
    if after is not None:
        value = None if order is None or after.value is None else bind(after.value, order.type)
        here = _Place(after.rank, value, bind(after.identity, "uuid"))
        # Whatever part is asked for: the server wants each parameter to be somewhere.
        named = f"({here.value or 'NULL'} IS NULL OR {here.identity} IS NOT NULL)"
    reach = bind(limit + offset, "bigint")
    arms = [
        f"(SELECT {rank} AS rank, {branch.listed.key} AS id, {expr}::{_type(order)} AS sort_key {branch.condition}"
        f" AND {condition} ORDER BY {ordering} LIMIT {reach})"
        for rank, branch in enumerate(branches)
        for expr, condition, ordering in _arms(branch.listed, order, rank, here, part)
        or [("NULL", "false", branch.listed.key)]
    ]
    text = f"SELECT rank, id, sort_key FROM ({' UNION ALL '.join(arms)}) AS arms WHERE {named} ORDER BY {_outer(order)}"
    return Sql(f"{text} LIMIT {bind(limit, 'bigint')} OFFSET {bind(offset, 'bigint')}", params)


async def loaded(
    tx: TenantTx, source_id: SourceId, listed: Listed[Resource], ids: Sequence[UUID]
) -> dict[UUID, Resource]:
    """Resources by their ids, as far as they are there."""
    if not ids:
        return {}
    rows = await tx.fetch(
        f"SELECT {listed.key} AS key_of_list, {listed.columns} FROM {listed.table} "
        f"WHERE {listed.having} AND {listed.key} = ANY($3::uuid[])",
        *(tx.tenant_id, source_id, list(ids)),
    )
    return {row["key_of_list"]: listed.made(row) for row in rows}


# ------------------------------------------------------------------ inside


@dataclass(frozen=True, slots=True)
class _Place:
    """A position, its values as placeholders; `value` is None for what has none."""

    rank: int
    value: str | None
    identity: str


def _type(order: Order | None) -> str:
    return "text" if order is None else order.type


def _collated(expr: str, order: Order) -> str:
    return f'({expr}) COLLATE "C"' if order.type == "text" else f"({expr})"


def _outer(order: Order | None) -> str:
    if order is None:
        return "rank, id"
    way = "DESC NULLS FIRST" if order.descending else "ASC NULLS LAST"
    return f"{_collated('sort_key', order)} {way}, id {'DESC' if order.descending else 'ASC'}"


_Arm = tuple[str, str, str]


def _arms(listed: Listed[Any], order: Order | None, rank: int, here: _Place | None, part: Part) -> list[_Arm]:
    """Expression, further condition and order of the statements that find a kind's part of the page."""
    if order is None:
        return _unsorted(listed, rank, here)
    expr = listed.sorts.get(order.name)
    without = part is not Part.WITH_VALUE and _reaches(order, here)
    if expr is None:
        return [_without_value(f"NULL::{order.type}", "true", listed.key, order, here)] if without else []
    key = _collated(expr, order)
    beyond, way = ("<", "DESC") if order.descending else (">", "ASC")
    arms: list[_Arm] = []
    # Those with a value and those without are found apart, so that an index can do the first.
    if part is not Part.WITHOUT_VALUE and (here is None or here.value is not None or order.descending):
        past = f"({key}, {listed.key}) {beyond} ({here.value}, {here.identity})" if here and here.value else "true"
        arms.append((expr, f"{key} IS NOT NULL AND {past}", f"{key} {way}, {listed.key} {way}"))
    if without:
        arms.append(_without_value(expr, f"{key} IS NULL", listed.key, order, here))
    return arms


def _unsorted(listed: Listed[Any], rank: int, here: _Place | None) -> list[_Arm]:
    if here is not None and rank < here.rank:
        return []
    past = f"{listed.key} > {here.identity}" if here is not None and rank == here.rank else "true"
    return [("NULL", past, listed.key)]


def _reaches(order: Order, here: _Place | None) -> bool:
    """Whether resources without a value may stand after the position."""
    return here is None or here.value is None or not order.descending


def _without_value(expr: str, condition: str, key: str, order: Order, here: _Place | None) -> _Arm:
    beyond, way = ("<", "DESC") if order.descending else (">", "ASC")
    past = f"{key} {beyond} {here.identity}" if here is not None and here.value is None else "true"
    return expr, f"{condition} AND {past}", f"{key} {way}"
