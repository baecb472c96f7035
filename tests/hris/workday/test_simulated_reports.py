"""The simulated Workday's reports, sound and with each of its faults, read and judged."""

from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from stoa.hris.workday.config import WorkdayConfig
from stoa.hris.workday.connector import CONNECTOR
from stoa.people.fields import FIELDS
from stoa.sync.contract import admit
from stoa.sync.feeds import EmptyFeed, FeedFormat, FeedRefused, NotAReport, Truncated, WrongEncoding, received
from stoa.sync.model import Admitted, FieldSpec, FieldType, Profile
from stoa_simulators.company import Company, Status
from stoa_simulators.workday.faults import LOGIN_PAGE, FaultKind, make_fault, spoil_bytes, spoil_table
from stoa_simulators.workday.report import Format, render, row_of

CONFIG = WorkdayConfig(url="https://wd2.example/ccx/report", username="ISU_LMS", password=SecretStr("x"))
TARGET = {field.name: FieldSpec(FieldType(field.type.value), field.max_length, field.keyed) for field in FIELDS}
SIZE = 300
FORMS = list(FeedFormat)


@pytest.fixture(scope="module")
def company() -> Company:
    made = Company(slug="acme", name="Acme", seed=7, size=SIZE, domain="acme.example", start=date(2026, 1, 5))
    made.advance(40)
    return made


def report(company: Company, form: FeedFormat, kind: FaultKind | None = None) -> bytes:
    fault = None if kind is None else make_fault(kind, None, None, None)
    people = company.with_status(Status.ACTIVE, Status.FUTURE, Status.TERMINATED)
    rows, columns = spoil_table(fault, [row_of(person) for person in people])
    return b"".join(spoil_bytes(fault, render(rows, columns, Format(form.value))))


def judge(folder: Path, content: bytes, form: FeedFormat, previous: Profile | None = None) -> Admitted:
    path = folder / "report"
    path.write_bytes(content)
    frame = CONNECTOR.frame(received(path, form, ""), CONFIG)
    return admit(frame, CONNECTOR.mapping(CONFIG), TARGET, previous=previous)


@pytest.mark.parametrize("form", FORMS)
def test_every_worker_of_a_sound_report_is_admitted(company: Company, tmp_path: Path, form: FeedFormat) -> None:
    admitted = judge(tmp_path, report(company, form), form)
    assert (admitted.quarantined, admitted.drift) == ((), ())
    got = {one["external_id"]: one for one in admitted.frame.to_dicts()}
    assert got.keys() == company.people.keys()
    for person in company.people.values():
        one = got[person.employee_id]
        assert one["active"] is (person.status is Status.ACTIVE)
        assert (one["family_name"], one["email"], one["title"]) == (person.family_name, person.email, person.title)
        assert (one["hire_date"], one["termination_date"]) == (person.hire_date, person.termination_date)
        assert one["manager_ref"] == (person.manager_employee_id or None)


def test_json_and_csv_give_the_same_rows(company: Company, tmp_path: Path) -> None:
    by_json, by_csv = (judge(tmp_path, report(company, form), form) for form in FORMS)
    assert by_json.frame.equals(by_csv.frame)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "refusal"),
    [(FaultKind.TRUNCATED, Truncated), (FaultKind.EMPTY, EmptyFeed), (FaultKind.LATIN1, WrongEncoding)],
)
def test_reports_that_are_refused(
    company: Company, tmp_path: Path, form: FeedFormat, kind: FaultKind, refusal: type[FeedRefused]
) -> None:
    with pytest.raises(refusal):
        judge(tmp_path, report(company, form, kind), form)


@pytest.mark.parametrize("form", FORMS)
def test_the_sign_in_page_is_refused(tmp_path: Path, form: FeedFormat) -> None:
    with pytest.raises(NotAReport):
        judge(tmp_path, LOGIN_PAGE.encode(), form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "code", "column", "blocked"),
    [
        (FaultKind.RENAMED_COLUMN, "required_column_missing", "Employee_ID", True),
        (FaultKind.MISSING_COLUMN, "column_emptied", "Work_Email", False),
        (FaultKind.EMPTY_COLUMN, "column_emptied", "Department", False),
    ],
)
def test_reports_whose_columns_have_changed_are_held(
    company: Company, tmp_path: Path, form: FeedFormat, kind: FaultKind, code: str, column: str, blocked: bool
) -> None:
    before = judge(tmp_path, report(company, form), form).profile
    admitted = judge(tmp_path, report(company, form, kind), form, before)
    assert (admitted.held, admitted.blocked) == (True, blocked)
    assert (admitted.drift[0].code, admitted.drift[0].column) == (code, column)
    if kind is FaultKind.RENAMED_COLUMN:
        assert "EmployeeID is new: was it renamed?" in admitted.drift[0].detail


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "code"), [(FaultKind.DUPLICATE_IDS, "duplicate_id"), (FaultKind.MANAGER_CYCLE, "manager_cycle")]
)
def test_rows_at_fault_are_set_aside_and_the_others_admitted(
    company: Company, tmp_path: Path, form: FeedFormat, kind: FaultKind, code: str
) -> None:
    admitted = judge(tmp_path, report(company, form, kind), form)
    assert {reason.code for one in admitted.quarantined for reason in one.reasons} == {code}
    assert set(admitted.frame["external_id"]) | admitted.kept_ids == company.people.keys()
    assert admitted.frame.height > SIZE * 0.9


def test_half_a_report_is_told(company: Company, tmp_path: Path) -> None:
    form = FeedFormat.JSON
    before = judge(tmp_path, report(company, form), form).profile
    admitted = judge(tmp_path, report(company, form, FaultKind.HALF_ROWS), form, before)
    assert "rows_dropped" in {drift.code for drift in admitted.drift}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from(FORMS))
def test_whatever_happens_to_the_bytes_it_is_read_or_refused(
    company: Company, tmp_path: Path, data: st.DataObject, form: FeedFormat
) -> None:
    content = report(company, form)[:3000]
    begin = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(begin, min(len(content), begin + 40)))
    insert = data.draw(
        st.one_of(st.binary(max_size=8), st.sampled_from([b'"', b"\n", b",", b"{", b"]}", b"\0", b"<", b"\\u"]))
    )
    closing = data.draw(st.sampled_from([b"", b"}]}", b'"}]}', b"\n"]))
    # Anything but a refusal that explains itself would be raised here.
    with suppress(FeedRefused):
        admitted = judge(tmp_path, content[:begin] + insert + content[end:] + closing, form)
        assert admitted.figures["rows"] > 0
