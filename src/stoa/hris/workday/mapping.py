"""The default mapping of a worker report, and what a connection changes of it.

Column names are the aliases that the guide for administrators proposes for the report's fields.
"""

from dataclasses import replace
from typing import Final

from stoa.hris.workday.config import WorkdayConfig
from stoa.kernel.problems import BadInput
from stoa.people.fields import BY_NAME, FieldType
from stoa.sync.model import ACTIVE, Column, ColumnType, FeedMapping, Joined, with_content_version

KEY: Final = "employee_id"
IGNORED: Final = frozenset({"WID"})
# Workday sends the name of the worker type, and its sub-types when the report is built on those.
WORKER_TYPES: Final = {"Employee": "employee", "Contingent Worker": "contingent_worker", "Contractor": "contractor"}
COLUMNS: Final = (
    Column("employee_id", "Employee_ID", required=True),
    Column("worker_type", "Worker_Type", type=ColumnType.ENUM, values=WORKER_TYPES),
    # People of one name have it as their last name.
    Column("given_name", "Legal_First_Name"),
    Column("family_name", "Legal_Last_Name", required=True),
    Column("display_name", "Preferred_Name"),
    Column("email", "Work_Email", type=ColumnType.EMAIL),
    Column("phone", "Work_Phone", unchecked=True),
    Column("title", "Business_Title"),
    Column("job_code", "Job_Code"),
    Column("department", "Department"),
    Column("division", "Division"),
    Column("cost_center", "Cost_Center"),
    Column("location", "Location"),
    Column("time_zone", "Time_Zone", unchecked=True),
    Column("locale", "Locale", unchecked=True),
    Column("manager_ref", "Manager_Employee_ID"),
    Column("hire_date", "Hire_Date", type=ColumnType.DATE),
    Column("termination_date", "Termination_Date", type=ColumnType.DATE),
    Column(ACTIVE, "Active_Status", required=True, type=ColumnType.BOOLEAN),
)
_TYPES: Final = {
    FieldType.TEXT: ColumnType.TEXT,
    FieldType.REFERENCE: ColumnType.TEXT,
    FieldType.DATE: ColumnType.DATE,
    FieldType.BOOLEAN: ColumnType.BOOLEAN,
}


def mapping_of(config: WorkdayConfig) -> FeedMapping:
    """The mapping of a connection. Raises BadInput if its settings name an unknown field or contradict themselves."""
    columns = {column.field: column for column in COLUMNS}
    for field, source in config.columns.items():
        columns[field] = _renamed(columns.get(field), field, source)
    if config.worker_types:
        kind = columns["worker_type"]
        columns["worker_type"] = replace(kind, values=WORKER_TYPES | config.worker_types)
    read = {column.source for column in columns.values()}
    for source in config.ignored_columns:
        if source in read:
            raise _unusable("ignored_columns", f"{source} is read by the mapping, so it cannot be ignored.")
    return with_content_version(
        FeedMapping(
            version=0,
            key=columns[KEY].source,
            columns=tuple(columns.values()),
            ignored=(IGNORED | set(config.ignored_columns)) - read,
            defaults={"display_name": Joined(("given_name", "family_name"))},
        )
    )


def _renamed(present: Column | None, field: str, source: str) -> Column:
    if present is not None:
        return replace(present, source=source)
    spec = BY_NAME.get(field)
    if spec is None:
        raise _unusable(f"columns.{field}", f"There is no field {field}; there are {', '.join((*BY_NAME, ACTIVE))}.")
    return Column(field, source, type=_TYPES[spec.type])


def _unusable(field: str, detail: str) -> BadInput:
    errors = [{"field": field, "detail": detail}]
    return BadInput(f"The settings cannot be used: {field}: {detail}", hint="Correct this field.", errors=errors)
