"""The ways of python-scim's client (scim2-client, scim2-models): an extension is a resource to it, so it may carry
`schemas`.
"""

from dataclasses import replace
from typing import Any

from stoa.identity.scim.model import Operation, ResourceType
from stoa.identity.scim.validation import is_object, is_urn


def normalised_resource(kind: ResourceType, body: dict[str, Any]) -> dict[str, Any]:
    """The body without `schemas` inside of extensions."""
    return {name: _bare(value) if _extends(kind, name) else value for name, value in body.items()}


def normalised_operation(kind: ResourceType, operation: Operation) -> Operation:
    """The operation with an extension's bare value."""
    if operation.path is None:
        value = operation.value
        return replace(operation, value=normalised_resource(kind, value)) if is_object(value) else operation
    return replace(operation, value=_bare(operation.value)) if _extends(kind, operation.path) else operation


def _extends(kind: ResourceType, name: str) -> bool:
    return is_urn(name) and name.lower() in kind.extensions


def _bare(value: Any) -> Any:
    return {name: inner for name, inner in value.items() if name != "schemas"} if is_object(value) else value
