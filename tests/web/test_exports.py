"""Lists as CSV."""

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from stoa.web.exports import cell, csv_answer


async def rows(*given: Sequence[object]) -> AsyncGenerator[Sequence[object]]:
    for row in given:
        yield row


async def read(source: AsyncIterator[Sequence[object]], header: Sequence[str] = ("a", "b")) -> list[list[str]]:
    """The cells of an answer as a spreadsheet reads them."""
    answer = csv_answer("x.csv", header, source)
    body = b"".join([bytes(chunk) async for chunk in answer.body_iterator])
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


async def test_an_answer_is_a_file_that_no_cache_keeps() -> None:
    answer = csv_answer("people.csv", ["name"], rows(["Ada"]))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="people.csv"'
    assert answer.headers["cache-control"] == "no-store"
    assert b"".join([bytes(chunk) async for chunk in answer.body_iterator]) == b"\xef\xbb\xbfname\r\nAda\r\n"


async def test_a_list_without_rows_has_its_header() -> None:
    assert await read(rows()) == [["a", "b"]]


async def test_every_text_comes_through() -> None:
    row = ['a "quoted", one', "line\nbreak", "محمد 🙂", ""]
    assert (await read(rows(row)))[1] == row


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("http://x")'])
async def test_a_text_that_a_spreadsheet_would_run_is_made_harmless(text: str) -> None:
    assert (await read(rows([text, "b"])))[1] == [f"'{text}", "b"]


@pytest.mark.parametrize(
    ("value", "stands"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (-7, -7),
        (Decimal("-1.50"), Decimal("-1.50")),
        ("a=1", "a=1"),
        (datetime(2030, 1, 2, 3, 4, 5, 678, UTC), "2030-01-02T03:04:05+00:00"),
    ],
)
def test_values_stand_as_they_are_read(value: object, stands: object) -> None:
    assert cell(value) == stands


async def test_a_long_list_is_sent_while_it_is_read_and_never_held_whole() -> None:
    taken = 0

    async def many() -> AsyncGenerator[Sequence[object]]:
        nonlocal taken
        for number in range(100_000):
            taken = number + 1
            yield (number, "x" * 50)

    lines, longest, held = 0, 0, 0
    async for chunk in csv_answer("x.csv", ["n", "text"], many()).body_iterator:
        longest = max(longest, len(chunk))
        lines += bytes(chunk).count(b"\r\n")
        held = max(held, taken - (lines - 1))
    assert lines == 100_001
    assert longest < 64 * 1024
    assert held == 0
