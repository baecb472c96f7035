"""Identifiers."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.kernel.ids import new_id, parse_id

ONE = "f1176942-71ba-4bd0-9ea0-81f8d4cf8225"


def test_ids_are_version_7_and_in_order_of_making() -> None:
    ids = [new_id() for _ in range(5000)]
    assert all(isinstance(one, UUID) and one.version == 7 for one in ids)
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_an_id_begins_with_its_time_in_milliseconds() -> None:
    # RFC 9562, 5.7: the first 48 bits.
    first, second = (one.int >> 80 for one in (new_id(), new_id()))
    assert 0 <= second - first < 60_000
    assert first > 1_700_000_000_000


@given(st.uuids())
def test_the_canonical_form_is_read_in_either_case(one: UUID) -> None:
    assert parse_id(str(one)) == one
    assert parse_id(str(one).upper()) == one


@given(st.text(max_size=50))
def test_other_text_is_none_and_never_an_error(text: str) -> None:
    found = parse_id(text)
    assert found is None or str(found) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        ONE.replace("-", ""),
        f"{{{ONE}}}",
        f"urn:uuid:{ONE}",
        f" {ONE[:-1]}",
        f"{ONE[:-1]}g",
        f"{ONE}\n",
        "0" * 36,
        f"{'0' * 32}----",
        "0000000-00000-0000-0000-000000000000",
        "٠0000000-0000-7000-8000-000000000000",
    ],
)
def test_what_only_resembles_an_id_is_none(text: str) -> None:
    assert parse_id(text) is None
