"""Entra ID's ways, with and without the flag aadOptscim062020 (learn.microsoft.com: "Known issues and resolutions
with SCIM 2.0 protocol compliance").

- Booleans as text: `{"op": "Replace", "path": "active", "value": "False"}`.
- Several attributes in one operation without a path, under dotted and URN keys: `{"name.givenName": "...",
  "urn:...:2.0:User:department": "..."}`.
- `emails[type eq "work"].value` on a user who has no such e-mail: makes one.
- The manager as a plain id, or as a list of one reference; its empty value means none.
- Attributes of the enterprise extension without their schema: `manager`.
- Values to take from a multi-valued attribute in the operation's value rather than in a filter.
- The flag as a part of the tenant's URL, so that it turns up wherever URLs are joined.
"""

import re
from dataclasses import replace
from typing import Any, Final

from stoa.identity.scim.dialects.clients import KnownClient
from stoa.identity.scim.errors import ScimError, invalid_value
from stoa.identity.scim.model import Attribute, Kind, Operation, ResourceType, Verb
from stoa.identity.scim.paths import Target, resolve
from stoa.identity.scim.schemas import attribute_of
from stoa.identity.scim.validation import MAX_ELEMENTS, is_list, is_object, is_urn
from stoa.kernel.filters import render_literal

CLIENT: Final = KnownClient(
    "Microsoft Entra ID",
    (
        "https://learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups",
        "https://learn.microsoft.com/entra/identity/app-provisioning/application-provisioning-config-problem-scim-compatibility",
    ),
    quirks=True,
)
# No schema has as many attributes.
_MOST_NAMED: Final = 1_000
FLAG: Final = "aadOptscim062020"
_FLAG_WITH_SEPARATOR = re.compile(rf"(?:%3[fF]|%26|[?&])?{FLAG}(?:=(?:true|1)?)?", re.IGNORECASE)
_TEXT_BOOLEANS: Final = {"true": True, "false": False}


# ------------------------------------------------------------------ the flag in the URL


def has_flag(path: str, query: str) -> bool:
    """Whether the flag is anywhere in a request's path or query, where the ordinary routes may not have understood
    it.
    """
    return FLAG.lower() in path.lower() or FLAG.lower() in query.lower()


def without_flag(path: str, query: str) -> tuple[str, str]:
    """Path and query as they would be had the flag not been in the tenant's URL.

    `/scim/v2` with the query `aadOptscim062020/Users?filter=...` comes from joining the URL and a path as text.
    """
    joined = f"{path}?{query}" if query else path
    cut = _FLAG_WITH_SEPARATOR.sub("?", joined)
    before, _, after = cut.partition("?")
    if after.lstrip("?&").startswith("/"):
        further, _, after = after.lstrip("?&").partition("?")
        before = before.rstrip("/") + further
    return before, re.sub(r"[?&]+", "&", after).strip("&")


# ------------------------------------------------------------------ resources


def normalised_resource(kind: ResourceType, body: dict[str, Any]) -> dict[str, Any]:
    """The body with real booleans, and references as objects."""
    fixed: dict[str, Any] = {}
    for name, value in body.items():
        if is_urn(name):
            extension = kind.extensions.get(name.lower())
            if extension is not None and is_object(value):
                value = {key: _fixed(extension.by_name.get(key.lower()), inner) for key, inner in value.items()}
            fixed[name] = value
        else:
            fixed[name] = _fixed(attribute_of(kind, name), value)
    return fixed


def _fixed(attribute: Attribute | None, value: Any) -> Any:
    if attribute is None or value is None:
        return value
    if attribute.kind is Kind.BOOLEAN:
        return _TEXT_BOOLEANS.get(value.lower(), value) if isinstance(value, str) else value
    if attribute.kind is not Kind.COMPLEX:
        return value
    if attribute.multi_valued:
        return [_fixed_object(attribute, one) for one in value] if is_list(value) else _fixed_object(attribute, value)
    return _fixed_object(attribute, _reference(value) if "$ref" in attribute.by_name else value)


def _fixed_object(attribute: Attribute, value: Any) -> Any:
    if not is_object(value):
        return value
    return {name: _fixed(attribute.by_name.get(name.lower()), inner) for name, inner in value.items()}


def _reference(value: Any) -> Any:
    """A reference as an object; None for one whose value is empty, or that says nothing."""
    if is_list(value) and len(value) <= 1:
        value = value[0] if value else None
    if isinstance(value, str):
        value = {"value": value}
    if is_object(value) and not value.get("$ref") and _names_nobody(value):
        return None
    return value


def _names_nobody(value: dict[str, Any]) -> bool:
    told = [value["value"]] if "value" in value else list(value.values())
    # Compared, not looked up in a set: what a client sends may be a list.
    return all(one is None or one == "" for one in told)


# ------------------------------------------------------------------ operations


def normalised_operation(kind: ResourceType, operation: Operation) -> list[Operation]:
    """The operations that the RFC would have for this one."""
    if operation.path is None:
        return _spread(kind, operation)
    return _single(kind, operation, operation.path)


def _spread(kind: ResourceType, operation: Operation) -> list[Operation]:
    """An operation without a path: keys that are paths become operations of their own, the rest stays together."""
    if not is_object(operation.value):
        return [operation]
    if len(operation.value) > _MOST_NAMED:
        raise invalid_value(f"An operation names at most {_MOST_NAMED} attributes, not {len(operation.value)}.")
    plain: dict[str, Any] = {}
    apart: list[Operation] = []
    for name, value in operation.value.items():
        if (
            is_urn(name) and name.lower() not in kind.extensions and not name.lower().endswith(f":{kind.name.lower()}")
        ) or (not is_urn(name) and ("." in name or "[" in name or _home(kind, name) is not None)):
            apart += _single(kind, replace(operation, path=name, value=value), name)
        else:
            plain[name] = value
    whole = [replace(operation, value=normalised_resource(kind, plain))] if plain or not apart else []
    return [*whole, *apart]


def _home(kind: ResourceType, name: str) -> str | None:
    """The URN of the extension that has an attribute of this name, which the core has not."""
    if attribute_of(kind, name) is not None:
        return None
    return next((schema.urn for schema in kind.extensions.values() if name.lower() in schema.by_name), None)


def _single(kind: ResourceType, operation: Operation, path: str) -> list[Operation]:
    home = None if is_urn(path) else _home(kind, re.split(r"[.\[]", path, maxsplit=1)[0].strip())
    full = path if home is None else f"{home}:{path}"
    try:
        target = resolve(kind, full)
    except ScimError:
        # The core says what is wrong with it, and in which operation.
        return [operation]
    operation = replace(operation, path=full)
    if not isinstance(target, Target):
        return [replace(operation, value=_fixed_extension(kind, full, operation.value))]
    if operation.verb is Verb.REMOVE:
        return _removals(target, operation)
    value = _fixed(target.sub or target.attribute, operation.value)
    if target.sub is not None and target.sub.name == "value" and "$ref" in target.attribute.by_name and value == "":
        value = None
    return [replace(operation, value=value, creates=target.chosen is not None)]


def _fixed_extension(kind: ResourceType, urn: str, value: Any) -> Any:
    fixed = normalised_resource(kind, {urn: value})
    return fixed[urn]


def _removals(target: Target, operation: Operation) -> list[Operation]:
    """`remove` with the values to take away in its value: one filter for each."""
    multi = target.attribute.multi_valued and target.sub is None and target.chosen is None
    given = operation.value if is_list(operation.value) else [operation.value]
    named = [one.get("value") if is_object(one) else one for one in given]
    if not multi or not named or not all(isinstance(one, str) for one in named):
        return [replace(operation, value=None)]
    if len(named) > MAX_ELEMENTS:
        raise invalid_value(f"An operation takes away at most {MAX_ELEMENTS} values, not {len(named)}.")
    return [replace(operation, path=f"{operation.path}[value eq {render_literal(one)}]", value=None) for one in named]
