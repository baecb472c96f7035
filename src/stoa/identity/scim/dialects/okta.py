"""Okta's ways (developer.okta.com, SCIM 2.0 protocol reference and FAQs).

Okta reads a resource, lays its own attributes over it and sends it back, so that what only the server may say comes
along in PATCH operations without a path (`{"op": "replace", "value": {"id": "...", "displayName": "..."}}`). There it
is passed over, as in a PUT.
"""

from dataclasses import replace
from typing import Final

from stoa.identity.scim.dialects.clients import KnownClient
from stoa.identity.scim.model import Mutability, Operation, ResourceType
from stoa.identity.scim.schemas import attribute_of
from stoa.identity.scim.validation import is_object

CLIENT: Final = KnownClient(
    "Okta",
    (
        "https://developer.okta.com/docs/reference/scim/scim-20/",
        "https://developer.okta.com/docs/concepts/scim/",
        "https://developer.okta.com/docs/concepts/scim/faqs/",
    ),
    quirks=True,
)


def normalised_operation(kind: ResourceType, operation: Operation) -> list[Operation]:
    """The operation without the read-only attributes that came along; none if nothing else was in it."""
    if operation.path is not None or not is_object(operation.value):
        return [operation]
    kept = {name: value for name, value in operation.value.items() if not _read_only(kind, name)}
    if len(kept) == len(operation.value):
        return [operation]
    return [replace(operation, value=kept)] if kept else []


def _read_only(kind: ResourceType, name: str) -> bool:
    attribute = attribute_of(kind, name)
    return attribute is not None and attribute.mutability is Mutability.READ_ONLY
