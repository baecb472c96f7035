# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false
"""A feed as it was received, and the ways in which it may not be what was asked for.

A refusal is about the feed as a whole: nothing of it is used. Rows are judged by the contract.
"""

import codecs
import csv
import hashlib
import html
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final

import polars as pl

from stoa.kernel.problems import Problem

MOST_COLUMNS: Final = 1000
_HEAD: Final = 64 * 1024
_BLOCK: Final = 1024 * 1024
_BOMS: Final = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))
_PACKED: Final = {b"PK\x03\x04": "a zip archive or an Excel file", b"\x1f\x8b": "gzip", b"%PDF": "a PDF"}
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_FAULT: Final = re.compile(r"<(?:\w+:)?(?:faultstring|message|detail_message|error)\b[^>]*>([^<]+)<", re.IGNORECASE)


class FeedFormat(StrEnum):
    """The formats that a feed comes in."""

    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Feed:
    """What a connector received, whole, in a file.

    Attributes:
        digest: SHA-256 of the file.
        size: bytes.
    """

    path: Path
    format: FeedFormat
    content_type: str
    digest: bytes
    size: int


class FeedRefused(Problem):
    """The feed as a whole is not a report that can be read.

    The detail says why. Mend the report in the HR system; nothing of it was applied.
    """

    code: ClassVar[str] = "feed_refused"
    status: ClassVar[int] = 422


class NotAReport(FeedRefused):
    """An HTML page came instead of the report.

    It is most often a sign-in page: look at the address and the account of the connection.
    """

    code: ClassVar[str] = "not_a_report_html"


class Truncated(FeedRefused):
    """The report ends in the middle.

    It is read again with the next sync. If it stays, look at the limits of the HR system and of what stands between.
    """

    code: ClassVar[str] = "truncated"


class EmptyFeed(FeedRefused):
    """The report has no row. An empty report is refused, because it would mean that everybody has left."""

    code: ClassVar[str] = "empty"


class WrongEncoding(FeedRefused):
    """The report is not UTF-8. Set the report's encoding to UTF-8 in the HR system."""

    code: ClassVar[str] = "wrong_encoding"


class Malformed(FeedRefused):
    """The report is not well-formed in its format.

    The detail names the place. Look whether the report was cut or changed on its way.
    """

    code: ClassVar[str] = "malformed"


class WrongColumns(FeedRefused):
    """The report's columns cannot be told apart, or are far too many.

    Give each column of the report a name of its own.
    """

    code: ClassVar[str] = "wrong_columns"


def received(path: Path, form: FeedFormat, content_type: str) -> Feed:
    """The feed in `path`, with its digest. Reads the whole file: call it in a thread."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return Feed(path, form, content_type, digest, path.stat().st_size)


def check_start(feed: Feed) -> None:
    """Refuses what its first bytes show to be no JSON or CSV in UTF-8. Raises a FeedRefused."""
    with feed.path.open("rb") as file:
        head = file.read(_HEAD)
    if not head.strip():
        raise EmptyFeed("The answer is empty.", hint="Run the report in its own system and see whether it has rows.")
    for mark, what in _PACKED.items():
        if head.startswith(mark):
            raise Malformed(f"The answer is {what}, not {feed.format.upper()}.", hint="Ask for the plain format.")
    for bom, name in _BOMS:
        if head.startswith(bom):
            raise WrongEncoding(f"The report is in {name}.", hint="Have it sent in UTF-8.")
    text = head.decode("utf-8", errors="replace").removeprefix("\ufeff").lstrip()
    if text.startswith("<"):
        _refuse_markup(text, feed.format)


def _refuse_markup(text: str, form: FeedFormat) -> None:
    if re.search(r"<(!doctype\s+html|html|head|body)\b", text[:4096], re.IGNORECASE):
        title = _TITLE.search(text)
        named = f' with the title "{_shown(title.group(1))}"' if title else ""
        raise NotAReport(
            f"A web page{named} came instead of the report.",
            hint="Usually this is a sign-in page: check the address of the report and the integration user.",
        )
    fault = _FAULT.search(text)
    said = f' that says "{_shown(fault.group(1))}"' if fault else ""
    raise Malformed(f"An XML document{said} came instead of {form.upper()}.", hint="Check the format in the address.")


def _shown(text: str, most: int = 200) -> str:
    plain = " ".join(html.unescape(text).split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def not_utf8(path: Path) -> WrongEncoding:
    """The refusal that says where the first byte stands that is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with path.open("rb") as file:
        while True:
            block = file.read(_BLOCK)
            try:
                line += decoder.decode(block, final=not block).count("\n")
            except UnicodeDecodeError as error:
                seen = bytes(error.object)
                line += seen[: error.start].count(b"\n")
                where = f"Byte 0x{seen[error.start]:02X} in line {line} is not UTF-8"
                break
            if not block:
                where = "Some bytes are not UTF-8"
                break
    return WrongEncoding(
        f"{where}; the report seems to be in another encoding, such as Latin-1.", hint="Have it sent in UTF-8."
    )


def check_names(names: list[str]) -> None:
    """Refuses columns that are too many, without a name, or named alike. Raises WrongColumns."""
    if len(names) > MOST_COLUMNS:
        raise WrongColumns(f"The report has {len(names)} columns; at most {MOST_COLUMNS} can be read.")
    seen: set[str] = set()
    for place, name in enumerate(names, start=1):
        if not name:
            raise WrongColumns(f"Column {place} has no name.", hint="Give every column of the report an alias.")
        if name in seen:
            raise WrongColumns(f"Two columns are called {_shown(name, 80)}.", hint="Give them different aliases.")
        seen.add(name)


def csv_frame(path: Path) -> pl.DataFrame:
    """The rows of a CSV file (RFC 4180, UTF-8, with or without byte order mark, header first) as text columns.

    An empty cell is null; lines without any value are left out. Raises a FeedRefused: an unclosed quote, a row of too
    few or too many cells, another encoding, no row.
    """
    names = _header(path)
    try:
        frame = pl.read_csv(path, infer_schema=False, new_columns=names, truncate_ragged_lines=False, glob=False)
    except pl.exceptions.NoDataError as error:
        raise EmptyFeed("The report is empty.") from error
    except pl.exceptions.PolarsError as error:
        if "utf-8" in str(error):
            raise not_utf8(path) from error
        _refuse_uneven(path, len(names))
        raise Malformed("The report is not well-formed CSV.", hint="Export it again.") from error
    if frame.width != len(names):
        raise Malformed(f"The header has {len(names)} columns and the rows have {frame.width}.")
    # Polars fills up short rows in silence. A row whose last cell is filled is not short.
    if frame.get_column(names[-1]).null_count():
        _refuse_uneven(path, len(names))
    filled = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    if filled.is_empty():
        raise EmptyFeed("The report has a header and no row.")
    return filled


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next((record for record in csv.reader(file, strict=True) if record), list[str]())
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    except csv.Error as error:
        raise Malformed(f"The header is not well-formed CSV: {error}.") from error
    names = [name.strip() for name in names]
    if len(names) == 1 and re.search(r"[;\t|]", names[0]):
        raise WrongColumns("The columns are not separated by commas.", hint="Have the report sent with commas.")
    check_names(names)
    return names


def _refuse_uneven(path: Path, width: int) -> None:
    """Raises Truncated or Malformed for the first record without `width` cells; a last one without an end is cut."""
    number = 0
    problem: FeedRefused | None = None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for record in csv.reader(file, strict=True):
                if problem is not None:
                    raise problem
                if record and len(record) != width:
                    cells = f"{len(record)} of {width} cells"
                    problem = Malformed(f"Row {number} has {cells}.", hint="Export the report again.")
                number += bool(record)
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise _cut(number) from error
        raise Malformed(f"Row {number} is not well-formed CSV: {error}.", hint="Export the report again.") from error
    if problem is not None:
        raise problem if _ends_a_line(path) else _cut(number - 1)


def _cut(row: int) -> Truncated:
    return Truncated(
        f"The report ends in the middle of row {row}.",
        hint="It was cut off on its way; run the sync again, and split the report if it takes too long.",
    )


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) in b"\r\n"
