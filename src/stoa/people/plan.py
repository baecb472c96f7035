"""A report's delta as a plan: staged by COPY, then written as change rows by one statement for each kind."""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter
# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType

import polars as pl

from stoa.changes.model import Run
from stoa.db.transactions import TenantTx
from stoa.people.columns import RECORD_VALUES
from stoa.people.dates import tenant_today
from stoa.people.decisions import RefusedRow, note_refused_rows
from stoa.people.delta import Delta, compare, with_depth
from stoa.people.fields import KEY_COLUMNS, LATER_KEYED
from stoa.people.joins import join_as_fits
from stoa.people.resolving import resolve_new
from stoa.people.rules_sql import ACTION, REASON, in_force

_STAGED = ("external_id", "row_hash", "asserted_active", *RECORD_VALUES, *KEY_COLUMNS)
_STAGE = ("tenant_id", "run_id", *_STAGED, "resource_id", "person_id", "action", "reason", "depth")
# $1 tenant, $2 run, $3 source, $4 the time, $5 today.
_MINE = "s.tenant_id = $1 AND s.run_id = $2"
_RECORD = "r.tenant_id = $1 AND r.source_id = $3"
_NOT_PLANNED = """NOT EXISTS (
  SELECT FROM change c WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.source_id = $3 AND c.subject = r.external_id)"""


def _document(alias: str, present: str, active: str, values: Mapping[str, str] = MappingProxyType({})) -> str:
    """The record `alias` as jsonb. values: expressions that stand for columns."""
    names = (*RECORD_VALUES, *KEY_COLUMNS, "row_hash", "asserted_active")
    pairs = [f"'{name}', {values.get(name, f'{alias}.{name}')}" for name in names]
    return f"jsonb_build_object('present', {present}, 'active', {active}, {', '.join(pairs)})"


# That the folded copy of an unchanged name is still to be filled in is no difference between the report and the record.
_FILLED = {
    f"{name}_key": f"CASE WHEN r.{name}_key IS NULL AND r.{name} = s.{name} THEN s.{name}_key ELSE r.{name}_key END"
    for name in LATER_KEYED
}


_MADE = f"""
INSERT INTO change
  (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, after, state, at)
SELECT $1, $2, action, reason, external_id, $3, resource_id, person_id, doc, 'planned', $4 FROM (
  SELECT s.*, jsonb_strip_nulls({_document("s", "true", in_force("s", "$5"))}) AS doc
  FROM stage.person_record s WHERE {_MINE} AND s.action <> 'update' ORDER BY s.depth, s.external_id) AS ordered"""

_INTO = """
INSERT INTO change
  (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)"""

# Only the columns that differ, before and after.
_DIFFERENCE = """CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(n.key, o.value) AS before, jsonb_object_agg(n.key, n.value) AS after,
      count(*) FILTER (WHERE n.key <> 'row_hash') AS told
    FROM jsonb_each(doc.new) AS n JOIN jsonb_each(doc.old) AS o ON o.key = n.key
    WHERE n.value IS DISTINCT FROM o.value) AS d"""

_CHANGED = f"""{_INTO}
SELECT $1, $2, {ACTION}, {REASON}, external_id, $3, resource_id, person_id, d.before, d.after, 'planned', $4
FROM (
  SELECT s.external_id, r.resource_id, r.person_id, r.active AS was, {in_force("s", "$5")} AS will,
    {_document("s", "true", in_force("s", "$5"))} AS new, {_document("r", "r.present", "r.active", _FILLED)} AS old
  FROM stage.person_record s JOIN source_record r ON {_RECORD} AND r.external_id = s.external_id
  WHERE {_MINE} AND s.action = 'update' ORDER BY s.external_id) AS doc
{_DIFFERENCE} WHERE d.told > 0"""

# A hash that somebody had put aside is set right again; that is no change of anything.
_REHASHED = f"""
UPDATE source_record r SET row_hash = s.row_hash FROM stage.person_record s
WHERE {_MINE} AND s.action = 'update' AND {_RECORD} AND r.external_id = s.external_id AND {_NOT_PLANNED}"""

_GONE = f"""{_INTO}
SELECT $1, $2, CASE WHEN was THEN 'deactivate' ELSE 'update' END,
  CASE WHEN was THEN 'absent_from_report' ELSE 'withdrawn_before_start' END,
  external_id, $3, resource_id, person_id, d.before, d.after, 'planned', $4
FROM (
  SELECT r.external_id, r.resource_id, r.person_id, r.active AS was,
    '{{"present": false, "active": false, "asserted_active": false, "row_hash": 0}}'::jsonb AS new,
    jsonb_build_object('present', r.present, 'active', r.active, 'asserted_active', r.asserted_active,
      'row_hash', r.row_hash) AS old
  FROM stage.person_gone s JOIN source_record r ON {_RECORD} AND r.external_id = s.external_id
  WHERE {_MINE} ORDER BY r.external_id) AS doc
{_DIFFERENCE}"""

# Dates that have come, of records that the report says nothing new about.
_DUE = f"""{_INTO}
SELECT $1, $2, CASE WHEN will THEN 'reactivate' ELSE 'deactivate' END,
  CASE WHEN will THEN 'hire_date_reached' ELSE 'termination_date_passed' END, external_id, $3, resource_id, person_id,
  jsonb_build_object('active', NOT will), jsonb_build_object('active', will), 'planned', $4
FROM (
  SELECT r.external_id, r.resource_id, r.person_id, {in_force("r", "$5")} AS will
  FROM source_record r
  WHERE {_RECORD} AND r.present AND r.active IS DISTINCT FROM {in_force("r", "$5")}
    AND r.external_id IN (SELECT external_id FROM due_change WHERE tenant_id = $1 AND source_id = $3 AND due_on <= $5)
    AND {_NOT_PLANNED}
  ORDER BY r.external_id) AS due"""


async def plan_report(
    tx: TenantTx, run: Run, frame: pl.DataFrame, kept_ids: frozenset[str]
) -> tuple[Delta, Sequence[RefusedRow]]:
    """Writes the changes that a full report asks for as the plan of `run`. Gives the delta, and what was refused.

    frame: typed and hashed rows of the report (`sync.rowhash`), with `external_id` and `active`.
    """
    delta = await compare(tx, run.source_id, frame.rename({"active": "asserted_active"}), kept_ids)
    await join_as_fits(tx, run.source_id, len(delta.gone) + delta.changed.height + delta.made.height)
    key = (tx.tenant_id, run.run_id, run.source_id, tx.now)
    today = await tenant_today(tx)
    refused: Sequence[RefusedRow] = ()
    # In this order, which is that of the batches: what one row gives up is free for the next.
    if delta.gone:
        lines = pl.DataFrame({"tenant_id": str(tx.tenant_id), "run_id": str(run.run_id), "external_id": delta.gone})
        await tx.copy_to_stage("person_gone", lines.columns, _csv(lines))
        await tx.execute(_GONE, *key)
    if delta.changed.height:
        await _stage(tx, run, _as_updates(delta.changed))
        await tx.execute(_CHANGED, *key, today)
        await tx.execute(_REHASHED, *key[:3])
    if delta.made.height:
        resolved = await resolve_new(tx, run.source_id, delta)
        refused = resolved.refused
        await note_refused_rows(tx, run.source_id, run.run_id, refused)
        await _stage(tx, run, with_depth(resolved.accepted))
        await tx.execute(_MADE, *key, today)
    await plan_due(tx, run, today)
    await clear_stage(tx, run)
    return delta, refused


async def plan_due(tx: TenantTx, run: Run, today: date) -> None:
    """Adds what effective dates ask for today to the plan of `run`."""
    await tx.execute(_DUE, tx.tenant_id, run.run_id, run.source_id, tx.now, today)


async def clear_stage(tx: TenantTx, run: Run) -> None:
    """Forgets what was staged for the run."""
    await tx.execute("DELETE FROM stage.person_record WHERE tenant_id = $1 AND run_id = $2", tx.tenant_id, run.run_id)
    await tx.execute("DELETE FROM stage.person_gone WHERE tenant_id = $1 AND run_id = $2", tx.tenant_id, run.run_id)


def _as_updates(changed: pl.DataFrame) -> pl.DataFrame:
    nobody = [pl.lit(None, dtype=pl.String).alias(name) for name in ("resource_id", "person_id")]
    action, reason = pl.lit("update").alias("action"), pl.lit("").alias("reason")
    return changed.with_columns(*nobody, action, reason, pl.lit(0, dtype=pl.Int32).alias("depth"))


async def _stage(tx: TenantTx, run: Run, rows: pl.DataFrame) -> None:
    tenant_id, run_id = pl.lit(str(tx.tenant_id)).alias("tenant_id"), pl.lit(str(run.run_id)).alias("run_id")
    await tx.copy_to_stage("person_record", _STAGE, _csv(rows.with_columns(tenant_id, run_id).select(_STAGE)))


def _csv(lines: pl.DataFrame) -> bytes:
    # COPY takes an unquoted empty cell for NULL, and a quoted one for an empty text.
    return lines.write_csv(include_header=False, quote_style="non_numeric", null_value="").encode()


# What was undone, by record, unless another run changed that record since.
_REDONE = """
SELECT count(*) FROM change c WHERE c.tenant_id = $1 AND c.run_id = $2 AND EXISTS (
  SELECT FROM change u
  WHERE u.tenant_id = $1 AND u.source_id = c.source_id AND u.subject = c.subject AND u.run_id = ANY($3)
    AND u.state = 'undone'
    AND EXISTS (SELECT FROM jsonb_each(c.after) AS f WHERE f.key <> 'row_hash' AND u.after->f.key = f.value)
    AND NOT EXISTS (
      SELECT FROM change l JOIN run lr ON lr.tenant_id = l.tenant_id AND lr.run_id = l.run_id
      WHERE l.tenant_id = $1 AND l.source_id = c.source_id AND l.subject = c.subject AND l.ord > u.ord
        AND l.run_id <> $2 AND lr.kind <> 'rollback'
        AND (l.state = 'applied' OR (l.state = 'planned' AND l.ord <= lr.applied_through))))"""


async def redone(tx: TenantTx, run: Run) -> int:
    """How many planned changes would bring back what was undone since the record was last changed."""
    rows = await tx.fetch(
        """SELECT DISTINCT of_run FROM run
        WHERE tenant_id = $1 AND source_id = $2 AND kind = 'rollback' AND state = 'applied'""",
        *(tx.tenant_id, run.source_id),
    )
    if not rows:
        return 0
    return await tx.fetchval(_REDONE, tx.tenant_id, run.run_id, [row["of_run"] for row in rows])
