"""Identifiers. Every id made here is a UUIDv7 (RFC 9562, 5.7): unique anywhere, and in order of making."""

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

TenantId = NewType("TenantId", UUID)
SourceId = NewType("SourceId", UUID)
ConnectionId = NewType("ConnectionId", UUID)
CredentialId = NewType("CredentialId", UUID)
ClientId = NewType("ClientId", UUID)
EndpointId = NewType("EndpointId", UUID)
RunId = NewType("RunId", UUID)
OperatorId = NewType("OperatorId", UUID)
PersonId = NewType("PersonId", UUID)
# The SCIM id of one source's record of a person. It equals the person's id when made, and never changes afterwards.
ResourceId = NewType("ResourceId", UUID)
GroupId = NewType("GroupId", UUID)


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()


def parse_id(text: str) -> UUID | None:
    """The UUID that `text` spells in its canonical 36-character form, or None. Never raises: ids come from URLs."""
    if len(text) != 36:
        return None
    try:
        found = UUID(text)
    except ValueError:
        return None
    # UUID() also reads spaces, digits of other scripts, and hyphens that stand elsewhere.
    return found if str(found) == text.lower() else None
