"""The job that works off an import: some hundred items in one transaction, with what came of them and how far it is."""

from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from stoa.access import clients_queries
from stoa.access.queries import credential
from stoa.access.scopes import granted
from stoa.api import background
from stoa.api.background import ApiJob, Result, Stretch
from stoa.api.problems import problem_members
from stoa.db.errors import COLLISION
from stoa.db.transactions import Origin, TenantTx
from stoa.jobs.run import Handler, JobRun
from stoa.kernel.ids import ClientId, CredentialId, SourceId, parse_id
from stoa.kernel.problems import NotFound, Problem
from stoa.people.items import do_item
from stoa.people.wire_write import ItemResult

IMPORT_JOB: Final = "people.import"
# Items of one transaction: few enough for a second or two, so that whoever waits for a row does not wait long.
AT_ONCE: Final = 200
_ATTEMPTS: Final = 5
# What an import was asked for with: a client that has lost it meanwhile writes nothing more.
_SCOPE: Final = "people:write"
_log: Final[Any] = structlog.get_logger("stoa.people")


class ClientEnded(Problem):
    """The API client, or the token, on whose behalf the work was done is disabled, deleted, revoked or expired, or has
    lost the scope that the work takes.

    What was done before that stays. Make a new import with a credential that opens.
    """

    code = "client_ended"
    status = 403


def importing_jobs() -> dict[str, Handler]:
    """The handler by its kind."""
    return {IMPORT_JOB: work_off}


async def work_off(run: JobRun) -> None:
    """Does an import, stretch by stretch, until it is done, stopped, or its client has ended.

    Raises what the worker tries again after a while; what was committed is not done again.
    """
    job_id = UUID(run.key)
    while await _step(run, job_id):
        pass


async def _step(run: JobRun, job_id: UUID) -> bool:
    """One stretch. False: there is nothing more to do."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await _once(run, job_id)
        except COLLISION as error:
            # Somebody changes the same people at the same time: of two transactions one has to begin anew.
            if attempt == _ATTEMPTS:
                raise
            _log.info("import_begins_stretch_anew", job=run.key, error=type(error).__name__)
    raise AssertionError("unreachable")


async def _once(run: JobRun, job_id: UUID) -> bool:
    found = await _asked(run, job_id)
    if found is None:
        return False
    origin = Origin(found.actor, "worker", run.trace_id, found.address)
    async with run.database.tenant(run.tenant_id, origin) as tx:
        await run.fence(tx)
        job = await background.find_job(tx, job_id, lock=True)
        if job is None or job.ended:
            return False
        if not await _still_good(tx, job.actor):
            problem = ClientEnded("The API client or token on whose behalf this was done has ended, or may not write.")
            await background.end(tx, job, "failed", problem_members(problem, base_url=""))
            return False
        stretch = await background.take(tx, job_id)
        if stretch is None:
            await background.end(tx, job, "done")
            return False
        assert job.source_id is not None
        await background.note(tx, job_id, await _results(tx, job.source_id, stretch))
    return True


async def _asked(run: JobRun, job_id: UUID) -> ApiJob | None:
    async with run.database.tenant(run.tenant_id, run.origin, read_only=True) as tx:
        return await background.find_job(tx, job_id)


async def _results(tx: TenantTx, source_id: SourceId, stretch: Stretch) -> list[Result]:
    # Addresses of problems are put in when they are read: the server's own may change meanwhile.
    done = [await do_item(tx, source_id, stretch.first + i, raw, "") for i, raw in enumerate(stretch.items)]
    return [_result(one) for one in done]


def _result(done: ItemResult) -> Result:
    return Result(done.index, done.status, msgspec.to_builtins(done))


async def _still_good(tx: TenantTx, actor: str) -> bool:
    """Whether the client or credential of this actor is still let in, and may still write."""
    kind, _, text = actor.partition(":")
    found = parse_id(text)
    if found is None:
        return False
    if kind == "client":
        try:
            client = await clients_queries.client(tx, ClientId(found))
        except NotFound:
            return False
        return client.disabled_at is None and granted(client.scopes, _SCOPE)
    token = await credential(tx, CredentialId(found))
    return token is not None and token.opens_at(tx.now) and granted(token.scopes, _SCOPE)
