"""Filters over events: the same words for the stream, for webhooks and for the event browser."""

from typing import Final

from stoa.events.model import StoredEvent
from stoa.kernel.filters import Attribute, AttrType, Catalogue, Typed, check, parse

CATALOGUE: Final = Catalogue(
    (
        Attribute("type", case_exact=True),
        Attribute("subject", case_exact=True),
        Attribute("actor", case_exact=True),
        Attribute("via", case_exact=True),
        Attribute("run_id", AttrType.UUID),
        Attribute("at", AttrType.DATETIME),
    )
)


def selected(text: str) -> Typed:
    """A filter over events, such as `type sw "person." and via eq "scim"`.

    Raises:
        FilterError: where it is wrong, and what may have been meant.
    """
    return check(parse(text), CATALOGUE)


def facts(event: StoredEvent) -> dict[str, object]:
    """What a filter is evaluated against."""
    return {
        "type": event.type,
        "subject": event.subject or None,
        "actor": event.actor,
        "via": event.via,
        "run_id": event.run_id,
        "at": event.at,
    }
