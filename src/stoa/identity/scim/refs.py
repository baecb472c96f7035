"""Where people are referred to in this room."""

from typing import Final

from stoa.kernel.references import OnErase, OnMerge, Reference

REFERENCES: Final[tuple[Reference, ...]] = (
    # The log tells whom a request was about when it came. Its bodies are personal data.
    Reference("scim_request", "person_id", OnMerge.KEEP, OnErase.DELETE),
)
