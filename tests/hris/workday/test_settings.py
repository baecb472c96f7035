"""The settings of a connection, and the mapping that comes of them."""

from typing import Any

import pytest

from stoa.hris.workday.config import WorkdayConfig
from stoa.hris.workday.connector import CONNECTOR
from stoa.hris.workday.raas import report_url
from stoa.kernel.problems import BadInput
from stoa.people.fields import FIELDS
from stoa.sync.connectors import join_config, split_config
from stoa.sync.contract import check_mapping
from stoa.sync.model import ColumnType, FeedMapping, FieldSpec, FieldType

TARGET = {field.name: FieldSpec(FieldType(field.type.value), field.max_length, field.keyed) for field in FIELDS}
GIVEN = {"url": "https://wd2.example/ccx/report", "username": "ISU_LMS", "password": "hush"}


def config(**given: Any) -> WorkdayConfig:
    return join_config(WorkdayConfig, GIVEN | given, {})


def mapping(**given: Any) -> FeedMapping:
    return CONNECTOR.mapping(config(**given))


def test_the_password_is_sealed_apart() -> None:
    public, secrets = split_config(WorkdayConfig, GIVEN)
    assert secrets == {"password": "hush"}
    assert "hush" not in repr(public)
    assert "hush" not in repr(config())
    assert join_config(WorkdayConfig, public, secrets) == config()


def test_the_form_can_be_drawn_from_the_schema() -> None:
    schema = WorkdayConfig.model_json_schema()
    assert schema["required"] == ["url", "username", "password"]
    assert schema["properties"]["password"]["writeOnly"] is True
    assert all(field["title"] for field in schema["properties"].values())


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": "ftp://wd2.example/x"}, "url"),
        ({"url": "wd2.example/x"}, "url"),
        ({"url": "https://u:hush@wd2.example/x"}, "url"),
        ({"url": "https://wd2.example/x#y"}, "url"),
        ({"url": "https://[wd2/x"}, "url"),
        ({"url": "https://wd2.example/x?format=csv"}, "(settings)"),
        ({"format": "xml"}, "format"),
        ({"username": " "}, "username"),
        ({"password": ""}, "password"),
        ({"columns": {"title": ""}}, "columns.title"),
        ({"allow": ["127.0.0.1:1"]}, "allow"),
    ],
)
def test_settings_that_cannot_be_used(given: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        split_config(WorkdayConfig, GIVEN | given)
    errors = caught.value.extra["errors"]
    assert isinstance(errors, list)
    assert [error["field"] for error in errors] == [field]
    assert "hush" not in str(caught.value)


def test_the_address_carries_format_and_prompts() -> None:
    assert report_url(config()) == "https://wd2.example/ccx/report?format=json"
    prompted = config(url="https://wd2.example/r?Org=A%20B&format=csv&x=", format="csv", include_terminated=True)
    assert report_url(prompted) == "https://wd2.example/r?Org=A+B&x=&Include_Terminated=1&format=csv"


def test_the_default_mapping_fits_the_fields_of_people() -> None:
    default = mapping()
    check_mapping(default, TARGET)
    assert default.key == "Employee_ID"
    assert {"employee_id", "manager_ref", "department", "active", "hire_date", "email"} <= {
        column.field for column in default.columns
    }


def test_columns_can_be_called_otherwise_and_fields_added() -> None:
    changed = mapping(
        columns={"employee_id": "Worker_ID", "organization": "Company", "title": "Job_Title"},
        ignored_columns=["Employee_ID", "Salary"],
        worker_types={"Seasonal": "seasonal"},
    )
    check_mapping(changed, TARGET)
    by_field = {column.field: column for column in changed.columns}
    assert (changed.key, by_field["organization"].source, by_field["title"].source) == (
        "Worker_ID",
        "Company",
        "Job_Title",
    )
    assert by_field["worker_type"].values == {
        "Employee": "employee",
        "Contingent Worker": "contingent_worker",
        "Contractor": "contractor",
        "Seasonal": "seasonal",
    }
    assert {"Employee_ID", "Salary", "WID"} <= changed.ignored
    assert changed.version != mapping().version


def test_an_ignored_column_can_be_put_to_use() -> None:
    changed = mapping(columns={"user_name": "WID"})
    check_mapping(changed, TARGET)
    assert "WID" not in changed.ignored


def test_dates_stay_dates_under_another_name() -> None:
    by_field = {column.field: column for column in mapping(columns={"hire_date": "Start"}).columns}
    assert by_field["hire_date"].type is ColumnType.DATE


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"columns": {"salary": "Salary"}}, "There is no field salary"),
        ({"ignored_columns": ["Department"]}, "Department is read by the mapping"),
    ],
)
def test_a_mapping_that_is_asked_for_and_cannot_be(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        mapping(**given)
