"""A kind of job of its own for each test: the database is shared, and a worker takes whatever it has a handler for."""

import pytest

from stoa.kernel.ids import new_id


@pytest.fixture
def kind() -> str:
    """A kind that no other test uses."""
    return f"test.{new_id().hex}"
