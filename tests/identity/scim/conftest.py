"""What property tests of SCIM share with those of people."""

from tests.people.conftest import world

__all__ = ["world"]
