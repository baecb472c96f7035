"""What would break a client between two OpenAPI documents: the released one, and the one that is to come.

Looked for from the client's side: an operation, answer or member that is gone; a member, parameter or body that is
newly asked for; a type or format that is another one; a value that is no longer taken. What is added is never a break.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

Json = dict[str, Any]
Way = Literal["request", "answer"]
_DEEPEST = 12


def breaking_changes(released: Json, coming: Json) -> list[str]:
    """One line for each break, with the place. Empty when every client of the released API goes on working."""
    return sorted(set(_operations(_Pair(released, coming))))


class _Pair:
    """Two documents, with their components at hand."""

    def __init__(self, released: Json, coming: Json) -> None:
        self.released, self.coming = released, coming

    def old(self, schema: Json) -> Json:
        return _followed(self.released, schema)

    def new(self, schema: Json) -> Json:
        return _followed(self.coming, schema)


def _followed(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = cast("Json", found)
    return schema


def _operations(pair: _Pair) -> Iterator[str]:
    paths: Mapping[str, Json] = pair.coming["paths"]
    for path, methods in pair.released["paths"].items():
        for method, old in methods.items():
            new = paths.get(path, {}).get(method)
            where = f"{method.upper()} {path}"
            if new is None:
                yield f"{where}: the operation is gone"
                continue
            if old["operationId"] != new["operationId"]:
                yield f"{where}: its id {old['operationId']} became {new['operationId']}"
            yield from _parameters(pair, where, old, new)
            yield from _bodies(pair, where, old, new)
            yield from _answers(pair, where, old, new)


def _parameters(pair: _Pair, where: str, old: Json, new: Json) -> Iterator[str]:
    before = {(one["in"], one["name"]): one for one in old.get("parameters", ())}
    after = {(one["in"], one["name"]): one for one in new.get("parameters", ())}
    for key, one in after.items():
        if one.get("required") and not before.get(key, {}).get("required"):
            yield f"{where}: the parameter {key[1]} is asked for"
    for key, one in before.items():
        there = f"{where}: parameter {key[1]}"
        if key not in after:
            yield f"{there} is gone"
        else:
            yield from _schemas(pair, there, one["schema"], after[key]["schema"], "request", 0)


def _content(of: Json) -> Mapping[str, Json]:
    return of.get("content", {})


def _bodies(pair: _Pair, where: str, old: Json, new: Json) -> Iterator[str]:
    before, after = old.get("requestBody"), new.get("requestBody")
    if after is not None and after.get("required") and (before is None or not before.get("required")):
        yield f"{where}: a body is asked for"
    if before is None:
        return
    for media_type, one in _content(before).items():
        other = _content(after or {}).get(media_type)
        if other is None:
            yield f"{where}: a body of {media_type} is no longer taken"
        else:
            yield from _schemas(pair, f"{where}: body", one["schema"], other["schema"], "request", 0)


def _answers(pair: _Pair, where: str, old: Json, new: Json) -> Iterator[str]:
    for status, before in old["responses"].items():
        # What is refused may come to be refused for another reason; what is answered may not.
        if not status.startswith("2"):
            continue
        after = new["responses"].get(status)
        if after is None:
            yield f"{where}: the answer {status} is gone"
            continue
        for media_type, one in _content(before).items():
            other = _content(after).get(media_type)
            if other is None:
                yield f"{where}: {status} no longer comes as {media_type}"
            else:
                yield from _schemas(pair, f"{where}: {status}", one["schema"], other["schema"], "answer", 0)


def _schemas(pair: _Pair, where: str, old: Json, new: Json, way: Way, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    old, new = pair.old(old), pair.new(new)
    before, after = _types(pair.old, old), _types(pair.new, new)
    # A request may come to take more, an answer to hold less; never the other way round.
    lost = before - after if way == "request" else after - before
    if lost and before and after:
        gone = ", ".join(sorted(lost))
        yield f"{where}: {'no longer takes' if way == 'request' else 'may now be'} {gone}"
    values, others = old.get("enum"), new.get("enum")
    if way == "request" and others is not None and (values is None or set(values) - set(others)):
        yield f"{where}: takes fewer values"
    if way == "request":
        yield from _limits(where, old, new)
    yield from _members(pair, where, old, new, way, depth)
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        yield from _schemas(pair, f"{where}[]", old["items"], new["items"], way, depth + 1)


def _limits(where: str, old: Json, new: Json) -> Iterator[str]:
    for name in ("maximum", "maxLength", "maxItems"):
        if name in new and new[name] < old.get(name, float("inf")):
            yield f"{where}: {name} fell to {new[name]}"
    for name in ("minimum", "minLength", "minItems"):
        if name in new and new[name] > old.get(name, float("-inf")):
            yield f"{where}: {name} rose to {new[name]}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{where}: the pattern is another one"


def _members(pair: _Pair, where: str, old: Json, new: Json, way: Way, depth: int) -> Iterator[str]:
    before: Mapping[str, Json] = old.get("properties", {})
    after: Mapping[str, Json] = new.get("properties", {})
    for name, schema in before.items():
        if name not in after:
            yield f"{where}.{name} is gone"
        else:
            yield from _schemas(pair, f"{where}.{name}", schema, after[name], way, depth + 1)
    asked, was = set(new.get("required", ())), set(old.get("required", ()))
    changed = asked - was if way == "request" else (was - asked) & set(after)
    for name in sorted(changed):
        yield f"{where}.{name} is {'asked for' if way == 'request' else 'no longer always there'}"


def _types(follow: Any, schema: Json) -> frozenset[str]:
    """The types with their formats that a schema allows."""
    if "anyOf" in schema:
        return frozenset[str]().union(*(_types(follow, follow(one)) for one in schema["anyOf"]))
    kinds: Any = schema.get("type", [])
    named: list[str] = [kinds] if isinstance(kinds, str) else kinds
    form = f":{schema['format']}" if "format" in schema else ""
    return frozenset(f"{kind}{form}" for kind in named)
