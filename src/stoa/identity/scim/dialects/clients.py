"""What is known of a client, as a value: for the guide, and for the page that says whose expectation a check stands
for.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownClient:
    """An identity provider that speaks SCIM to us.

    Attributes:
        name: as its maker writes it.
        pages: where its ways are documented; the first is the main one.
        quirks: whether its module changes requests, or its requests follow the RFC as far as they are documented.
    """

    name: str
    pages: tuple[str, ...]
    quirks: bool
