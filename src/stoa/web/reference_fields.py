"""JSON Schemas of an OpenAPI document as a reader meets them: fields with their kinds and limits, and an example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

Json = Mapping[str, Any]
# Deeper than any body of ours; a schema that holds itself ends here.
_DEEPEST: Final = 6
_LIMITS: Final = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "pattern")
_BY_FORMAT: Final[Mapping[str, str]] = {
    "uuid": "019a2b7c-4d1e-7f3a-8b5c-6d7e8f901234",
    "date": "2026-11-23",
    "date-time": "2026-11-23T09:30:00Z",
    "email": "ada@acme.example",
    "uri": "https://acme.example",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a body, or a parameter.

    Attributes:
        kind: of JSON, with its format: `string (uuid)`, `array of integer`.
        limits: JSON Schema's name of each limit, with its value.
        values: those that it may have, where they are counted.
        default: as JSON, or None.
        fields: of an object, or of the items of an array of objects.
    """

    name: str
    kind: str
    required: bool
    nullable: bool
    description: str
    limits: Sequence[tuple[str, object]]
    values: Sequence[str]
    default: str | None
    fields: Sequence["Field"]


class Reading:
    """A document whose references are followed."""

    def __init__(self, document: Json) -> None:
        self.document = document

    def followed(self, schema: Json) -> Json:
        """What a schema or header stands for."""
        while "$ref" in schema:
            found: Any = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            # Words beside a reference are of the place where it stands.
            schema = {**cast("Json", found), **{name: value for name, value in schema.items() if name != "$ref"}}
        return schema

    def fields(self, schema: Json, depth: int = 0) -> tuple[Field, ...]:
        """The members of an object, of the items of an array, or of either kind of object that it may be."""
        if depth >= _DEEPEST:
            return ()
        found: dict[str, Field] = {}
        for one in self._objects(schema):
            required = one.get("required", ())
            for name, member in one.get("properties", {}).items():
                found.setdefault(name, self.field(name, member, required=name in required, depth=depth + 1))
        return tuple(found.values())

    def _objects(self, schema: Json) -> list[Json]:
        schema = self.followed(schema)
        if "anyOf" in schema:
            return [found for one in schema["anyOf"] for found in self._objects(one)]
        if isinstance(schema.get("items"), dict):
            return self._objects(schema["items"])
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            return self._objects(cast("Json", more))
        return [schema] if "properties" in schema else []

    def field(self, name: str, schema: Json, *, required: bool, depth: int = 0) -> Field:
        """One member, or one parameter."""
        whole = self.followed(schema)
        kinds = [self.followed(one) for one in whole.get("anyOf", [whole])]
        told = [one for one in kinds if one.get("type") != "null"]
        limits = [(limit, one[limit]) for one in told for limit in _LIMITS if limit in one]
        return Field(
            name,
            " or ".join(dict.fromkeys(self.kind(one) for one in told)) or "null",
            required,
            len(told) < len(kinds),
            whole.get("description", ""),
            tuple(limits),
            tuple(str(value) for one in told for value in one.get("enum", ())),
            None if whole.get("default") is None else as_json(whole["default"]),
            self.fields(whole, depth),
        )

    def kind(self, schema: Json) -> str:
        """What JSON a schema asks for, in a few words."""
        schema = self.followed(schema)
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(self.kind(one) for one in schema["anyOf"]))
        if "enum" in schema:
            return "string" if all(isinstance(one, str) for one in schema["enum"]) else "value"
        kind = schema.get("type", "any")
        if isinstance(kind, list):
            return " or ".join(map(str, cast("list[object]", kind)))
        if kind == "array":
            return f"array of {self.kind(schema.get('items', {}))}"
        return f"{kind} ({schema['format']})" if "format" in schema else str(kind)

    def example(self, schema: Json, depth: int = 0) -> object:
        """A value that fits a schema."""
        schema = self.followed(schema)
        for name in ("example", "default"):
            if schema.get(name) is not None:
                return schema[name]
        if schema.get("examples"):
            return schema["examples"][0]
        if "anyOf" in schema:
            return self.example(schema["anyOf"][0], depth)
        if "enum" in schema:
            return schema["enum"][0]
        return self._example_of(schema, depth)

    def _example_of(self, schema: Json, depth: int) -> object:
        match schema.get("type"):
            case "object":
                members: Mapping[str, Json] = schema.get("properties", {}) if depth < _DEEPEST else {}
                return {name: self.example(one, depth + 1) for name, one in members.items()}
            case "array":
                return [self.example(schema.get("items", {}), depth + 1)] if depth < _DEEPEST else []
            case "integer" | "number":
                return max(schema.get("minimum", 1), 1)
            case "boolean":
                return True
            case "string":
                return _BY_FORMAT.get(schema.get("format", ""), "text")
            case _:
                return None


def as_json(value: object) -> str:
    """A value as JSON for readers."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
