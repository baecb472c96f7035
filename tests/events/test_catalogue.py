"""The catalogue of event types: whole, true to the code, and never less than what was released."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from stoa.changes.model import Action
from stoa.events import reference
from stoa.events.catalogue import Body, EventType, discover, schema_address, schema_of
from stoa.people.event_types import Fields
from stoa.people.fields import FIELDS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "stoa"
BASE = "https://stoa.example"
TYPES = discover()
# Where the type of an event is the first argument, or the second after the transaction.
EMITTERS = {"Event": 0, "tell": 1}


def literals(path: Path) -> Iterator[str]:
    """The types that a file's code names where it makes events."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in EMITTERS:
            at = EMITTERS[node.func.id]
            if len(node.args) > at and isinstance(node.args[at], ast.Constant):
                told = node.args[at]
                assert isinstance(told, ast.Constant)
                if isinstance(told.value, str):
                    yield told.value


def test_every_event_in_the_code_is_declared() -> None:
    named = {(one, path.name) for path in SOURCE.rglob("*.py") for one in literals(path)}
    assert len(named) > 15
    assert {(one, where) for one, where in named if one not in TYPES} == set()


def test_every_change_of_a_record_is_declared() -> None:
    # They are rendered from change rows, whose actions are these.
    past = {"create": "created", "link": "linked", "deactivate": "deactivated", "reactivate": "reactivated"}
    told = {past.get(action, f"{action.removesuffix('e')}ed") for action in Action}
    assert {name.removeprefix("person_record.") for name in TYPES if name.startswith("person_record.")} == told


def test_the_fields_of_people_are_those_that_sources_assert() -> None:
    assert {*Fields.__struct_fields__, "manager_ref"} == {field.name for field in FIELDS}


@pytest.mark.parametrize("declared", TYPES.values(), ids=lambda one: one.name)
def test_an_example_fits_its_schema(declared: EventType) -> None:
    schema = schema_of(declared, BASE)
    validator = jsonschema_rs.Draft202012Validator(schema)
    validator.validate(dict(declared.example))
    assert schema["$id"] == schema_address(BASE, declared) == f"{BASE}/v1/event-types/{declared.name}/versions/1"
    assert undeclared(declared.body, dict(declared.example)) == []
    assert declared.summary.endswith(".")


@pytest.mark.parametrize("declared", TYPES.values(), ids=lambda one: one.name)
def test_a_schema_refuses_a_field_of_another_type(declared: EventType) -> None:
    if not declared.example:
        with pytest.raises(jsonschema_rs.ValidationError):
            jsonschema_rs.validate(schema_of(declared, BASE), [])
    for name in declared.example:
        with pytest.raises(jsonschema_rs.ValidationError):
            jsonschema_rs.validate(schema_of(declared, BASE), {**declared.example, name: [{"no": ["such"]}]})


def undeclared(body: type[msgspec.Struct], told: dict[str, Any]) -> list[str]:
    """Fields of an example that its Struct does not name, at the top."""
    return sorted(told.keys() - set(body.__struct_fields__))


def test_the_reference_is_current() -> None:
    assert (ROOT / "docs" / "reference" / reference.PAGE).read_text(encoding="utf-8") == reference.page(), (
        "make it anew: python -m stoa.events.reference"
    )


def test_released_schemas_only_gain() -> None:
    released = msgspec.json.decode((ROOT / "docs" / "reference" / reference.SCHEMAS).read_bytes())
    present = msgspec.json.decode(reference.schemas())
    assert reference.broken(released, present) == []
    assert released.keys() == present.keys(), "store the new ones: python -m stoa.events.reference"


class Before(Body, frozen=True):
    """A body."""

    kept: str
    other: int | None


class Added(Body, frozen=True):
    """The same with more."""

    kept: str
    other: int | None
    more: str = ""


class Removed(Body, frozen=True):
    """The same with less."""

    kept: str


class Retyped(Body, frozen=True):
    """The same with other types."""

    kept: int
    other: int | None = None


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        (Before, []),
        (Added, []),
        (Removed, ["x/1: other is gone"]),
        (
            Retyped,
            ["x/1: kept was string, and is integer",
             "x/1: other was integer or null, and is integer or null, not always there"],
        ),
    ],
)  # fmt: skip
def test_what_breaks_readers_is_found(body: type[Body], trouble: list[str]) -> None:
    def drawn(body: type[Body]) -> dict[str, Any]:
        return {"x/1": schema_of(EventType("x", 1, body, "Something happened.", {}), BASE)}

    assert reference.broken(drawn(Before), drawn(body)) == trouble


def test_a_type_that_is_gone_is_found() -> None:
    one = schema_of(TYPES["domain.proven"], BASE)
    assert reference.broken({"domain.proven/1": one}, {}) == ["domain.proven/1 is gone"]
