"""Operations upon members against a plain set: whatever the spelling, what comes of them is what the RFC's words make
of a set, one operation after the other."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from stoa.identity.scim.dialects import operations_of
from stoa.identity.scim.effort import Effort
from stoa.identity.scim.groups.patch import memberships, split_operations
from stoa.identity.scim.model import GROUP_SCHEMA, Document
from stoa.people.groups_model import Delta, Replaced

PEOPLE = [UUID(int=0x01980F5E_6F2A_7C3E_9A51_000000000000 + number) for number in range(6)]
IDS = st.sets(st.sampled_from(PEOPLE), max_size=4)
PATHS = st.sampled_from(("members", "Members", f"{GROUP_SCHEMA}:members"))
# An operation in words: the verb and whom it names; None is everybody.
Meant = tuple[str, frozenset[UUID] | None]


def _element(draw: st.DrawFn, one: UUID) -> Any:
    text = str(one).upper() if draw(st.booleans()) else str(one)
    return draw(
        st.sampled_from(
            (
                {"value": text},
                {"value": text, "$ref": None},
                {"Value": text, "display": "somebody", "type": "User"},
                {"$ref": f"https://x.example/scim/v2/Users/{text}"},
                text,
            )
        )
    )


@st.composite
def operations(draw: st.DrawFn) -> tuple[Meant, dict[str, Any]]:
    """What is meant, and one of the ways in which clients say it."""
    verb = draw(st.sampled_from(("add", "remove", "replace")))
    ids = frozenset(draw(IDS))
    spelt = draw(st.sampled_from((verb, verb.capitalize())))
    elements: Any = [_element(draw, one) for one in sorted(ids)]
    if len(elements) == 1 and draw(st.booleans()):
        elements = elements[0]
    if verb != "remove" and draw(st.booleans()):
        return (verb, ids), {"op": spelt, "value": {"members": elements}}
    if verb == "remove" and draw(st.booleans()):
        return _removal(draw, ids, spelt)
    if verb == "remove" and not ids:
        return (verb, None), {"op": spelt, "path": draw(PATHS)}
    return (verb, ids), {"op": spelt, "path": draw(PATHS), "value": elements}


def _removal(draw: st.DrawFn, ids: frozenset[UUID], spelt: str) -> tuple[Meant, dict[str, Any]]:
    path = draw(PATHS)
    if not ids:
        return ("remove", None), {"op": spelt, "path": f'{path}[type eq "user"]'}
    named = " or ".join(f'value eq "{one}"' for one in sorted(ids))
    return ("remove", ids), {"op": spelt, "path": f"{path}[{named}]"}


def model(members: frozenset[UUID], meant: Sequence[Meant]) -> frozenset[UUID]:
    """The reference."""
    for verb, ids in meant:
        match verb:
            case "add":
                members |= ids or frozenset()
            case "replace":
                members = ids or frozenset()
            case _:
                members = frozenset() if ids is None else members - ids
    return members


def done(members: frozenset[UUID], sent: list[dict[str, Any]]) -> frozenset[UUID]:
    """What the service makes of the operations."""
    rest, edits = split_operations(operations_of({"Operations": sent}))
    assert rest == []

    async def elements() -> list[Document]:
        return [{"value": str(one), "type": "User"} for one in members]

    match asyncio.run(memberships(edits, elements, Effort())):
        case None:
            return members
        case Replaced(ids):
            return ids
        case Delta(add, remove):
            assert not add & remove
            return (members | add) - remove


@given(IDS.map(frozenset), st.lists(operations(), min_size=1, max_size=6))
def test_members_are_a_set_that_is_changed_in_order_and_twice_is_as_once(
    members: frozenset[UUID], chosen: list[tuple[Meant, dict[str, Any]]]
) -> None:
    meant, sent = [one for one, _ in chosen], [one for _, one in chosen]
    expected = model(members, meant)
    assert done(members, sent) == expected
    assert done(expected, sent) == model(expected, meant)


@given(IDS.map(frozenset), operations())
def test_one_operation_repeated_changes_nothing(members: frozenset[UUID], chosen: tuple[Meant, dict[str, Any]]) -> None:
    once = done(members, [chosen[1]])
    assert done(once, [chosen[1]]) == once
