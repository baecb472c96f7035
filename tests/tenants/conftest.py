"""What was told of a test's tenants is held against the catalogue of events."""

from tests.events.bodies import bodies_are_checked

__all__ = ["bodies_are_checked"]
