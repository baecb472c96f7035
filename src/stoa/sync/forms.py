"""The form of a connector's settings, made from the JSON Schema of its configuration. Pure: a new connector needs no
template.

Secrets are write-only: nothing here gives one back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast

import msgspec

from stoa.kernel.problems import BadInput

MOST_CHARACTERS: Final = 20_000
# The place of what is wrong with the form as a whole.
WHOLE: Final = ""
_SETTINGS: Final = "(settings)"
_ON: Final = "on"
_SAID_OTHERWISE: Final = {"Field required": "This cannot be left empty"}


class Control(StrEnum):
    """How a setting is entered. LIST and MAP: a line for each entry; JSON: whatever has no form of its own."""

    TEXT = "text"
    SECRET = "secret"  # noqa: S105 - a kind of field
    NUMBER = "number"
    CHECK = "check"
    CHOICE = "choice"
    LIST = "list"
    MAP = "map"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class FormField:
    """One setting.

    Attributes:
        name: as the configuration spells it.
        options: of a CHOICE, its values as texts.
        example: one sound value, or None.
        default: what the setting is when it is left out, as a text; None for none.
        longest: the most characters of a TEXT or SECRET, or None.
    """

    name: str
    label: str
    hint: str
    control: Control
    required: bool
    options: tuple[str, ...] = ()
    example: str | None = None
    default: str | None = None
    longest: int | None = None


def fields_of(schema: Mapping[str, Any]) -> tuple[FormField, ...]:
    """The fields of a configuration's JSON Schema (as Pydantic writes it), in its order."""
    required = frozenset(schema.get("required", ()))
    defs: Mapping[str, Any] = schema.get("$defs", {})
    return tuple(_field(name, node, defs, name in required) for name, node in schema.get("properties", {}).items())


def _field(name: str, node: Mapping[str, Any], defs: Mapping[str, Any], required: bool) -> FormField:
    told = _plain(node, defs)
    control = _control(told)
    examples: Sequence[object] = told.get("examples", ())
    default = told.get("default")
    return FormField(
        name=name,
        label=told.get("title") or name.replace("_", " ").capitalize(),
        hint=told.get("description", ""),
        control=control,
        required=required,
        options=tuple(str(option) for option in told.get("enum", ())),
        example=_text(control, examples[0]) if examples and control is not Control.SECRET else None,
        default=None if default is None or control is Control.SECRET else _text(control, default),
        longest=told.get("maxLength"),
    )


def _plain(node: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """The node with what it refers to, and without the alternative that it may be null. What stands on the node
    itself wins over what it refers to.
    """
    told = dict(node)
    alternatives = [one for one in told.pop("anyOf", ()) if one.get("type") != "null"]
    inner: Mapping[str, Any] = {}
    if "$ref" in told:
        inner = defs.get(str(told.pop("$ref")).rpartition("/")[2], {})
    elif len(alternatives) == 1:
        inner = _plain(alternatives[0], defs)
    elif len(told.get("allOf", ())) == 1:
        inner = _plain(told.pop("allOf")[0], defs)
    if "description" not in told and "title" in inner:
        # What is said of a type is for programmers.
        inner = {name: value for name, value in inner.items() if name != "description"}
    return {**inner, **told}


def _control(node: Mapping[str, Any]) -> Control:
    if node.get("writeOnly") or node.get("format") == "password":
        return Control.SECRET
    if "enum" in node:
        return Control.CHOICE
    match node.get("type"):
        case "string":
            return Control.TEXT
        case "boolean":
            return Control.CHECK
        case "integer" | "number":
            return Control.NUMBER
        case "array" if _of_texts(node.get("items")):
            return Control.LIST
        case "object" if _of_texts(node.get("additionalProperties")):
            return Control.MAP
        case _:
            return Control.JSON


def _of_texts(node: object) -> bool:
    return isinstance(node, dict) and cast("dict[str, object]", node).get("type") == "string"


# ------------------------------------------------------------------ from settings to texts


def texts_of(fields: Sequence[FormField], config: Mapping[str, Any]) -> dict[str, str]:
    """What the form shows of stored settings. Secrets stay empty."""
    return {field.name: _shown(field, config.get(field.name)) for field in fields}


def defaults_of(fields: Sequence[FormField]) -> dict[str, str]:
    """What the form of a new connection shows."""
    return {field.name: field.default or "" for field in fields}


def _shown(field: FormField, value: object) -> str:
    return "" if value is None or field.control is Control.SECRET else _text(field.control, value)


def _text(control: Control, value: object) -> str:
    match control:
        case Control.CHECK:
            return _ON if value else ""
        case Control.LIST:
            return _lines_of_list(value)
        case Control.MAP:
            return _lines_of_map(value)
        case Control.JSON:
            return _json(value)
        case _:
            return str(value)


def _lines_of_list(value: object) -> str:
    items = [str(item) for item in cast("Sequence[object]", value)]
    sound = all(item == item.strip() and item and "\n" not in item and "\r" not in item for item in items)
    return "\n".join(items) if sound and not (items and items[0].startswith("[")) else _json(items)


def _lines_of_map(value: object) -> str:
    items = {str(name): str(item) for name, item in cast("Mapping[object, object]", value).items()}
    parts = [*items, *items.values()]
    sound = all(part == part.strip() and part and "\n" not in part and "\r" not in part for part in parts)
    if not sound or any("=" in name or name.startswith("{") for name in items):
        return _json(items)
    return "\n".join(f"{name} = {item}" for name, item in items.items())


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


# ------------------------------------------------------------------ from texts to settings


class Unreadable(BadInput):
    """Some fields of a form cannot be read. `errors` names each field and what is wrong with it."""

    code = "unreadable_form"
    status = 422

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        told = "; ".join(f"{error['field']}: {error['detail']}" for error in errors)
        super().__init__(f"The form cannot be read: {told}", hint="Correct these fields.", errors=list(errors))
        self.errors = errors


def given_of(fields: Sequence[FormField], texts: Mapping[str, str]) -> dict[str, Any]:
    """The settings that somebody entered, to be checked by the connector's own model. What is empty is left out.

    Raises Unreadable with an entry for each field that cannot be read.
    """
    given: dict[str, Any] = {}
    errors: list[dict[str, str]] = []
    for field in fields:
        text = texts.get(field.name, "")
        # A password may begin or end with a space.
        text = text if field.control is Control.SECRET else text.strip()
        if field.control is Control.CHECK:
            given[field.name] = bool(text)
        elif text:
            try:
                given[field.name] = _value(field.control, text)
            except ValueError as error:
                errors.append({"field": field.name, "detail": str(error)})
    if errors:
        raise Unreadable(errors)
    return given


def _value(control: Control, text: str) -> object:
    """Raises ValueError with the message for whoever entered it."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"This is longer than {MOST_CHARACTERS:,} characters.")
    match control:
        case Control.LIST:
            return _decoded(text) if text.startswith("[") else _lines(text)
        case Control.MAP:
            return _decoded(text) if text.startswith("{") else _pairs(text)
        case Control.JSON:
            return _decoded(text)
        case _:
            return text


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name or not value:
            raise ValueError(f"Line {number} is not of the form: name = value.")
        if name in found:
            raise ValueError(f"Line {number} names {name[:80]} a second time.")
        found[name] = value
    return found


def _decoded(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"This is not JSON: {error}.") from None


def errors_by_field(problem: BadInput, fields: Sequence[FormField]) -> dict[str, str]:
    """What is wrong, by the field beside which it is shown; what fits beside none, under WHOLE."""
    known = {field.name for field in fields}
    told: dict[str, list[str]] = {}
    errors = cast("Sequence[Mapping[str, str]]", problem.extra.get("errors", ()))
    for error in errors:
        path, detail = error["field"], _SAID_OTHERWISE.get(error["detail"], error["detail"])
        name, _, inside = path.partition(".")
        if name not in known:
            text = detail if path == _SETTINGS else f"{path}: {detail}"
            name = WHOLE
        else:
            text = f"{inside}: {detail}" if inside else detail
        told.setdefault(name, []).append(text if text.endswith((".", "!", "?")) else f"{text}.")
    if not told:
        told[WHOLE] = [str(problem)]
    return {name: " ".join(texts) for name, texts in told.items()}
