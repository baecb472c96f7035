"""Values that are sent as literals come back as they were, whatever they are made of."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.db import embedded
from stoa.db.literals import literal

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_HOSTILE = ("'; DROP TABLE tenant; --", "\\'", "\\x27", "$1", "$$", "", "\n", "é\u202e😀", "E'\\'")


async def _back(server: embedded.Server, values: list[Any]) -> list[Any]:
    connection = await asyncpg.connect(server.admin_dsn)
    try:
        row = await connection.fetchrow("SELECT " + ", ".join(map(literal, values)))
        return list(row or ())
    finally:
        await connection.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(_TEXT, max_size=4), number=st.integers(-(2**63), 2**63 - 1), raw=st.binary(max_size=30))
async def test_a_value_comes_back(server: embedded.Server, texts: list[str], number: int, raw: bytes) -> None:
    values = [*_HOSTILE, *texts, number, raw, UUID(int=7), None]
    assert await _back(server, values) == values


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=st.lists(_JSON, max_size=3))
async def test_a_document_comes_back_as_json(server: embedded.Server, document: list[Any]) -> None:
    connection = await asyncpg.connect(server.admin_dsn)
    try:
        same = await connection.fetchval(f"SELECT {literal(document)} = $1::jsonb", json.dumps(document))
    finally:
        await connection.close()
    assert same


async def test_a_time_keeps_its_moment_and_needs_a_zone(server: embedded.Server) -> None:
    at = datetime(2026, 3, 1, 12, 30, 0, 123456, timezone(timedelta(hours=-5, minutes=-30)))
    assert await _back(server, [at]) == [at.astimezone(UTC)]
    with pytest.raises(ValueError, match="zone"):
        literal(datetime(2026, 3, 1))  # noqa: DTZ001 - what is refused
