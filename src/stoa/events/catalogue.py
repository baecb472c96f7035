"""The catalogue of event types: what each means, what its body holds, and how its schema reads.

Each room declares its own in `event_types.py`; `discover` finds them all. A released version of a type only ever gains
fields: a test compares the schemas with those stored under docs/reference/event-types.json.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final, cast

import msgspec

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_MODULE: Final = "event_types"


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event.

    Attributes:
        name: dotted, in the past tense: `person.deactivated`.
        version: of the body; rises when a body no longer fits the schema that was released.
        body: what its body holds, as a Struct; its fields carry their meaning in `msgspec.Meta`.
        summary: when it happens, in one sentence.
        example: a body.
        personal: whether bodies hold what is known of a person.
    """

    name: str
    version: int
    body: type[msgspec.Struct]
    summary: str
    example: Mapping[str, object]
    personal: bool = False


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an event. Readers ignore fields that they do not know: later releases add some."""


class Nothing(Body, frozen=True):
    """An empty body: all there is to say stands in the envelope."""


@cache
def discover(package: str = "stoa") -> Mapping[str, EventType]:
    """Every type by its name, in the order of names, out of each `event_types` module of the package.

    Raises:
        ValueError: two rooms declare the same type.
    """
    found: dict[str, EventType] = {}
    for declared in _declared(package):
        if declared.name in found:
            raise ValueError(f"the event type {declared.name} is declared twice")
        found[declared.name] = declared
    return dict(sorted(found.items()))


def _declared(package: str) -> Iterator[EventType]:
    for module in iter_modules(import_module(package).__path__):
        name = f"{package}.{module.name}"
        if module.ispkg:
            yield from _declared(name)
        elif module.name == _MODULE:
            yield from cast("tuple[EventType, ...]", import_module(name).EVENT_TYPES)


def schema_address(base_url: str, declared: EventType) -> str:
    """Where the schema of a type's body is served: the envelope's `dataschema`, and the schema's `$id`."""
    return f"{base_url}/v1/event-types/{declared.name}/versions/{declared.version}"


def schema_of(declared: EventType, base_url: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a type's body, whole in itself."""
    drawn = msgspec.json.schema(declared.body)
    return {
        "$schema": _DRAFT,
        "$id": schema_address(base_url, declared),
        "title": declared.name,
        "description": declared.summary,
        "examples": [dict(declared.example)],
        **drawn,
    }
