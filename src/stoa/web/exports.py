"""Lists as CSV, streamed: the memory stays flat whatever the list's length."""

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from starlette.responses import StreamingResponse

from stoa.access.platform_log import note
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.web.visiting import Visit

# A spreadsheet takes a cell that begins so for a formula and runs it (OWASP, "CSV Injection").
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_ROWS_AT_ONCE: Final = 500


async def csv_export(
    visit: Visit, filename: str, header: Sequence[str], rows: AsyncIterator[Sequence[object]]
) -> StreamingResponse:
    """As `csv_answer`, and writes down that somebody took the list with them: in the tenant's log, or of a list that is
    no tenant's, in the platform's.

    filename: what the line calls the list, without its ending.
    """
    await note_export(visit, filename.removesuffix(".csv"))
    return csv_answer(filename, header, rows)


async def note_export(visit: Visit, name: str) -> None:
    """Writes down that somebody took the list of this name with them."""
    body = {"list": name, "filtered": bool({"q", "filter"} & visit.request.query_params.keys())}
    if visit.tenant is None:
        async with visit.platform() as tx:
            note(tx, "list.exported", f"list:{name}", body)
    else:
        async with visit.writing() as tx:
            emit(tx, Event("list.exported", f"list:{name}", body))


def csv_answer(filename: str, header: Sequence[str], rows: AsyncIterator[Sequence[object]]) -> StreamingResponse:
    """A CSV file (RFC 4180) in UTF-8 with the mark by which spreadsheets know it.

    filename: ASCII; it is put between quotes in a header.
    rows: cells are text, numbers, dates, booleans or None; text that a spreadsheet would run is made harmless by an
        apostrophe before it.
    """
    headers = {"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"}
    return StreamingResponse(_lines(header, rows), media_type="text/csv; charset=utf-8", headers=headers)


def cell(value: object) -> object:
    """A value as it stands in a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


async def _lines(header: Sequence[str], rows: AsyncIterator[Sequence[object]]) -> AsyncGenerator[bytes]:
    out = io.StringIO()
    writer = csv.writer(out)
    out.write("\ufeff")
    writer.writerow(header)
    pending = 0
    async for row in rows:
        writer.writerow([cell(value) for value in row])
        pending += 1
        if pending >= _ROWS_AT_ONCE:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
            pending = 0
    yield out.getvalue().encode()
