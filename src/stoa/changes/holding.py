"""Runs that collect what waits although the client was told that it is done: at most one for each source and target.

Whoever adds to one shares a lock on it until the end of the transaction, so that a decision comes before or after.
"""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from dataclasses import dataclass, replace
from typing import Final

from stoa.alerts.actions import raise_alert, resolve_alerts
from stoa.changes.counting import counted_held
from stoa.changes.model import Reason, Run, RunKind, RunState
from stoa.changes.queries import RUN_COLUMNS, run_of
from stoa.changes.standing import note_transition
from stoa.changes.telling import tell_run
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import RunId, SourceId, new_id

HELD_ALERT: Final = "run_held"
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Collecting:
    """The run that collects, and the codes of its reasons."""

    run_id: RunId
    codes: frozenset[str]


def alert_key(run: Run) -> str:
    """The key of the alert that says that a run waits."""
    match run.kind:
        case RunKind.SCIM_HOLD:
            return f"{run.source_id}/{run.target}"
        case RunKind.ROLLBACK:
            # The next report says nothing of it.
            return f"{run.source_id}/{run.run_id}"
        case _:
            return str(run.source_id)


async def collect(tx: TenantTx, source_id: SourceId, target: str, reason: Reason, title: str) -> RunId:
    """The run that collects what waits of a source's target; it is opened, and its owner told, where there is none.

    It says `reason` from then on. No decision upon it is made before the end of the transaction.

    title: of the alert.
    """
    for _ in range(_ATTEMPTS):
        there = await collecting(tx, source_id, target)
        if there is not None:
            if reason.code not in there.codes:
                await _add_reason(tx, there.run_id, reason)
            return there.run_id
        row = await tx.fetchrow(
            _OPEN, *(tx.tenant_id, new_id(), target, source_id, tx.origin.actor), tx.now, [reason.as_json()]
        )
        if row is not None:
            return await _opened(tx, run_of(row), reason, title)
    raise RuntimeError("the run that collects was opened and decided upon by others again and again")


_OPEN: Final = f"""
INSERT INTO run (tenant_id, run_id, kind, state, target, source_id, actor, created_at, planned_at, reasons)
VALUES ($1, $2, 'scim_hold', 'held', $3, $4, $5, $6, $6, $7) ON CONFLICT DO NOTHING RETURNING {RUN_COLUMNS}"""


async def collecting(tx: TenantTx, source_id: SourceId, target: str) -> Collecting | None:
    """The run that collects, if one is open: nobody decides upon it before the end of the transaction."""
    row = await tx.fetchrow(
        """SELECT run_id, reasons FROM run
        WHERE tenant_id = $1 AND source_id = $2 AND target = $3 AND kind = 'scim_hold' AND state = 'held' FOR SHARE""",
        *(tx.tenant_id, source_id, target),
    )
    return None if row is None else Collecting(row["run_id"], codes_of(row["reasons"]))


def codes_of(reasons: list[dict[str, str]]) -> frozenset[str]:
    """The codes of a run's reasons as they are stored."""
    return frozenset(reason["code"] for reason in reasons)


async def _opened(tx: TenantTx, run: Run, reason: Reason, title: str) -> RunId:
    tell_run(tx, None, run)
    await note_transition(tx, run, run)
    hint = f"{reason.hint} The admins of the tenant decide, on the page “Approvals”."
    await raise_alert(tx, HELD_ALERT, alert_key(run), "critical", title, reason.detail, hint, run_id=run.run_id)
    return run.run_id


async def _add_reason(tx: TenantTx, run_id: RunId, reason: Reason) -> None:
    # Of two who add the same, the second finds it there.
    await tx.execute(
        """UPDATE run SET reasons = reasons || $3::jsonb
        WHERE tenant_id = $1 AND run_id = $2 AND state = 'held' AND NOT reasons @> $4::jsonb""",
        *(tx.tenant_id, run_id, [reason.as_json()], [{"code": reason.code}]),
    )


async def close_if_empty(tx: TenantTx, run_id: RunId) -> None:
    """Ends a run that collects, when everything in it was taken back by the client before anybody had decided."""
    reason = {
        "code": "withdrawn",
        "detail": "The source took back everything that waited here before anybody had decided.",
        "hint": "There is nothing left to decide.",
    }
    row = await tx.fetchrow(
        f"""UPDATE run SET state = 'stale', finished_at = $3, reasons = reasons || $4::jsonb
        WHERE tenant_id = $1 AND run_id = $2 AND state = 'held'
          AND NOT EXISTS (SELECT FROM change c WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'planned')
        RETURNING {RUN_COLUMNS}""",
        *(tx.tenant_id, run_id, tx.now, [reason]),
    )
    if row is None:
        return
    after = run_of(row)
    before = replace(after, state=RunState.HELD)
    await note_transition(tx, before, after)
    tell_run(tx, before, after)
    await resolve_alerts(tx, HELD_ALERT, alert_key(after))


async def with_counts(tx: TenantTx, run: Run) -> Run:
    """The run with its plan counted, if it is one that still collects: nothing is counted on it before it is decided.

    Of more than `WINDOW_ROWS` so many and one are counted.
    """
    if run.kind is not RunKind.SCIM_HOLD or run.state is not RunState.HELD:
        return run
    plan = await counted_held(tx, run.run_id)
    return replace(run, counts=plan.counts, figures=run.figures | plan.figures())
