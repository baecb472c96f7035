"""Work in the background over the public API: how far it is, what came of it, and how to stop it."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from stoa.api.background import COLUMNS, ApiJob, JobFinished, JobState, cancel, job, job_of
from stoa.api.lists import ListQuery, Page, RowsQuery, page, read_list
from stoa.api.operations import Answer, Call, Operation, Param
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.kernel.cursors import BadCursor, number_mark, read_position
from stoa.kernel.filters import Attribute, AttrType, Catalogue, Column, FilterError, sql
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import NotFound

_TIME: Final = Meta(tz=True)
_JOB: Final = Param("The job's id.", format="uuid", example="018f2f3e-5c7a-7c3a-9d5e-3b1c2a4d5e6f")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Work in the background. It is forgotten seven days after its end."""

    id: UUID
    kind: Annotated[str, Meta(description="What is done: `people.import`.")]
    state: JobState
    actor: Annotated[str, Meta(description="On whose behalf, as the event log has it.")]
    total: Annotated[int, Meta(description="Items.")]
    done: Annotated[int, Meta(description="Items that were worked on.")]
    failed: Annotated[int, Meta(description="Those of them that were refused; the results say why.")]
    problem: Annotated[dict[str, Any] | None, Meta(description="Why it could not go on, as a problem document.")]
    created_at: Annotated[datetime, _TIME]
    started_at: Annotated[datetime, _TIME] | None
    finished_at: Annotated[datetime, _TIME] | None
    updated_at: Annotated[datetime, _TIME]


class JobResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one item of a job."""

    index: Annotated[int, Meta(description="Its place in the request, from 0.")]
    status: Annotated[int, Meta(description="The status that the item would have been answered by itself.")]
    action: Annotated[str | None, Meta(description="As asked for; null where it could not be read.")] = None
    id: Annotated[UUID | None, Meta(description="Of what was made or changed.")] = None
    external_id: Annotated[str | None, Meta(description="As the item named it.")] = None
    resolution: Annotated[dict[str, Any] | None, Meta(description="What became of what was said.")] = None
    problem: Annotated[dict[str, Any] | None, Meta(description="Why it was not done, as a problem document.")] = None


_CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID),
        Attribute("kind", case_exact=True),
        Attribute("state", case_exact=True),
        Attribute("actor", case_exact=True),
        Attribute("created_at", AttrType.DATETIME),
        Attribute("updated_at", AttrType.DATETIME),
    )
)
_TABLE: Final = Table(
    select=f"SELECT {COLUMNS} FROM api_job j WHERE j.tenant_id = $1",  # noqa: S608 - code
    key="j.api_job_id",
    binding={
        "id": Column("j.api_job_id"),
        **{name: Column(f"j.{name}") for name in ("kind", "state", "actor", "created_at", "updated_at")},
    },
    sorts={"created_at": ("j.created_at", MOMENT), "updated_at": ("j.updated_at", MOMENT)},
)
_RESULTS: Final = Catalogue((Attribute("index", AttrType.INTEGER), Attribute("status", AttrType.INTEGER)))
_RESULTS_BINDING: Final = {"index": Column("r.item"), "status": Column("r.status")}
_MOST_ITEMS: Final = 2**31 - 1
_ONE: Final = "/v1/jobs/{job}"


def operations() -> tuple[Operation, ...]:
    """Jobs, however they came to be."""
    one: Any = {"tag": "Jobs", "path_params": {"job": _JOB}}
    return (
        Operation(
            id="listJobs", method="GET", path="/v1/jobs", tag="Jobs", summary="List jobs",
            description="The latest first. A job is forgotten seven days after its end.",
            scope="jobs:read", handler=_list, query=ListQuery, answers={200: Page[Job]},
            problems=(BadCursor, FilterError),
        ),
        Operation(
            id="getJob", method="GET", path=_ONE, summary="Get a job", scope="jobs:read", handler=_get,
            description="How far it is. Ask every few seconds until `finished_at` is set.", answers={200: Job}, **one,
        ),
        Operation(
            id="listJobResults", method="GET", path=f"{_ONE}/results", summary="List what came of each item",
            description="In the order of the items, as far as they were worked on. `filter=status ge 400` leaves those "
            "that were refused.",
            scope="jobs:read", handler=_results, query=RowsQuery, answers={200: Page[JobResult]},
            problems=(BadCursor, FilterError, NotFound), **one,
        ),
        Operation(
            id="cancelJob", method="POST", path=f"{_ONE}/cancel", summary="Stop a job",
            description="What is being done now is done to its end, at most some hundred items; nothing more is begun. "
            "What was done stays.",
            scope="jobs:write", handler=_cancel, idempotency="optional", answers={200: Job},
            problems=(JobFinished, NotFound), **one,
        ),
    )  # fmt: skip


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, _CATALOGUE, tuple(_TABLE.sorts), default="-created_at")
    rows, after = await rows_of(call.tx, _TABLE, ask)
    return page(call, ask, [shown_job(job_of(row), call.asked.base_url) for row in rows], after)


async def _get(call: Call[Any, None]) -> Answer:
    return Answer(content=shown_job(await job(call.tx, job_id_of(call)), call.asked.base_url))


async def _results(call: Call[RowsQuery, None]) -> Answer:
    found = await job(call.tx, job_id_of(call))
    ask = read_list(call, _RESULTS, ("index",), default="index")
    params: tuple[object, ...] = (call.tx.tenant_id, found.id)
    where = ""
    if ask.where is not None:
        condition = sql(ask.where, _RESULTS_BINDING, first_param=3, now=call.now)
        where, params = f" AND {condition.text}", (*params, *condition.params)
    if ask.after is not None:
        where += f" AND r.item {'<' if ask.descending else '>'} ${len(params) + 1}"
        params = (*params, *read_position(ask.after, number_mark(0, _MOST_ITEMS)))
    rows = await call.tx.fetch(
        f"""SELECT r.item, r.result FROM api_job_result r WHERE r.tenant_id = $1 AND r.api_job_id = $2{where}
        ORDER BY r.item{" DESC" if ask.descending else ""} LIMIT {ask.limit + 1}""",  # noqa: S608 - code
        *params,
    )
    items = [_result(row["result"], call.asked.base_url) for row in rows[: ask.limit]]
    return page(call, ask, items, (rows[ask.limit - 1]["item"],) if len(rows) > ask.limit else None)


def _result(stored: dict[str, Any], base_url: str) -> JobResult:
    found = msgspec.convert(stored, JobResult)
    return msgspec.structs.replace(found, problem=with_address(found.problem, base_url))


async def _cancel(call: Call[Any, None]) -> Answer:
    return Answer(content=shown_job(await cancel(call.tx, job_id_of(call)), call.asked.base_url))


def job_id_of(call: Call[Any, Any]) -> UUID:
    """The job that the path names. Raises NotFound."""
    found = parse_id(call.path["job"])
    if found is None:
        raise NotFound("There is no such job in this tenant.", hint="The list of jobs has those that there are.")
    return found


def shown_job(found: ApiJob, base_url: str) -> Job:
    """A job as clients see it."""
    return Job(
        id=found.id,
        kind=found.kind,
        state=found.state,
        actor=found.actor,
        total=found.total,
        done=found.done,
        failed=found.failed,
        problem=with_address(found.problem, base_url),
        created_at=found.created_at,
        started_at=found.started_at,
        finished_at=found.finished_at,
        updated_at=found.updated_at,
    )


def with_address(problem: dict[str, Any] | None, base_url: str) -> dict[str, Any] | None:
    """A problem document that was stored without the server's address, which may change."""
    return None if problem is None else {**problem, "type": f"{base_url}{problem['type']}"}
