"""The JSON Schemas of an API's types, as components of its OpenAPI document."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from stoa.api.lists import ListQuery, Tombstone
from stoa.api.operations import Operation

Json = dict[str, Any]
_REF: Final = "#/components/schemas/{name}"


class Schemas:
    """JSON Schemas of all types of the operations, by msgspec, with references to components."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations
        types: list[Any] = [ProblemDocument, Tombstone]
        for operation in operations:
            types.extend(one for one in operation.answers.values() if one is not None)
            if operation.body is not None:
                types.append(operation.body)
        unique = list(dict.fromkeys(types))
        found, components = msgspec.json.schema_components(unique, ref_template=_REF)
        renamed = {name: _component_name(name) for name in components}
        if len(set(renamed.values())) < len(renamed):
            twice = sorted(name for name, n in Counter(renamed.values()).items() if n > 1)
            raise ValueError(f"two types would be one component of the document: {', '.join(twice)}")
        self.components: dict[str, Json] = {
            renamed[name]: _with_names(schema, renamed) for name, schema in components.items()
        }
        self._of = {kind: _with_names(schema, renamed) for kind, schema in zip(unique, found, strict=True)}
        for operation in operations:
            kind = operation.answers.get(200)
            name = self._of[kind].get("$ref", "").rpartition("/")[2] if kind is not None else ""
            if name.endswith("Page"):
                self._loosen_items(self.components[name], tombstones=issubclass(operation.query, ListQuery))
        del self.components["Tombstone"]
        self._drop_unused([schema for kind, schema in self._of.items() if kind is not Tombstone])

    def _loosen_items(self, page: Json, *, tombstones: bool) -> None:
        """With `fields` an item has the wanted members alone, and a tombstone fewer still: a page's items have no
        required member but their id."""
        items = page["properties"]["items"]["items"]
        own = items.get("$ref", "").rpartition("/")[2]
        if not own or own.endswith("Item") or "id" not in self.components[own]["properties"]:
            return
        listed = f"{own}Item"
        whole = self.components[own]
        gone: Json = self.components["Tombstone"]["properties"] if tombstones else {}
        self.components[listed] = {
            **whole,
            "title": listed,
            "description": f"{whole.get('description', own)} In a list it has what `fields` asks for.",
            "properties": {**gone, **whole["properties"]},
            "required": ["id"],
        }
        items["$ref"] = _REF.format(name=listed)

    def _drop_unused(self, shown: Sequence[Json]) -> None:
        """Leaves the components that something leads to: of some types, only the items of their list are shown."""
        used: set[str] = set()
        ways = [_references(schema) for schema in shown]
        while ways:
            for name in ways.pop() - used:
                if name in self.components:
                    used.add(name)
                    ways.append(_references(self.components[name]))
        self.components = {name: schema for name, schema in self.components.items() if name in used}

    def links(self, operation: Operation, kind: Any) -> Json:
        """From what a collection answers to the operations of one of its things."""
        body: Json = self.of(kind)
        schema = self.components.get(body.get("$ref", "").rpartition("/")[2], body)
        members: Json = schema.get("properties", {})
        listed: Json = members.get("items", {}).get("items", {})
        item = self.components.get(listed.get("$ref", "").rpartition("/")[2], listed)
        where = "/items/0/id" if "id" in item.get("properties", {}) else "/id" if "id" in members else None
        if where is None or "{" in operation.path:
            return {}
        found: Json = {}
        for other in self.operations:
            rest = other.path.removeprefix(f"{operation.path}/")
            named = rest.partition("/")[0][1:-1]
            if rest != other.path and rest.startswith("{") and list(other.path_params) == [named]:
                found[other.id] = {"operationId": other.id, "parameters": {named: f"$response.body#{where}"}}
        return found

    def of(self, kind: Any) -> Json:
        """The schema of a type: a reference, as a rule."""
        return self._of[kind]


def _references(value: Any) -> set[str]:
    """The names of the components that a schema leads to at once."""
    match value:
        case dict():
            members = cast("Json", value)
            own = members.get("$ref")
            found = {own.rpartition("/")[2]} if isinstance(own, str) else set[str]()
            return found.union(*map(_references, members.values()))
        case list():
            return set[str]().union(*map(_references, cast("list[Any]", value)))
        case _:
            return set()


def _component_name(name: str) -> str:
    # A type that is called ThingShown here, where there is a Thing in the room's own model, is a Thing for outsiders.
    name = name.replace("Shown", "")
    # msgspec writes Page[Person] as Page_Person_.
    if name.startswith("Page_"):
        return f"{name.removeprefix('Page_').rstrip('_')}Page"
    return name.strip("_")


def _with_names(value: Any, renamed: Mapping[str, str]) -> Any:
    match value:
        case dict():
            members = cast("Json", value)
            reference = members.get("$ref")
            if isinstance(reference, str):
                return {"$ref": _REF.format(name=renamed[reference.rpartition("/")[2]])}
            return {name: _titled(name, _with_names(one, renamed)) for name, one in members.items()}
        case list():
            items = cast("list[Any]", value)
            return [_with_names(one, renamed) for one in items]
        case _:
            return value


def _titled(name: str, value: Any) -> Any:
    if name != "title" or not isinstance(value, str):
        return value
    return _component_name(value.replace("[", "_").replace("]", "_"))


class ProblemDocument(msgspec.Struct, kw_only=True):
    """A problem document (RFC 9457). Further members say more of some kinds."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str | None = None
    trace_id: str | None = None
