"""The event reference, made from the catalogue: a page to read, and the schemas as released.

`python -m stoa.events.reference` writes both into docs/reference. Tests hold that they are current, and that a schema
which was released only ever gains fields.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from stoa.events.catalogue import EventType, discover, schema_of

PAGE: Final = "events.md"
SCHEMAS: Final = "event-types.json"
# Where schemas say they are, in a page that is no installation's own.
_BASE_URL: Final = "https://stoa.example"
_HEAD: Final = """\
# Event types

What Stoa writes to the event log, type by type: [the stream](../guides/events.md) and webhooks carry them as
CloudEvents, with the body that is described here under `data`. Made from the code by
`python -m stoa.events.reference`.

A version of a type only ever gains fields: readers ignore what they do not know. Types marked *personal* hold what is
known of a person.
"""


def page() -> str:
    """The page in Markdown."""
    types = discover()
    lines = [_HEAD, "| Type | | When |", "| --- | --- | --- |"]
    lines += [
        f"| [`{one.name}`](#{anchor(one.name)}) | {'personal' if one.personal else ''} | {one.summary} |"
        for one in types.values()
    ]
    parts: dict[str, Mapping[str, Any]] = {}
    for one in types.values():
        lines += ["", *_section(one, parts)]
    lines += ["", "## Parts", "", "What bodies are made of."]
    for name, struct in sorted(parts.items()):
        lines += ["", f"### {name}", "", str(struct.get("description", "")), "", *_table(struct, parts)]
    return "\n".join(lines) + "\n"


def schemas() -> str:
    """Every schema by type and version, as JSON with a line for each."""
    lines = [
        f'"{one.name}/{one.version}": {msgspec.json.encode(schema_of(one, _BASE_URL), order="sorted").decode()}'
        for one in discover().values()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def anchor(name: str) -> str:
    """What a heading of this name is linked by."""
    return name.replace(".", "").lower()


def _section(one: EventType, parts: dict[str, Mapping[str, Any]]) -> Iterator[str]:
    schema = schema_of(one, _BASE_URL)
    defined = cast("dict[str, Mapping[str, Any]]", schema["$defs"])
    body = _resolved(schema, defined)
    parts |= {name: struct for name, struct in defined.items() if struct is not body}
    yield f"## `{one.name}`"
    yield ""
    yield f"{one.summary} Version {one.version}{', personal' if one.personal else ''}."
    yield ""
    yield from _table(body, defined)
    if body.get("properties"):
        yield ""
    yield "```json"
    yield msgspec.json.format(msgspec.json.encode(one.example), indent=2).decode()
    yield "```"


def _table(struct: Mapping[str, Any], defined: Mapping[str, Any]) -> Iterator[str]:
    rows = list(_own_fields(struct, defined, link=True))
    if rows:
        yield "| Field | Type | Meaning |"
        yield "| --- | --- | --- |"
    for name, kind, one in rows:
        yield f"| `{name}` | {kind} | {one.get('description', '')} |"


def fields_of(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and type of every field of a body, those of its parts after it: `after.email`."""
    defined = cast("Mapping[str, Any]", schema.get("$defs", {}))
    yield from _fields(_resolved(schema, defined), defined, "")


def _fields(struct: Mapping[str, Any], defined: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, kind, one in _own_fields(struct, defined):
        yield f"{path}{name}", kind
        for choice in _choices(one):
            if "$ref" in choice:
                yield from _fields(_resolved(choice, defined), defined, f"{path}{name}.")


def _own_fields(
    struct: Mapping[str, Any], defined: Mapping[str, Any], *, link: bool = False
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    required = set(cast("Sequence[str]", struct.get("required", ())))
    for name, one in cast("Mapping[str, Mapping[str, Any]]", struct.get("properties", {})).items():
        kinds = [_kind(choice, defined, link=link) for choice in _choices(one)]
        yield name, " or ".join(kinds) + ("" if name in required else ", not always there"), one


def _choices(schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return cast("Sequence[Mapping[str, Any]]", schema.get("anyOf", (schema,)))


def _kind(schema: Mapping[str, Any], defined: Mapping[str, Any], *, link: bool) -> str:
    if link and "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return f"[{name}](#{anchor(name)})"
    resolved = _resolved(schema, defined)
    match resolved.get("type"):
        case "array":
            return f"list of {_kind(resolved['items'], defined, link=link)}"
        case str() as kind:
            return kind
        case _:
            return "anything"


def _resolved(schema: Mapping[str, Any], defined: Mapping[str, Any]) -> Mapping[str, Any]:
    ref = schema.get("$ref")
    return schema if ref is None else defined[str(ref).rsplit("/", 1)[-1]]


def broken(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What of released schemas (`schemas`, decoded) the present ones break: types and fields that are gone, fields of
    another type, and fields that are no longer always there.
    """
    found: list[str] = []
    for name, old in before.items():
        if name not in after:
            found.append(f"{name} is gone")
            continue
        now = dict(fields_of(after[name]))
        for path, kind in fields_of(old):
            if path not in now:
                found.append(f"{name}: {path} is gone")
            elif now[path] != kind:
                found.append(f"{name}: {path} was {kind}, and is {now[path]}")
    return found


def main() -> int:
    """Writes both into the folder named, docs/reference by default; refuses to break what was released."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference")
    released, present = folder / SCHEMAS, schemas()
    if released.exists():
        trouble = broken(msgspec.json.decode(released.read_bytes()), msgspec.json.decode(present))
        if trouble:
            sys.stderr.write("\n".join([*trouble, "Give such a type a new version instead.", ""]))
            return 1
    released.write_text(present, encoding="utf-8")
    (folder / PAGE).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
