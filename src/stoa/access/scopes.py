"""What a credential may do over the public API: a resource and a verb, such as `people:read`."""

from collections.abc import Mapping
from typing import Final

_READ: Final = ":read"
_WRITE: Final = ":write"
ALL_READ: Final = "api:read"
ALL_WRITE: Final = "api:write"

_RESOURCES: Final[Mapping[str, str]] = {
    "people": "people and what their sources say of them",
    "sources": "the sources of people",
    "connections": "connections to other systems, and what is in quarantine",
    "runs": "runs of syncs and rollbacks, and their changes, with the values of people",
    "alerts": "alerts",
    "events": "the event log, with the values of people",
    "webhooks": "webhook endpoints and their deliveries",
    "clients": "API clients, without their secrets",
    "audit": "the audit log, with the values of people",
    "tenant": "the tenant's own settings",
    "jobs": "what runs in the background on an API client's behalf",
}
_ONLY_READ: Final = frozenset({"audit", "clients", "events", "sources", "tenant"})

# Scope to its meaning, for people who choose among them.
SCOPES: Final[Mapping[str, str]] = {
    ALL_READ: "Read everything",
    ALL_WRITE: "Change everything (reading is a scope of its own)",
    **{f"{name}{_READ}": f"Read {what}" for name, what in _RESOURCES.items()},
    **{f"{name}{_WRITE}": f"Change {what}" for name, what in _RESOURCES.items() if name not in _ONLY_READ},
}


def granted(scopes: frozenset[str], wanted: str) -> bool:
    """Whether a holder of these scopes may do what `wanted` names. `api:read` and `api:write` stand for every resource
    with their verb.
    """
    if wanted in scopes:
        return True
    if wanted.endswith(_READ):
        return ALL_READ in scopes
    return wanted.endswith(_WRITE) and ALL_WRITE in scopes


def narrowed(scopes: frozenset[str], limit: frozenset[str]) -> frozenset[str]:
    """What both permit: of `api:read` and `people:read` it is `people:read`, whichever of them is the limit."""
    if scopes == limit:
        return scopes
    return frozenset(
        [one for one in scopes if granted(limit, one)] + [one for one in limit if granted(scopes, one)],
    )
