"""Changing many people over the public API: some hundred at once, or tens of thousands in the background."""

from typing import Any, Final

from stoa.api.background import TooManyJobs, submit
from stoa.api.jobs import Job, shown_job
from stoa.api.operations import MEBIBYTE, Answer, Call, Operation
from stoa.people.importing import AT_ONCE, IMPORT_JOB
from stoa.people.items import do_item
from stoa.people.wire_write import BulkAnswer, BulkPeople, ImportPeople, RawBulkPeople, RawImportPeople
from stoa.people.writing import NoSource, own_source

_EXAMPLE: Final = {
    "items": [
        {"action": "create", "person": {"external_id": "E-1001", "display_name": "Ada Byron", "employee_id": "1001"}},
        {"action": "upsert", "external_id": "E-1002", "person": {"display_name": "Charles Babbage"}},
        {"action": "update", "external_id": "E-1003", "person": {"title": None}},
        {"action": "remove", "external_id": "E-1004"},
    ]
}


def operations() -> tuple[Operation, ...]:
    """The two."""
    both: Any = {
        "method": "POST", "tag": "People", "scope": "people:write", "body_example": _EXAMPLE,
        "idempotency": "required", "bytes_per_unit": 65_536,
    }  # fmt: skip
    return (
        Operation(
            id="bulkPeople", path="/v1/bulk/people", summary="Change many people",
            description="Up to 1,000 pieces of work in one request, done in their order as if each had been sent by "
            "itself. One that cannot be done harms no other: the answer tells the status of each. For more, import "
            "them.",
            handler=_bulk, body=BulkPeople, decoded_as=RawBulkPeople, answers={207: BulkAnswer}, cost=10,
            problems=(NoSource,),
            max_bytes=10 * MEBIBYTE, **both,
        ),
        Operation(
            id="importPeople", path="/v1/imports/people", summary="Import people",
            description="Up to 50,000 pieces of work, done in the background in their order. The answer names a job "
            "that tells how far it is and what came of each.",
            handler=_import, body=ImportPeople, decoded_as=RawImportPeople, answers={202: Job}, cost=20,
            problems=(NoSource, TooManyJobs),
            max_bytes=20 * MEBIBYTE, **both,
        ),
    )  # fmt: skip


async def _bulk(call: Call[Any, RawBulkPeople]) -> Answer:
    source = await own_source(call.tx, call.credential)
    base_url = call.asked.base_url
    results = [
        await do_item(call.tx, source.source_id, index, raw, base_url) for index, raw in enumerate(call.body.items)
    ]
    failed = sum(one.status >= 400 for one in results)
    return Answer(207, BulkAnswer(results, len(results) - failed, failed))


async def _import(call: Call[Any, RawImportPeople]) -> Answer:
    source = await own_source(call.tx, call.credential)
    job = await submit(call.tx, IMPORT_JOB, call.body.items, source_id=source.source_id, at_once=AT_ONCE)
    place = ("location", call.url(f"/v1/jobs/{job.id}"))
    return Answer(202, shown_job(job, call.asked.base_url), (place,))
