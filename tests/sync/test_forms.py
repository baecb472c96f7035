"""Forms made from the schema of a connector's configuration."""

from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from stoa.hris.workday.config import WorkdayConfig
from stoa.kernel.problems import BadInput
from stoa.sync.connectors import split_config
from stoa.sync.forms import (
    WHOLE,
    Control,
    FormField,
    Unreadable,
    defaults_of,
    errors_by_field,
    fields_of,
    given_of,
    texts_of,
)


class Size(StrEnum):
    """For programmers."""

    SMALL = "small"
    LARGE = "large"


class Inner(BaseModel):
    depth: int = 1


class Everything(BaseModel):
    url: str = Field(title="Address", description="Where it is.", examples=["https://x"], max_length=50)
    token: SecretStr
    second: SecretStr | None = None
    size: Size = Field(Size.SMALL, title="Size")
    odd_size: Size | None = None
    active: bool = True
    port: Annotated[int, Field(ge=1)] = 22
    share: float | None = None
    names: tuple[str, ...] = ()
    words: dict[str, str] = Field(default_factory=dict)
    numbers: list[int] = Field(default_factory=list)
    inner: Inner = Inner()


FIELDS = fields_of(Everything.model_json_schema())
BY_NAME = {field.name: field for field in FIELDS}


def test_each_type_has_its_control() -> None:
    assert {name: field.control for name, field in BY_NAME.items()} == {
        "url": Control.TEXT,
        "token": Control.SECRET,
        "second": Control.SECRET,
        "size": Control.CHOICE,
        "odd_size": Control.CHOICE,
        "active": Control.CHECK,
        "port": Control.NUMBER,
        "share": Control.NUMBER,
        "names": Control.LIST,
        "words": Control.MAP,
        "numbers": Control.JSON,
        "inner": Control.JSON,
    }


def test_a_field_says_what_the_schema_says() -> None:
    url = BY_NAME["url"]
    assert (url.label, url.hint, url.example, url.required, url.longest) == (
        "Address",
        "Where it is.",
        "https://x",
        True,
        50,
    )
    size = BY_NAME["size"]
    assert (size.options, size.default, size.required) == (("small", "large"), "small", False)
    assert "programmers" not in size.hint
    assert BY_NAME["port"].label == "Port"


def test_what_a_form_gives_is_what_the_model_takes() -> None:
    texts = {
        "url": " https://x ",
        "token": " a secret ends in a space ",
        "size": "large",
        "active": "on",
        "port": "8022",
        "names": "Ada\n\n Grace \r\nEdsger",
        "words": "a = b\nc= d = e ",
        "numbers": "[1, 2]",
        "inner": '{"depth": 3}',
    }
    public, secrets = split_config(Everything, given_of(FIELDS, texts))
    assert secrets == {"token": " a secret ends in a space "}
    assert public["url"] == "https://x"
    assert (public["size"], public["active"], public["port"], public["share"]) == ("large", True, 8022, None)
    assert public["names"] == ["Ada", "Grace", "Edsger"]
    assert public["words"] == {"a": "b", "c": "d = e"}
    assert (public["numbers"], public["inner"]) == ([1, 2], {"depth": 3})


def test_a_box_that_is_not_ticked_is_no() -> None:
    assert given_of(FIELDS, {})["active"] is False
    assert defaults_of(FIELDS)["active"] == "on"


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("words", "a = b\nnonsense", "Line 2"),
        ("words", "= b", "Line 1"),
        ("words", "a = 1\na = 2", "a second time"),
        ("words", "{nonsense", "not JSON"),
        ("numbers", "[1,", "not JSON"),
        ("url", "x" * 20_001, "longer than 20,000"),
    ],
)
def test_what_cannot_be_read_is_told_by_field(field: str, text: str, told: str) -> None:
    with pytest.raises(Unreadable) as caught:
        given_of(FIELDS, {field: text})
    (error,) = caught.value.errors
    assert error["field"] == field
    assert told in error["detail"]


def test_every_unreadable_field_is_told_at_once() -> None:
    with pytest.raises(Unreadable) as caught:
        given_of(FIELDS, {"words": "x", "numbers": "x"})
    assert [error["field"] for error in caught.value.errors] == ["words", "numbers"]


def test_what_the_model_says_stands_beside_its_field() -> None:
    with pytest.raises(BadInput) as caught:
        split_config(Everything, {"port": 0, "inner": {"depth": "deep"}, "token": "x"})
    told = errors_by_field(caught.value, FIELDS)
    assert told["url"] == "This cannot be left empty."
    assert told["port"].startswith("Input should be greater than")
    assert told["inner"].startswith("depth: ")
    assert "deep" not in str(told)
    elsewhere = BadInput("No.", errors=[{"field": "(settings)", "detail": "a and b disagree"}])
    assert errors_by_field(elsewhere, FIELDS) == {WHOLE: "a and b disagree."}
    assert errors_by_field(BadInput("No.", hint="Do."), FIELDS) == {WHOLE: "No. Do."}


def test_a_secret_is_never_shown() -> None:
    assert texts_of(FIELDS, {"token": "hush", "second": "hush"})["token"] == ""


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES, WORDS = st.lists(TEXTS, max_size=4), st.dictionaries(TEXTS, TEXTS, max_size=4)


@given(names=NAMES, words=WORDS)
def test_what_is_shown_reads_back_as_it_was(names: list[str], words: dict[str, str]) -> None:
    given_back = given_of(FIELDS, texts_of(FIELDS, {"names": names, "words": words}))
    assert (given_back.get("names", []), given_back.get("words", {})) == (names, words)


def test_workdays_settings_read_back_as_they_were() -> None:
    fields = fields_of(WorkdayConfig.model_json_schema())
    config: dict[str, Any] = {
        "url": "https://wd2.example/report?a=b",
        "username": "ISU",
        "columns": {"cost_center": "Cost Center = ID", "division": "Division"},
        "ignored_columns": ["Badge Colour"],
        "worker_types": {"Seasonal = short": "seasonal"},
        "include_terminated": True,
    }
    public, _ = split_config(WorkdayConfig, config | {"password": "x"})
    again, _ = split_config(WorkdayConfig, given_of(fields, texts_of(fields, public)) | {"password": "x"})
    assert again == public


def test_a_field_of_no_known_type_is_json() -> None:
    (field,) = fields_of({"properties": {"any": {}}})
    assert field == FormField("any", "Any", "", Control.JSON, required=False)
