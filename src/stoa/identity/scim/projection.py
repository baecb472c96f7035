"""`attributes` and `excludedAttributes` (RFC 7644, 3.9). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Union

from stoa.identity.scim.errors import invalid_value
from stoa.identity.scim.model import Document, ResourceType
from stoa.identity.scim.validation import is_list, is_object, is_urn

# `returned: always` (RFC 7643, 3.1 and 7).
_ALWAYS: Final = frozenset({"schemas", "id"})
MAX_NAMES: Final = 200

# Lower-case names to what of each: None is the whole attribute.
_Names = dict[str, Union["_Names", None]]


@dataclass(frozen=True, slots=True)
class Projection:
    """What of a resource is returned. Without names: all of it."""

    names: Mapping[str, Any]
    excludes: bool

    def includes(self, name: str) -> bool:
        """Whether anything of the attribute with this name, in lower case, is asked for."""
        named = name in self.names
        return not named or self.names[name] is not None if self.excludes else named

    def requests(self, name: str, sub: str) -> bool:
        """Whether a sub-attribute is named that comes on request alone; both names in lower case."""
        return not self.excludes and sub in (self.names.get(name) or ())


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
    wanted: _Names = {}
    for name in names:
        _add(wanted, _steps(kind, name))
    return Projection(wanted, excludes=not attributes)


def _add(wanted: _Names, steps: list[str]) -> None:
    """A name among those that are wanted already: the whole of an attribute includes its parts."""
    here: _Names = wanted
    for step in steps[:-1]:
        inner = here.setdefault(step, {})
        if inner is None:
            return
        here = inner
    here[steps[-1]] = None


def _steps(kind: ResourceType, name: str) -> list[str]:
    """Attribute and sub-attribute; before them the URN of an extension."""
    lowered = name.lower()
    core = f"{kind.schema.urn.lower()}:"
    if lowered.startswith(core):
        lowered = lowered.removeprefix(core)
    if not is_urn(lowered):
        return _dotted(lowered)
    if lowered in kind.extensions or lowered.endswith(f":{kind.name.lower()}"):
        return [lowered]
    urn, _, attribute = lowered.rpartition(":")
    return [urn, *_dotted(attribute)]


def _dotted(name: str) -> list[str]:
    top, _, sub = name.partition(".")
    return [top, sub] if sub else [top]


def projected(document: Document, wanted: Projection) -> Document:
    """The part of the resource that is asked for; `id` and `schemas` always."""
    if not wanted.names:
        return document
    always = {name: document[name] for name in document if name in _ALWAYS}
    part = _part(
        {name: value for name, value in document.items() if name not in _ALWAYS}, wanted.names, wanted.excludes
    )
    return always | part


def _part(value: Any, names: Mapping[str, Any], excludes: bool) -> Any:
    if is_list(value):
        parts = [_part(one, names, excludes) for one in value]
        return [part for part in parts if part != {}]
    if not is_object(value):
        return value
    result: Document = {}
    for name, inner in value.items():
        named, subs = name.lower() in names, names.get(name.lower())
        if named and subs is not None:
            part = _part(inner, subs, excludes)
            if part not in ({}, []):
                result[name] = part
        elif named is not excludes:
            result[name] = inner
    return result
