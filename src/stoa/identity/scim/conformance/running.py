"""The checks of a SCIM connection, run against the tenant's own service, and what they found.

Every tenant can run the checks that only read; they see the connection's own source. Those that write need a sandbox:
they get a source of their own within the transaction. The transaction is undone in any case; kept is the outcome alone.
"""

import traceback
from collections.abc import Sequence
from typing import Any, Final, assert_never
from uuid import UUID

import msgspec
import structlog

from stoa.db.database import Database
from stoa.db.errors import UNAVAILABLE
from stoa.db.transactions import Origin, TenantTx
from stoa.identity.scim.conformance.bench import Bench, Exchange
from stoa.identity.scim.conformance.groups import GROUP_WRITES
from stoa.identity.scim.conformance.model import Check, Conformance, NotApplicable, Result, Unmet, Verdict
from stoa.identity.scim.conformance.reads import READS
from stoa.identity.scim.conformance.writes import USER_WRITES
from stoa.kernel.ids import SourceId, TenantId, new_id
from stoa.tenants.actions import ensure_source
from stoa.tenants.queries import tenant

CHECKS: Final = (*READS, *USER_WRITES, *GROUP_WRITES)
# Runs of a source that are kept.
KEPT: Final = 20
_ONLY_IN_SANDBOX: Final = "This check writes, and this tenant is no sandbox. Run it in one."
_log: Final[Any] = structlog.get_logger("stoa.scim")


class _Undone(Exception):
    """Ends the transaction of the checks without a commit."""


async def run_checks(
    database: Database,
    tenant_id: TenantId,
    source_id: SourceId,
    base_url: str,
    origin: Origin,
    checks: Sequence[Check] = CHECKS,
) -> tuple[bool, list[Result]]:
    """Whether the checks that write ran too, and what each found. Leaves nothing behind. Raises UNAVAILABLE's errors.

    base_url: the tenant's SCIM address.
    """
    reads, writes = [one for one in checks if not one.writes], [one for one in checks if one.writes]
    async with database.tenant(tenant_id, origin, read_only=True) as tx:
        may_write = (await tenant(tx)).sandbox
        bench = Bench(tx, source_id, base_url, is_scratch=False)
        results = [await _looked(check, bench) for check in reads]
    if not may_write:
        return False, [*results, *(_result(one, Verdict.SKIPPED, _ONLY_IN_SANDBOX, ()) for one in writes)]
    try:
        async with database.tenant(tenant_id, origin) as tx:
            source = await ensure_source(tx, "idp", f"Conformance {new_id()}")
            bench = Bench(tx, source.source_id, base_url, is_scratch=True)
            results += [await _looked(check, bench) for check in writes]
            raise _Undone
    except _Undone:
        return True, results


async def _looked(check: Check, bench: Bench) -> Result:
    """Each check within a savepoint, so that a statement that fails ends one check and no more."""
    bench.exchanges.clear()
    verdict, came = Verdict.PASSED, ""
    try:
        async with bench.tx.savepoint():
            await check.look(bench)
    except Unmet as unmet:
        verdict, came = Verdict.FAILED, str(unmet)
    except NotApplicable as reason:
        verdict, came = Verdict.SKIPPED, str(reason)
    except UNAVAILABLE:
        raise
    except Exception as error:
        _log.error("conformance_check_broke", check=check.code, error=type(error).__name__, at=_place(error))
        verdict, came = Verdict.BROKEN, f"The server failed ({type(error).__name__}). The operator finds it in the log."
    return _result(check, verdict, came, tuple(bench.exchanges))


def _place(error: Exception) -> str:
    return " < ".join(f"{one.name}:{one.lineno}" for one in reversed(traceback.extract_tb(error.__traceback__)))


def _result(check: Check, verdict: Verdict, came: str, exchanges: Sequence[Exchange]) -> Result:
    return Result(check.code, check.expectation, check.stands_for, check.page, verdict, came, exchanges)


# ------------------------------------------------------------------ kept


_KEEP: Final = """
INSERT INTO scim_conformance
  (tenant_id, source_id, conformance_id, at, actor, wrote, passed, failed, skipped, results)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""
_FORGET: Final = """
DELETE FROM scim_conformance WHERE tenant_id = $1 AND source_id = $2 AND conformance_id < (
  SELECT conformance_id FROM scim_conformance WHERE tenant_id = $1 AND source_id = $2
  ORDER BY conformance_id DESC OFFSET $3 LIMIT 1)"""
_LATEST: Final = """
SELECT conformance_id, at, actor, wrote, passed, failed, skipped FROM scim_conformance
WHERE tenant_id = $1 AND source_id = $2 ORDER BY conformance_id DESC LIMIT $3"""
_ONE: Final = """
SELECT conformance_id, at, actor, wrote, passed, failed, skipped, results FROM scim_conformance
WHERE tenant_id = $1 AND source_id = $2 AND ($3::uuid IS NULL OR conformance_id = $3)
ORDER BY conformance_id DESC LIMIT 1"""


async def keep(tx: TenantTx, source_id: SourceId, results: Sequence[Result], *, wrote: bool) -> Conformance:
    """Stores what a run of the checks found; the oldest runs beyond KEPT are forgotten."""
    passed, failed, skipped = (sum(_counts_as(one.verdict) == i for one in results) for i in range(3))
    made = Conformance(new_id(), tx.now, tx.origin.actor, wrote, passed, failed, skipped, results)
    stored = msgspec.to_builtins(list(results))
    counts = (passed, failed, skipped)
    await tx.execute(_KEEP, tx.tenant_id, source_id, made.conformance_id, made.at, made.actor, wrote, *counts, stored)
    await tx.execute(_FORGET, tx.tenant_id, source_id, KEPT - 1)
    return made


def _counts_as(verdict: Verdict) -> int:
    """0 for passed, 1 for failed, 2 for skipped."""
    match verdict:
        case Verdict.PASSED:
            return 0
        case Verdict.FAILED | Verdict.BROKEN:
            return 1
        case Verdict.SKIPPED:
            return 2
        case _:
            assert_never(verdict)


async def latest(tx: TenantTx, source_id: SourceId) -> list[Conformance]:
    """The runs that are kept, without their results, latest first."""
    rows = await tx.fetch(_LATEST, tx.tenant_id, source_id, KEPT)
    return [Conformance(**dict(row)) for row in rows]


async def one_run(tx: TenantTx, source_id: SourceId, conformance_id: UUID | None = None) -> Conformance | None:
    """A run with its results; the latest if none is named."""
    row = await tx.fetchrow(_ONE, tx.tenant_id, source_id, conformance_id)
    if row is None:
        return None
    told = dict(row)
    results = msgspec.convert(told.pop("results"), list[Result])
    return Conformance(**told, results=results)
