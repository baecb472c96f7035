"""The worker report: its columns, its rows as RaaS sends them, and its three formats.

Every value is text, booleans are "1" and "0", dates have no zone. In JSON and XML an absent value is a missing key;
in CSV it is an empty cell. There is no paging: an answer is the whole report.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, TypeAlias
from xml.sax.saxutils import escape

from stoa_simulators.company import Person, Status

OWNER: Final = "ISU_LMS"
REPORT: Final = "LMS_Worker_Feed"
COLUMNS: Final = (
    "Employee_ID", "WID", "Worker_Type", "Legal_First_Name", "Legal_Last_Name", "Preferred_Name", "Work_Email",
    "Work_Phone", "Business_Title", "Job_Code", "Department", "Division", "Cost_Center", "Location", "Time_Zone",
    "Locale", "Manager_Employee_ID", "Hire_Date", "Termination_Date", "Active_Status",
)  # fmt: skip
_ROWS_PER_CHUNK: Final = 250

Row: TypeAlias = dict[str, str]


class Format(StrEnum):
    """The values of the `format` query parameter that are served."""

    JSON = "json"
    CSV = "csv"
    XML = "simplexml"


CONTENT_TYPES: Final = {
    Format.JSON: "application/json;charset=UTF-8",
    Format.CSV: "text/csv;charset=UTF-8",
    Format.XML: "text/xml;charset=UTF-8",
}


def row_of(person: Person) -> Row:
    """One worker as a row; absent values are empty. A future hire has `Active_Status` 0 and a hire date to come."""
    return {
        "Employee_ID": person.employee_id,
        "WID": person.wid,
        "Worker_Type": person.worker_type.value,
        "Legal_First_Name": person.given_name,
        "Legal_Last_Name": person.family_name,
        "Preferred_Name": person.preferred_name,
        "Work_Email": person.email,
        "Work_Phone": person.phone,
        "Business_Title": person.title,
        "Job_Code": person.job_code,
        "Department": person.department,
        "Division": person.division,
        "Cost_Center": person.cost_center,
        "Location": person.location,
        "Time_Zone": person.time_zone,
        "Locale": person.locale,
        "Manager_Employee_ID": person.manager_employee_id or "",
        "Hire_Date": person.hire_date.isoformat(),
        "Termination_Date": person.termination_date.isoformat() if person.termination_date else "",
        "Active_Status": "1" if person.status is Status.ACTIVE else "0",
    }


def render(rows: list[Row], columns: tuple[str, ...], form: Format) -> Iterator[str]:
    """The report's text in pieces of a few hundred rows. `columns` is the header of the CSV, in order."""
    match form:
        case Format.JSON:
            return _json(rows)
        case Format.CSV:
            return _csv(rows, columns)
        case Format.XML:
            return _xml(rows)


def _pieces(rows: list[Row]) -> Iterator[list[Row]]:
    return (rows[start : start + _ROWS_PER_CHUNK] for start in range(0, len(rows), _ROWS_PER_CHUNK))


def _json(rows: list[Row]) -> Iterator[str]:
    opening = '{"Report_Entry":['
    for piece in _pieces(rows):
        entries = ({key: value for key, value in row.items() if value} for row in piece)
        texts = (json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in entries)
        yield opening + ",".join(texts)
        opening = ","
    yield "]}" if rows else opening + "]}"


def _csv(rows: list[Row], columns: tuple[str, ...]) -> Iterator[str]:
    yield _csv_lines([columns])
    for piece in _pieces(rows):
        yield _csv_lines([row.get(column, "") for column in columns] for row in piece)


def _csv_lines(lines: Iterable[Iterable[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()


def _xml(rows: list[Row]) -> Iterator[str]:
    root = "wd:Report_Data"
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns:wd="urn:com.workday.report/{REPORT}">'
    for piece in _pieces(rows):
        yield "".join(map(_xml_entry, piece))
    yield f"</{root}>"


def _xml_entry(row: Row) -> str:
    cells = "".join(f"<wd:{key}>{escape(value)}</wd:{key}>" for key, value in row.items() if value)
    return f"<wd:Report_Entry>{cells}</wd:Report_Entry>"
