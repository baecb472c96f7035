"""Documents and operations for tests."""

from typing import Any

from stoa.identity.scim.dialects import normalised_patch
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, Document, Operation, Verb
from stoa.identity.scim.rules import patched
from stoa.identity.scim.schemas import USERS

MANAGER = f"{ENTERPRISE_SCHEMA}:manager"


def user(**more: Any) -> Document:
    """A user's document."""
    return {"userName": "ada", "active": True} | more


def op(verb: str, path: str | None, value: Any = None, *, creates: bool = False) -> Operation:
    """One operation as the core sees it."""
    return Operation(0, Verb(verb), path, value, creates)


def apply(document: Document, *operations: Operation) -> Document:
    """`patched` for users."""
    return patched(USERS, document, operations)


def sent(document: Document, *operations: dict[str, Any]) -> Document:
    """What a client's operations make of a document, dialects included."""
    return patched(USERS, document, normalised_patch(USERS, {"Operations": list(operations)}))
