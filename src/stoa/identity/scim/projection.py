"""`attributes` and `excludedAttributes` (RFC 7644, 3.9). Pure."""

from dataclasses import dataclass
from typing import Any, Final

from stoa.identity.scim.errors import invalid_value
from stoa.identity.scim.model import Document, ResourceType
from stoa.identity.scim.validation import is_list, is_object, is_urn

# `returned: always` (RFC 7643, 3.1 and 7).
_ALWAYS: Final = frozenset({"schemas", "id"})
MAX_NAMES: Final = 200

# Lower-case name to None (the whole attribute) or to the lower-case names of its sub-attributes.
_Wanted = dict[str, set[str] | None]


@dataclass(frozen=True, slots=True)
class Projection:
    """What of a resource is returned. Without names: all of it."""

    names: _Wanted
    excludes: bool


WHOLE: Final = Projection({}, excludes=True)


def projection(kind: ResourceType, attributes: str | None, excluded: str | None) -> Projection:
    """From the two query parameters, each a list with commas. Names that no resource has are passed over. Raises
    ScimError when both are given.
    """
    if not attributes and not excluded:
        return WHOLE
    if attributes and excluded:
        raise invalid_value('"attributes" and "excludedAttributes" exclude each other.')
    listed = attributes or excluded or ""
    names = [name.strip() for name in listed.split(",") if name.strip()]
    if len(names) > MAX_NAMES:
        raise invalid_value(f"At most {MAX_NAMES} attribute names are read, not {len(names)}.")
    wanted: _Wanted = {}
    for name in names:
        top, sub = _split(kind, name)
        if sub is None:
            wanted[top] = None
        elif (subs := wanted.setdefault(top, set())) is not None:
            subs.add(sub)
    return Projection(wanted, excludes=not attributes)


def _split(kind: ResourceType, name: str) -> tuple[str, str | None]:
    """Attribute and sub-attribute; for an extension its URN and the attribute in it."""
    lowered = name.lower()
    core = f"{kind.schema.urn.lower()}:"
    if lowered.startswith(core):
        lowered = lowered.removeprefix(core)
    if is_urn(lowered):
        if lowered in kind.extensions or lowered.endswith(f":{kind.name.lower()}"):
            return lowered, None
        urn, _, attribute = lowered.rpartition(":")
        return urn, attribute
    top, _, sub = lowered.partition(".")
    return top, sub or None


def projected(document: Document, wanted: Projection) -> Document:
    """The part of the resource that is asked for; `id` and `schemas` always."""
    if not wanted.names:
        return document
    result: Document = {}
    for name, value in document.items():
        named = name.lower() in wanted.names
        subs = wanted.names.get(name.lower())
        if name in _ALWAYS:
            result[name] = value
        elif named and subs is not None:
            part = _part(value, subs, excludes=wanted.excludes)
            if part not in ({}, []):
                result[name] = part
        elif named is not wanted.excludes:
            result[name] = value
    return result


def _part(value: Any, subs: set[str], *, excludes: bool) -> Any:
    if is_list(value):
        parts = [_part(one, subs, excludes=excludes) for one in value]
        return [part for part in parts if part != {}]
    if not is_object(value):
        return value
    return {name: inner for name, inner in value.items() if _chosen(name.lower(), subs) is not excludes}


def _chosen(name: str, subs: set[str]) -> bool:
    return name in subs or any(sub.startswith(f"{name}.") for sub in subs)
