"""The way through each known identity provider's screens, for the pages that lead an administrator through it."""

from collections.abc import Mapping
from typing import Final

from stoa.identity.scim.walks import entra, google, jumpcloud, okta, onelogin, other, ping
from stoa.identity.scim.walks.model import Walk

OTHER: Final = other.WALK
# In the order in which they are offered.
WALKS: Final[Mapping[str, Walk]] = {
    one.key: one for one in (okta.WALK, entra.WALK, onelogin.WALK, jumpcloud.WALK, google.WALK, ping.WALK, OTHER)
}
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "okta": ("okta",),
    "entra": ("entra", "azure", "microsoft"),
    "onelogin": ("onelogin", "one login"),
    "jumpcloud": ("jumpcloud", "jump cloud"),
    "google": ("google", "workspace"),
    "ping": ("pingone", "pingfederate", "ping identity"),
}


def walk_of(key: str) -> Walk:
    """The walk of this key; OTHER for one that is not known."""
    return WALKS.get(key, OTHER)


def walk_named(name: str) -> Walk:
    """The walk that a source's name speaks of: what a source is called mostly says it."""
    folded = name.casefold()
    return next((WALKS[key] for key, words in _NAMES.items() if any(word in folded for word in words)), OTHER)
