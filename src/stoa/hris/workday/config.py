"""The settings of a connection to Workday."""

from typing import Annotated, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from stoa.sync.feeds import FeedFormat

_Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class WorkdayConfig(BaseModel):
    """Where the report is, who reads it, and how its columns differ from the default mapping."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True)] = Field(
        title="Report address",
        description="The report's web service URL, as Workday shows it under Web Service, View URLs. Prompts may stand "
        "in its query; the format is set below.",
        examples=["https://wd2-impl-services1.workday.com/ccx/service/customreport2/acme/ISU_LMS/LMS_Worker_Feed"],
    )
    format: FeedFormat = Field(FeedFormat.JSON, title="Format", description="JSON is safer; CSV is smaller.")
    username: Annotated[_Name, Field(title="Integration system user", examples=["ISU_LMS"])]
    password: SecretStr = Field(title="Password", min_length=1, max_length=1000)
    include_terminated: bool = Field(
        default=False,
        title="Ask for workers who have left",
        description="Sends the prompt Include_Terminated=1. Without it, a worker who is no longer in the report counts "
        "as having left.",
    )
    columns: dict[_Name, _Name] = Field(
        default_factory=dict,
        title="Other column names",
        description='Field to column of the report, where the report differs: {"organization": "Company"}. The key of '
        "every record is the column of employee_id.",
    )
    ignored_columns: tuple[_Name, ...] = Field(
        default=(), title="Ignored columns", description="Columns of the report that are known and not read."
    )
    worker_types: dict[_Name, _Name] = Field(
        default_factory=dict,
        title="Further worker types",
        description='Value of the report to the value stored, beside the usual ones: {"Seasonal": "seasonal"}.',
    )

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        """An absolute http or https address. Whether it may be reached, and how, is outbound's matter."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the address must begin with https:// and name a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the address must not contain a user name or password; they have fields of their own")
        if parts.fragment:
            raise ValueError("the address must not contain a #")
        return url

    @model_validator(mode="after")
    def _formats_agree(self) -> Self:
        asked = parse_qs(urlsplit(self.url).query).get("format", [])
        if any(value != self.format for value in asked):
            raise ValueError(f"the address asks for format={asked[0]} and the settings for {self.format}")
        return self
