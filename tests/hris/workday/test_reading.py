"""Reading a report: RaaS JSON and CSV as Workday sends them, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from stoa.hris.workday.config import WorkdayConfig
from stoa.hris.workday.connector import CONNECTOR
from stoa.people.fields import FIELDS
from stoa.sync.contract import admit
from stoa.sync.feeds import (
    EmptyFeed,
    FeedFormat,
    FeedRefused,
    Malformed,
    NotAReport,
    Truncated,
    WrongColumns,
    WrongEncoding,
    received,
)
from stoa.sync.model import FieldSpec, FieldType

PAYLOADS = Path(__file__).parent / "payloads"
CONFIG = WorkdayConfig(url="https://wd2.example/ccx/report", username="ISU_LMS", password=SecretStr("x"))
TARGET = {field.name: FieldSpec(FieldType(field.type.value), field.max_length, field.keyed) for field in FIELDS}

Row = dict[str, str | None]


def read(path: Path, form: FeedFormat = FeedFormat.JSON) -> list[Row]:
    return CONNECTOR.frame(received(path, form, ""), CONFIG).to_dicts()


def read_json(folder: Path, content: bytes | dict[str, Any]) -> list[Row]:
    path = folder / "report.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return read(path)


def test_a_report_of_text_is_read_and_admitted() -> None:
    feed = received(PAYLOADS / "report_text_values.json", FeedFormat.JSON, "application/json")
    admitted = admit(CONNECTOR.frame(feed, CONFIG), CONNECTOR.mapping(CONFIG), TARGET)
    assert (admitted.quarantined, admitted.drift) == ((), ())
    first, second = admitted.frame.to_dicts()
    assert (first["external_id"], first["employee_id"], first["active"]) == ("000317", "000317", True)
    assert (first["worker_type"], str(first["hire_date"]), first["manager_ref"]) == ("employee", "2019-04-01", None)
    assert (second["display_name"], second["worker_type"]) == ("Kenji 田中", "contingent_worker")
    assert (second["manager_ref"], second["active"], str(second["termination_date"])) == ("000317", False, "2024-12-31")
    assert second["department"] is None


def test_native_values_become_the_text_they_would_be_in_csv() -> None:
    first, second = read(PAYLOADS / "report_native_values.json")
    assert (first["Employee_ID"], first["Active_Status"], first["Cost_Center"]) == ("317", "1", "47.10")
    assert (first["Worker_Type"], first["Work_Email"]) == ("Employee", None)
    assert (first["Skills_group"], first["Organizations"]) == ("Python; SQL", "North; West")
    assert (second["Employee_ID"], second["Active_Status"], second["Job_Code"]) == (
        "12345678901234567890123",
        "0",
        "1e3",
    )
    assert (second["Skills_group"], second["WID"]) == (None, None)


def test_csv_as_workday_writes_it() -> None:
    first, second = read(PAYLOADS / "report.csv", FeedFormat.CSV)
    assert (first["Employee_ID"], first["Legal_First_Name"], first["Legal_Last_Name"]) == (
        "000317",
        "Zoë",
        "Müller, Dr.",
    )
    assert (first["Business_Title"], first["Manager_Employee_ID"]) == ("Director\r\nof Sales", None)
    assert (second["Business_Title"], second["Work_Email"]) == ('"Analyst"', None)


def test_json_and_csv_of_the_same_workers_say_the_same(tmp_path: Path) -> None:
    rows = read(PAYLOADS / "report.csv", FeedFormat.CSV)
    entries = [{name: cell for name, cell in row.items() if cell is not None} for row in rows]
    assert read_json(tmp_path, {"Report_Entry": entries}) == rows


def test_a_byte_order_mark_and_other_members_are_of_no_matter(tmp_path: Path) -> None:
    document = b'\xef\xbb\xbf {"total": {"x": [1]}, "Report_Entry": [{"Employee_ID": "1"}]}'
    assert read_json(tmp_path, document) == [{"Employee_ID": "1"}]


def test_columns_that_first_appear_late_are_read(tmp_path: Path) -> None:
    entries = [{"Employee_ID": str(n)} for n in range(20_001)] + [{"Employee_ID": "x", "Late": "1"}]
    rows = read_json(tmp_path, {"Report_Entry": entries})
    assert (len(rows), rows[0], rows[-1]) == (
        20_002,
        {"Employee_ID": "0", "Late": None},
        {"Employee_ID": "x", "Late": "1"},
    )


def test_an_entry_without_anything_is_a_row_without_a_key(tmp_path: Path) -> None:
    assert read_json(tmp_path, {"Report_Entry": [{}, {"Employee_ID": "1"}]}) == [
        {"Employee_ID": None},
        {"Employee_ID": "1"},
    ]


def test_deep_but_honest_nesting_is_read(tmp_path: Path) -> None:
    value: Any = "x"
    for _ in range(100):
        value = [value]
    assert read_json(tmp_path, {"Report_Entry": [{"a": value}]}) == [{"a": "x"}]


DEEP = 200_000


@pytest.mark.parametrize(
    ("content", "refusal", "words"),
    [
        (b'{"Report_Entry":[]}', EmptyFeed, "has no row"),
        (b"{}", EmptyFeed, "has no row"),
        (b'{"Report_Entry":[{"Employee_ID":"1"},{"Emplo', Truncated, "ends in the middle"),
        (b'{"Report_Entry":[{"Employee_ID":"1"}', Truncated, "ends in the middle"),
        (b'{"Report_Entry":[{"Employee_ID":"1"}]} x', Malformed, "not well-formed JSON"),
        (b'{"Report_Entry":[{"Employee_ID":"1" "x"}]}', Malformed, "not well-formed JSON"),
        (b'{"Report_Entry":[{"Employee_ID":"1"},["x"]]}', Malformed, "Entry 2 of the report is not an object"),
        (b'{"Report_Entry":"none"}', Malformed, "holds no list called Report_Entry"),
        (b'[{"Employee_ID":"1"}]', Malformed, "holds no list called Report_Entry"),
        (b'{"error":"invalid request"}', Malformed, 'error instead of the report: "invalid'),
        (b'{"Report_Entry":[{"a":\n"J\xfcrgen"}]}', WrongEncoding, "Byte 0xFC in line 2"),
        (b'{"Report_Entry":[{"J\xfcrgen":"a"}]}', WrongEncoding, "Byte 0xFC in line 1"),
        (b'{"Report_Entry":[{"a":"\\ud800"}]}', Malformed, "half of a surrogate pair"),
        (b'{"Report_Entry":[{"":"a"}]}', WrongColumns, "Column 1 has no name"),
        (b'{"Report_Entry":' + b"[" * DEEP + b"]" * DEEP + b"}", Malformed, "nested far too deeply"),
        (b'{"Report_Entry":[{"a":' + b"[" * DEEP + b"]" * DEEP + b"}]}", Malformed, "nested far too deeply"),
        (b'{"x":' + b'{"y":' * DEEP + b"1" + b"}" * DEEP + b"}", Malformed, "nested far too deeply"),
        (
            b'{"Report_Entry":[{' + b",".join(b'"c%d":"1"' % n for n in range(1001)) + b"}]}",
            WrongColumns,
            "1001 columns",
        ),
    ],
)
def test_json_that_is_refused(tmp_path: Path, content: bytes, refusal: type[FeedRefused], words: str) -> None:
    with pytest.raises(refusal, match=words) as caught:
        read_json(tmp_path, content)
    assert type(caught.value) is refusal


def test_a_sign_in_page_is_no_report() -> None:
    for form in FeedFormat:
        with pytest.raises(NotAReport, match='with the title "Workday Sign In"') as caught:
            read(PAYLOADS / "sign_in.html", form)
        assert caught.value.hint is not None
        assert "integration user" in caught.value.hint


def test_an_xml_fault_is_quoted() -> None:
    with pytest.raises(Malformed, match="The task submitted is not authorized"):
        read(PAYLOADS / "fault.xml")
