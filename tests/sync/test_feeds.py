"""Feeds that are not what was asked for, and CSV."""

import hashlib
from pathlib import Path

import pytest

from stoa.sync.feeds import (
    EmptyFeed,
    FeedFormat,
    FeedRefused,
    Malformed,
    NotAReport,
    Truncated,
    WrongColumns,
    WrongEncoding,
    check_start,
    csv_frame,
    received,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "report"


def read(file: Path, content: bytes) -> list[dict[str, str | None]]:
    file.write_bytes(content)
    return csv_frame(file).to_dicts()


def test_a_feed_has_the_digest_of_its_bytes(file: Path) -> None:
    file.write_bytes(b"a\n1\n")
    feed = received(file, FeedFormat.CSV, "text/csv")
    assert (feed.digest, feed.size) == (hashlib.sha256(b"a\n1\n").digest(), 4)


@pytest.mark.parametrize(
    ("content", "refusal", "words"),
    [
        (b"", EmptyFeed, "is empty"),
        (b" \r\n\t", EmptyFeed, "is empty"),
        (b"<!DOCTYPE html>\n<html><title>Sign &amp; In\n</title>", NotAReport, 'with the title "Sign & In"'),
        (b"\xef\xbb\xbf\n <HTML lang=en><body>", NotAReport, "A web page came"),
        (b"<?xml version='1.0'?><wd:F><faultstring>No such task</faultstring>", Malformed, 'says "No such task"'),
        (b"<Report_Data/>", Malformed, "An XML document came instead of JSON"),
        (b"PK\x03\x04....", Malformed, "Excel"),
        (b"\x1f\x8b\x08", Malformed, "gzip"),
        ("a,b\n1,2\n".encode("utf-16"), WrongEncoding, "UTF-16"),
        ("a".encode("utf-32"), WrongEncoding, "UTF-32"),
    ],
)
def test_a_start_that_gives_it_away(file: Path, content: bytes, refusal: type[FeedRefused], words: str) -> None:
    file.write_bytes(content)
    with pytest.raises(refusal, match=words) as caught:
        check_start(received(file, FeedFormat.JSON, ""))
    assert type(caught.value) is refusal
    assert (caught.value.status, bool(caught.value.hint)) == (422, True)


def test_codes_are_stable() -> None:
    kinds = (NotAReport, Truncated, EmptyFeed, WrongEncoding, Malformed, WrongColumns)
    codes = ["not_a_report_html", "truncated", "empty", "wrong_encoding", "malformed", "wrong_columns"]
    assert [kind.code for kind in kinds] == codes


def test_csv_as_rfc_4180_has_it(file: Path) -> None:
    content = b'\xef\xbb\xbfID, Name ,"Note, long"\r\n1,"A ""B""\r\nC",\r\n\r\n002,\xc3\xa9,"x,y"\r\n,,\r\n'
    assert read(file, content) == [
        {"ID": "1", "Name": 'A "B"\r\nC', "Note, long": None},
        {"ID": "002", "Name": "é", "Note, long": "x,y"},
    ]


def test_csv_without_an_end_of_its_last_line(file: Path) -> None:
    assert read(file, b"a,b\n1,2\n3,4") == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_csv_keeps_text_that_looks_like_numbers(file: Path) -> None:
    assert read(file, b"a,b\n007,1e5\ntrue,-0\n") == [{"a": "007", "b": "1e5"}, {"a": "true", "b": "-0"}]


@pytest.mark.parametrize(
    ("content", "refusal", "words"),
    [
        (b"a,b\n", EmptyFeed, "a header and no row"),
        (b"a,b\n,\n\n", EmptyFeed, "a header and no row"),
        (b"a,b\n1,2\n3", Truncated, "in the middle of row 2"),
        (b'a,b\n1,2\n3,"x', Truncated, "in the middle of row 2"),
        (b"a,b\n1\n2,3\n", Malformed, "Row 1 has 1 of 2 cells"),
        (b"a,b\n1,2\n3\n", Malformed, "Row 2 has 1 of 2 cells"),
        (b"a,b\n1,2\n3,4,5\n", Malformed, "Row 2 has 3 of 2 cells"),
        (b'a,b\n1,2\n3,"x"y\n', Malformed, "Row 2 is not well-formed"),
        (b"a,b\n1,2\n3,\xe9\n", WrongEncoding, "Byte 0xE9 in line 3"),
        (b"a\xe9,b\n1,2\n", WrongEncoding, "Byte 0xE9 in line 1"),
        (b"a,a\n1,2\n", WrongColumns, "Two columns are called a"),
        (b"a,\n1,2\n", WrongColumns, "Column 2 has no name"),
        (b"a;b\n1;2\n", WrongColumns, "not separated by commas"),
        (b",".join(b"c%d" % n for n in range(1001)) + b"\n", WrongColumns, "1001 columns"),
    ],
)
def test_csv_that_is_refused(file: Path, content: bytes, refusal: type[FeedRefused], words: str) -> None:
    with pytest.raises(refusal, match=words) as caught:
        read(file, content)
    assert type(caught.value) is refusal


def test_the_line_of_a_wrong_byte_is_found_beyond_the_first_block(file: Path) -> None:
    with pytest.raises(WrongEncoding, match="line 500002 is not"):
        read(file, b"a,b\n" + b"1,2\n" * 500_000 + b"\xff,2\n")


def test_a_long_cell_across_lines_is_no_cut(file: Path) -> None:
    (one,) = read(file, b'a,b,c\n1,"' + b"x\n" * 30_000 + b'",\n')
    assert one["b"] == "x\n" * 30_000
