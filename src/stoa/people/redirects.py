"""Ids of people who were merged into others: whom they mean now."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final, assert_never
from uuid import UUID

from stoa.db.transactions import TenantTx
from stoa.kernel.filters.typed import AllOf, AnyOf, Element, Node, Test, Typed
from stoa.kernel.ids import PersonId

# A merge takes only people who are nobody else yet, so a chain has an end; the depth is a belt beside the braces.
_SURVIVORS: Final = """
WITH RECURSIVE chain AS (
  SELECT p.person_id AS asked, p.person_id, p.merged_into, 0 AS depth
  FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY($2)
  UNION ALL
  SELECT c.asked, p.person_id, p.merged_into, c.depth + 1
  FROM chain c JOIN person p ON p.tenant_id = $1 AND p.person_id = c.merged_into WHERE c.depth < 1000)
SELECT asked, person_id FROM chain WHERE merged_into IS NULL"""
# Everybody who was merged into a person ($2), over any number of steps (index person_merged).
ABSORBED: Final = """
WITH RECURSIVE taken AS (
  SELECT m.person_id FROM person m WHERE m.tenant_id = $1 AND m.merged_into = $2
  UNION
  SELECT m.person_id FROM taken t JOIN person m ON m.tenant_id = $1 AND m.merged_into = t.person_id)
SELECT person_id FROM taken ORDER BY person_id LIMIT 100"""


async def survivors(tx: TenantTx, person_ids: Collection[UUID]) -> dict[UUID, PersonId]:
    """By each id of somebody who is or was there: who they are now. An id of nobody is left out."""
    rows = await tx.fetch(_SURVIVORS, tx.tenant_id, list(person_ids))
    return {row["asked"]: PersonId(row["person_id"]) for row in rows}


async def survivor(tx: TenantTx, person_id: UUID) -> PersonId | None:
    """Who a person is after all merges: the person's own id if nobody else; None if there is nobody of this id."""
    return (await survivors(tx, [person_id])).get(person_id)


async def absorbed(tx: TenantTx, person_id: UUID) -> list[PersonId]:
    """Who was merged into a person, at most a hundred of them."""
    return [PersonId(row["person_id"]) for row in await tx.fetch(ABSORBED, tx.tenant_id, person_id)]


# ------------------------------------------------------------------ filters


async def redirected(tx: TenantTx, where: Typed, people: Collection[str]) -> Typed:
    """A filter in which ids of people who were merged mean who they are now.

    people: the attributes that are ids of people. Others are left alone: a record may have the id of its first person.
    """
    named = _ids(where.node, people)
    if not named:
        return where
    now = {old: new for old, new in (await survivors(tx, named)).items() if old != new}
    return replace(where, node=_with(where.node, people, now)) if now else where


def _ids(node: Node, people: Collection[str]) -> set[UUID]:
    match node:
        case Test():
            return {node.value} if isinstance(node.value, UUID) and node.parts[0] in people else set()
        case Element():
            return _ids(node.node, _within(node, people))
        case AllOf(nodes) | AnyOf(nodes):
            return {one for inner in nodes for one in _ids(inner, people)}
        case _:
            assert_never(node)


def _within(node: Element, people: Collection[str]) -> Collection[str]:
    """The attributes of an element that are ids of people: its value, where it is one itself."""
    return ("value",) if node.attribute.name in people else ()


def _with(node: Node, people: Collection[str], now: Mapping[UUID, PersonId]) -> Node:
    match node:
        case Test():
            if isinstance(node.value, UUID) and node.parts[0] in people:
                return replace(node, value=now.get(node.value, node.value))
            return node
        case Element():
            return replace(node, node=_with(node.node, _within(node, people), now))
        case AllOf(nodes):
            return AllOf(tuple(_with(inner, people, now) for inner in nodes))
        case AnyOf(nodes):
            return AnyOf(tuple(_with(inner, people, now) for inner in nodes))
        case _:
            assert_never(node)
