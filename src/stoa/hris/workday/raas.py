# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false
"""Reports as a service: fetching one over HTTP, and reading its JSON.

A report comes whole, without paging; Workday ends it after 30 minutes or at 2 GB.
"""

import asyncio
import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
import polars as pl

from stoa.hris.workday.config import WorkdayConfig
from stoa.outbound.http import HttpClient
from stoa.outbound.model import Basic, RemoteRefused, Retry, Timeouts
from stoa.sync.drift import shown
from stoa.sync.feeds import EmptyFeed, Feed, FeedFormat, Malformed, Truncated, check_names, not_utf8, received

LARGEST: Final = 2 * 1024**3
# A large report is silent until it is computed.
TIMEOUTS: Final = Timeouts(connect=10, read=1800, total=2100)
RETRY: Final = Retry()
_ACCEPT: Final = {FeedFormat.JSON: "application/json", FeedFormat.CSV: "text/csv"}
_BOM: Final = b"\xef\xbb\xbf"
_BLOCK: Final = 20_000
_TAIL: Final = 4096
_END: Final = re.compile(rb"\]\s*\}\s*$")
_NAMES_OF_REFERENCES: Final = ("Descriptor", "descriptor", "@wd:Descriptor", "wd:Descriptor")
_HINT_ACCESS: Final = (
    "Check the name and password of the integration system user, that its account is not locked, and that it may run "
    "the report."
)
_HINT_ADDRESS: Final = (
    "Copy the address again from Web Service, View URLs: it changes when the report is renamed or gets another owner."
)


class _Document(msgspec.Struct):
    Report_Entry: msgspec.Raw = msgspec.Raw(b"[]")
    error: msgspec.Raw = msgspec.Raw(b"")


_document: Final = msgspec.json.Decoder(_Document)
_entries: Final = msgspec.json.Decoder(list[msgspec.Raw])
_plain_row: Final = msgspec.json.Decoder(dict[str, str | None])
# Numbers with a fraction or exponent stay as written; whole numbers are exact in Python anyway.
_any_row: Final = msgspec.json.Decoder(dict[str, Any], float_hook=str)


def report_url(config: WorkdayConfig) -> str:
    """The report's address with its format and prompts."""
    parts = urlsplit(config.url)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "format"]
    if config.include_terminated:
        query.append(("Include_Terminated", "1"))
    return urlunsplit(parts._replace(query=urlencode([*query, ("format", config.format.value)])))


async def fetch(
    config: WorkdayConfig,
    client: HttpClient,
    into: Path,
    allow: frozenset[str],
    *,
    timeouts: Timeouts = TIMEOUTS,
    largest: int = LARGEST,
    retry: Retry = RETRY,
) -> Feed:
    """Fetches the report into the folder `into`.

    Raises what the client raises; a refusal by Workday (RemoteRefused) says what its administrator can do.
    """
    path = into / f"report.{config.format.value}"
    try:
        response = await client.request(
            "GET",
            report_url(config),
            headers={"accept": _ACCEPT[config.format]},
            auth=Basic(config.username, config.password.get_secret_value()),
            timeout=timeouts,
            max_bytes=largest,
            sink=path,
            allow=allow,
            retry=retry,
        )
    except RemoteRefused as refusal:
        raise _explained(refusal) from refusal
    return await asyncio.to_thread(received, path, config.format, response.headers.get("content-type", ""))


def _explained(refusal: RemoteRefused) -> RemoteRefused:
    """The refusal in the words of Workday's administrator."""
    match refusal.remote_status:
        case 401 | 403:
            detail, hint = "Workday did not accept the integration system user.", _HINT_ACCESS
        case 404:
            detail, hint = "Workday knows no report at this address.", _HINT_ADDRESS
        case status if 300 <= status < 400:
            detail, hint = "Workday sent us on to another address, which is not followed.", _HINT_ADDRESS
        case _:
            detail, hint = refusal.detail, "Run the report in Workday with the same prompts and see what it says."
    told = f"{detail} (HTTP status {refusal.remote_status})"
    return RemoteRefused(told, remote_status=refusal.remote_status, body=refusal.body, hint=hint)


def json_frame(path: Path) -> pl.DataFrame:
    """The entries of a JSON report as text columns, in the order in which names first appear; absent values are null.

    Numbers are taken as written, true and false as 1 and 0, lists of values are joined by `; `. The file is mapped into
    memory and read in blocks, so that little more than the frame itself is held. Raises a FeedRefused.
    """
    with path.open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    document = view[len(_BOM) :] if bytes(view[: len(_BOM)]) == _BOM else view
    try:
        entries = _decoded_entries(document)
        if not entries:
            raise EmptyFeed(
                "The report has no row.", hint="Run it in Workday as the integration user: has it lost a permission?"
            )
        frame = _frame(entries)
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    except RecursionError as error:
        raise Malformed("The report is nested far too deeply to be one.") from error
    check_names(frame.columns)
    return frame


def _decoded_entries(document: memoryview) -> Sequence[msgspec.Raw]:
    try:
        found = _document.decode(document)
        if said := bytes(found.error):
            raise Malformed(
                f"Workday sent an error instead of the report: {shown(said.decode(errors='replace'), 200)}",
                hint="Run the report in Workday with the same prompts and see what it says.",
            )
        return _entries.decode(found.Report_Entry)
    except msgspec.ValidationError as error:
        raise Malformed(
            "The JSON document holds no list called Report_Entry.", hint="Check that the address is that of a report."
        ) from error
    except msgspec.DecodeError as error:
        raise _broken(error, document) from error


def _broken(error: msgspec.DecodeError, document: memoryview) -> Truncated | Malformed:
    if "truncated" not in str(error):
        return Malformed(f"The report is not well-formed JSON: {error}.")
    if _END.search(bytes(document[-_TAIL:])):
        # Half of a surrogate pair is called truncated too (RFC 8259, 8.2).
        return Malformed("The report is not well-formed JSON: some character is escaped as half of a surrogate pair.")
    return Truncated(
        "The report ends in the middle.",
        hint="It was cut off on its way; run the sync again, and split the report by prompts if it takes too long.",
    )


def _frame(entries: Sequence[msgspec.Raw]) -> pl.DataFrame:
    names: dict[str, None] = {}
    blocks: list[pl.DataFrame] = []
    for start in range(0, len(entries), _BLOCK):
        rows = _rows(entries[start : start + _BLOCK], start)
        if set[str]().union(*rows) - names.keys():
            for row in rows:
                names.update(dict.fromkeys(row))
        check_names(list(names))
        blocks.append(pl.from_dicts(rows, schema=dict.fromkeys(names, pl.String)))
    return pl.concat(blocks, how="diagonal")


def _rows(block: Sequence[msgspec.Raw], before: int) -> Sequence[dict[str, str | None]]:
    """The entries of a block. Nearly all hold nothing but text, for which there is a fast way."""
    try:
        return [_plain_row.decode(entry) for entry in block]
    except msgspec.DecodeError:
        return [_row(entry, number) for number, entry in enumerate(block, start=before + 1)]


def _row(entry: msgspec.Raw, number: int) -> dict[str, str | None]:
    try:
        found = _any_row.decode(entry)
    except msgspec.ValidationError as error:
        raise Malformed(f"Entry {number} of the report is not an object.") from error
    except msgspec.DecodeError as error:
        raise Malformed(f"Entry {number} of the report is not well-formed JSON: {error}.") from error
    return {name: _text(value) for name, value in found.items()}


def _text(value: object) -> str | None:
    """A value as the text that it would be in CSV."""
    match value:
        case None:
            return None
        case bool():
            return "1" if value else "0"
        case str():
            return value
        case list() | dict():
            return "; ".join(_parts(value)) or None  # pyright: ignore[reportUnknownArgumentType] - JSON
        case _:
            return str(value)


def _parts(value: object) -> Iterator[str]:
    """The texts in a multi-instance field: a list of values, or of objects of which each has a name or one value."""
    left = [value]
    while left:
        at = left.pop()
        match at:
            case list():
                left.extend(reversed(at))  # pyright: ignore[reportUnknownArgumentType] - JSON
            case dict():
                named = [at[name] for name in _NAMES_OF_REFERENCES if name in at]  # pyright: ignore[reportUnknownVariableType] - JSON
                left.extend(named[:1] or reversed(at.values()))  # pyright: ignore[reportUnknownArgumentType] - JSON
            case _:
                text = _text(at)
                if text:
                    yield text
