"""A bulk request as values (RFC 7644, 3.7): its operations, and what they refer to by `bulkId`. Pure."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from stoa.identity.scim.errors import ScimError, ScimType, bad, invalid_syntax, invalid_value
from stoa.identity.scim.validation import MAX_DEPTH, described, is_list, is_object

BULK_REQUEST: Final = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
BULK_RESPONSE: Final = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
MAX_OPERATIONS: Final = 1_000
MAX_PAYLOAD: Final = 4 * 1_048_576
_MARK: Final = "bulkId:"
_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KINDS: Final = {"users": "Users", "groups": "Groups"}
_LONGEST_ID: Final = 200
# Of an operation's data: an extension may nest so deep, and stands some levels down in a PATCH.
_DEEPEST: Final = MAX_DEPTH + 10
_GONE: Final = object()


@dataclass(frozen=True, slots=True)
class Item:
    """One operation.

    Attributes:
        index: its place in the request, from 0.
        said_method: as it was written; method: in capitals.
        kind: `Users` or `Groups`; resource: the id in its path, or the bulkId that stands there for one; both empty for
            a path that is none.
        needs: the bulkIds to which it refers.
        fault: why it cannot be done at all.
    """

    index: int
    said_method: str
    method: str
    kind: str
    resource: str
    bulk_id: str | None
    version: str | None
    data: Any
    needs: frozenset[str]
    fault: ScimError | None = None

    @property
    def makes_user(self) -> bool:
        """Whether it is a POST of a user."""
        return self.method == "POST" and self.kind == "Users"


def items_of(body: object) -> tuple[list[Item], int]:
    """The operations, and after how many errors to stop (0: never).

    Raises ScimError: 413 for too many, invalidSyntax for what is no bulk request.
    """
    if not is_object(body):
        raise invalid_syntax(f"The body must be a JSON object with Operations, not {described(body)}.")
    members: dict[str, Any] = {name.lower(): value for name, value in body.items()}
    schemas = members.get("schemas")
    if not is_list(schemas) or not any(isinstance(one, str) and one.lower() == BULK_REQUEST.lower() for one in schemas):
        raise invalid_syntax(f'"schemas" must hold {BULK_REQUEST}.')
    given = members.get("operations")
    if not is_list(given) or not given:
        raise invalid_syntax('The body must have "Operations", a list of at least one operation.')
    if len(given) > MAX_OPERATIONS:
        detail = f"A bulk request takes at most {MAX_OPERATIONS} operations, not {len(given)}. Send them in parts."
        raise ScimError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    limit = members.get("failonerrors")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise invalid_value('"failOnErrors" must be a whole number from 1.')
    items = [_item(index, one) for index, one in enumerate(given)]
    return _told_apart(items), limit or 0


def _item(index: int, given: object) -> Item:
    if not is_object(given):
        raise invalid_syntax(f"Operation {index + 1} must be an object, not {described(given)}.")
    members: dict[str, Any] = {name.lower(): value for name, value in given.items()}
    method, path = members.get("method"), members.get("path")
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise invalid_syntax(f'Operation {index + 1}: "method" must be POST, PUT, PATCH or DELETE.')
    if not isinstance(path, str):
        raise invalid_syntax(f'Operation {index + 1}: "path" must be a string, not {described(path)}.')
    bulk_id, version = (_text_of(index, members, name) for name in ("bulkid", "version"))
    kind, resource = _parts(path)
    data = members.get("data")
    needs = frozenset(_references(data, 0))
    if resource.startswith(_MARK):
        resource = resource.removeprefix(_MARK)
        needs |= {resource}
    fault = _fault(method.upper(), kind, resource, bulk_id, data)
    return Item(index, method, method.upper(), kind, resource, bulk_id, version, data, needs, fault)


def _text_of(index: int, members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is not None and (not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_ID):
        raise invalid_syntax(f'Operation {index + 1}: "{name}" must be a string of 1 to {_LONGEST_ID} characters.')
    return value


def _parts(path: str) -> tuple[str, str]:
    """The kind and the id of a path such as `/Users/4711`; both empty for one that names neither."""
    parts = path.strip("/").split("/")
    kind = _KINDS.get(parts[0].lower(), "")
    if not kind or len(parts) > 2 or "?" in path:
        return "", ""
    return kind, parts[1] if len(parts) == 2 else ""


def _fault(method: str, kind: str, resource: str, bulk_id: str | None, data: Any) -> ScimError | None:
    if not kind:
        return bad(ScimType.INVALID_PATH, "The path must be /Users, /Groups, or one of them and an id.")
    if (method == "POST") == bool(resource):
        what = "the list, such as /Users" if method == "POST" else "one resource, such as /Users/ID"
        return bad(ScimType.INVALID_PATH, f"The path of a {method} is that of {what}.")
    if method == "POST" and bulk_id is None:
        return invalid_syntax('A POST needs a "bulkId", by which its answer is told from the others.')
    if method != "DELETE" and not is_object(data):
        return invalid_syntax(f'A {method} needs "data", an object, not {described(data)}.')
    return None


def _told_apart(items: list[Item]) -> list[Item]:
    """The items; a bulkId that comes twice, and one that nothing in the request has, are faults."""
    made: set[str] = set()
    for item in items:
        if item.method == "POST" and item.bulk_id is not None and item.bulk_id not in made:
            made.add(item.bulk_id)
    seen: set[str] = set()
    told: list[Item] = []
    for item in items:
        fault = item.fault
        if fault is None and not item.needs <= made:
            unknown = ", ".join(sorted(item.needs - made))[:200]
            fault = ScimError(
                HTTPStatus.CONFLICT, f"No operation of this request makes a resource with bulkId {unknown}."
            )
        if item.method == "POST" and item.bulk_id is not None:
            if item.bulk_id in seen:
                fault = invalid_value(f"The bulkId {item.bulk_id!r} stands at an earlier operation too.")
            seen.add(item.bulk_id)
        # What is at fault waits for nothing.
        needs = item.needs if fault is None else frozenset[str]()
        told.append(dataclasses.replace(item, fault=fault, needs=needs))
    return told


def _references(value: Any, depth: int) -> Iterator[str]:
    """The bulkIds that a value names. Raises ScimError for one that nests deeper than any resource may."""
    if depth > _DEEPEST:
        raise invalid_syntax("The body nests too deeply.")
    if isinstance(value, str):
        if value.startswith(_MARK):
            yield value.removeprefix(_MARK)
    elif is_object(value):
        for inner in value.values():
            yield from _references(inner, depth + 1)
    elif is_list(value):
        for inner in value:
            yield from _references(inner, depth + 1)


def resolved(value: Any, ids: Mapping[str, str]) -> Any:
    """The value with the ids of resources in place of their bulkIds."""
    if isinstance(value, str) and value.startswith(_MARK):
        return ids.get(value.removeprefix(_MARK), value)
    if is_object(value):
        return {name: resolved(inner, ids) for name, inner in value.items()}
    return [resolved(inner, ids) for inner in value] if is_list(value) else value


def without_references(data: Any) -> Any:
    """The value without what refers to a bulkId: the whole reference, not its `value` alone."""
    if not is_object(data):
        return data
    kept = {name: _without(inner) for name, inner in data.items()}
    return {name: inner for name, inner in kept.items() if inner is not _GONE}


def _without(value: Any) -> Any:
    if isinstance(value, str):
        return _GONE if value.startswith(_MARK) else value
    if is_object(value):
        if any(isinstance(inner, str) and inner.startswith(_MARK) for inner in value.values()):
            return _GONE
        return without_references(value)
    if is_list(value):
        return [inner for inner in map(_without, value) if inner is not _GONE]
    return value
