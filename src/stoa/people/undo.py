"""The plan that undoes a run, or what a source did from a moment on: the net effect of the changes on each record,
inverted, newest first.

Only assertions and links are inverted; effective values follow from them. A field that was asserted anew since is left
alone and listed.
"""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from datetime import datetime
from typing import Final

from stoa.changes.model import Run, RunKind
from stoa.changes.undone import OF_SOURCE
from stoa.db.transactions import TenantTx
from stoa.people.columns import RECORD_COLUMNS
from stoa.people.dates import tenant_today
from stoa.people.fields import KEY_COLUMNS
from stoa.people.joins import FEW_ROWS, join_as_fits
from stoa.people.merging_model import IS_LINK
from stoa.people.redirects import survivors
from stoa.people.rules_sql import in_force

# $1 tenant, $2 the run that is undone, $3 the run that undoes it, $4 how far the first was applied, $5 the time,
# $6 today. Of a moment: $2 the run that undoes, $4 the moment, $7 the source.
_APPLIED = f"""c.tenant_id = $1 AND c.run_id = $2 AND (c.state = 'applied' OR (c.state = 'planned' AND c.ord <= $4))
  AND NOT {IS_LINK}"""

# Of a run that collects, what the source has not taken back itself; whether it was approved does not matter, for its
# source has said it.
_COLLECTED = "c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'planned' AND $4::bigint IS NOT NULL"

# A run that plans has one row for a record.
_PLANNED_ONCE = """
SELECT c.subject, c.source_id, c.resource_id, c.person_id, c.ord, c.before, c.after, c.before IS NULL AS made,
  c.after IS NULL AS gone
FROM change c WHERE {which}"""

_FIELDS_OF_WINDOW = """FROM change b CROSS JOIN LATERAL jsonb_each(b.{column}) AS f
   WHERE b.tenant_id = $1 AND b.run_id = $2 AND b.source_id = c.source_id AND b.subject = c.subject
     AND b.state = 'applied'"""

# A window of single requests may have many: the first `before` and the last `after` of each field count. (Of a key that
# comes twice, the aggregate keeps the last.)
_NET = f"""
SELECT c.subject, c.source_id, (array_agg(c.resource_id))[1] AS resource_id,
  (array_agg(c.person_id ORDER BY c.ord DESC))[1] AS person_id, max(c.ord) AS ord,
  (SELECT jsonb_object_agg(f.key, f.value ORDER BY b.ord DESC) {_FIELDS_OF_WINDOW.format(column="before")}) AS before,
  (SELECT jsonb_object_agg(f.key, f.value ORDER BY b.ord) {_FIELDS_OF_WINDOW.format(column="after")}) AS after,
  (array_agg(c.before IS NULL ORDER BY c.ord))[1] AS made,
  (array_agg(c.after IS NULL ORDER BY c.ord DESC))[1] AS gone
FROM change c WHERE {_APPLIED} GROUP BY c.subject, c.source_id"""

# Everything of a source from a moment on, with the runs that were applied since; an hour may have begun before it.
_DID = f"""
did AS MATERIALIZED (
  SELECT c.* FROM run w JOIN change c ON c.tenant_id = $1 AND c.run_id = w.run_id
  WHERE w.tenant_id = $1 AND w.source_id = $7 AND w.target = 'person' AND w.kind IN {OF_SOURCE}
    AND (w.kind = 'scim_window' AND w.created_at > $4::timestamptz - interval '1 hour'
      OR w.kind <> 'scim_window' AND w.applying_at >= $4)
    AND (c.state = 'applied' AND (c.at >= $4 OR w.kind <> 'scim_window')
      OR c.state = 'planned' AND c.ord <= w.applied_through)
), was AS (
  SELECT d.subject, jsonb_object_agg(f.key, f.value ORDER BY d.ord DESC) AS doc
  FROM did d CROSS JOIN LATERAL jsonb_each(d.before) AS f GROUP BY d.subject
), became AS (
  SELECT d.subject, jsonb_object_agg(f.key, f.value ORDER BY d.ord) AS doc
  FROM did d CROSS JOIN LATERAL jsonb_each(d.after) AS f GROUP BY d.subject
),"""
_NET_SINCE = """
SELECT n.*, was.doc AS before, became.doc AS after FROM (
  SELECT d.subject, $7::uuid AS source_id, (array_agg(d.resource_id))[1] AS resource_id,
    (array_agg(d.person_id ORDER BY d.ord DESC))[1] AS person_id, max(d.ord) AS ord,
    (array_agg(d.before IS NULL ORDER BY d.ord))[1] AS made,
    (array_agg(d.after IS NULL ORDER BY d.ord DESC))[1] AS gone
  FROM did d GROUP BY d.subject) AS n
LEFT JOIN was ON was.subject = n.subject LEFT JOIN became ON became.subject = n.subject"""

# What is compared of a record that was made; a folded copy may have been filled in since.
_COLUMNS = ", ".join(f"'{name}'" for name in RECORD_COLUMNS if name not in KEY_COLUMNS)
# A folded copy goes with its field.
_FIELD_OF = "CASE WHEN k LIKE '%%\\_key' THEN left(k, -4) ELSE k END"
# Fields that the run changed and nobody touched since.
_OURS = f"""FROM (SELECT k, {_FIELD_OF} AS field FROM jsonb_object_keys(s.before) AS k WHERE k <> 'row_hash') AS k
     WHERE coalesce(s.doc->field, 'null') = coalesce(s.after->field, 'null')
       AND coalesce(s.doc->k, 'null') = coalesce(s.after->k, 'null') AND s.before->k IS DISTINCT FROM s.after->k"""
# Something that the state in force follows from was asserted since, and stands: so the state follows from what there
# will be, instead of going back.
_STATE = "ARRAY['active', 'present', 'asserted_active', 'hire_date', 'termination_date']"
_STATE_FOLLOWS = f"""s.before ?| {_STATE} AND EXISTS (
      SELECT FROM change l JOIN run lr ON lr.tenant_id = l.tenant_id AND lr.run_id = l.run_id
      WHERE l.tenant_id = $1 AND l.source_id = s.source_id AND l.subject = s.subject AND l.ord > s.ord
        AND l.run_id <> $2 AND (l.state = 'applied' OR (l.state = 'planned' AND l.ord <= lr.applied_through))
        AND l.after ?| {_STATE} AND coalesce((l.note->>'inverts')::bigint, 0) < s.ord)"""

_INVERT = f"""
WITH %(before)s net AS MATERIALIZED (%(net)s), standing AS MATERIALIZED (
  SELECT net.*, r.external_id IS NOT NULL AS there,
    to_jsonb(r) - ARRAY['tenant_id', 'source_id', 'external_id', 'resource_id', 'person_id', 'last_run', 'version',
                        'created_at', 'updated_at'] AS doc
  FROM net
  LEFT JOIN source_record r ON r.tenant_id = $1 AND r.source_id = net.source_id AND r.external_id = net.subject
), compared AS MATERIALIZED (
  SELECT s.*,
    (SELECT jsonb_agg(jsonb_build_object('field', k, 'expected', s.after->k, 'now', s.doc->k) ORDER BY k)
     FROM unnest(ARRAY[{_COLUMNS}]) AS k
     WHERE k <> 'row_hash' AND (s.made OR s.after ? k)
       AND coalesce(s.doc->k, 'null') IS DISTINCT FROM coalesce(s.after->k, 'null')) AS conflicts,
    (SELECT jsonb_object_agg(k, s.before->k) {_OURS}) AS kept,
    {_STATE_FOLLOWS} AS state_follows,
    -- A hash that somebody put aside stays aside, and one that the run did not write stays as it is.
    CASE WHEN NOT coalesce(s.after ? 'row_hash', false) THEN NULL
         WHEN s.doc->'row_hash' = s.after->'row_hash' THEN s.before->'row_hash' ELSE '0'::jsonb END AS old_hash
  FROM standing s
  -- What came to nothing within the run needs no undoing.
  WHERE s.made <> s.gone OR (NOT s.made AND EXISTS (
    SELECT FROM jsonb_object_keys(s.before) AS k WHERE k <> 'row_hash' AND s.before->k IS DISTINCT FROM s.after->k))
), settled AS MATERIALIZED (
  SELECT s.*, CASE WHEN s.state_follows AND s.there AND NOT s.made THEN nullif(
      (coalesce(s.kept, '{{}}') - 'active') || CASE WHEN x.will = (s.doc->>'active')::boolean THEN '{{}}'
        ELSE jsonb_build_object('active', x.will) END, '{{}}')
      ELSE s.kept END AS back
  FROM compared s CROSS JOIN LATERAL (
    SELECT r.present AND {in_force("r", "$6")} AS will
    FROM jsonb_populate_record(NULL::source_record, s.doc || coalesce(s.kept, '{{}}')) AS r) AS x
), inverse AS (
  SELECT x.*,
    CASE WHEN x.gone THEN NOT x.there WHEN x.made THEN x.there AND x.conflicts IS NULL
         ELSE x.there AND x.back IS NOT NULL END AS possible,
    CASE WHEN x.gone THEN NULL
         WHEN x.made THEN coalesce(x.doc, x.after)
         ELSE (SELECT coalesce(jsonb_object_agg(k, x.doc->k), '{{}}') FROM jsonb_object_keys(x.back) AS k)
           || CASE WHEN x.old_hash IS NULL THEN '{{}}' ELSE jsonb_build_object('row_hash', x.doc->'row_hash') END
    END AS inverse_before,
    CASE WHEN x.made THEN NULL
         WHEN x.gone THEN x.before
         ELSE coalesce(x.back, '{{}}')
           || CASE WHEN x.old_hash IS NULL THEN '{{}}' ELSE jsonb_build_object('row_hash', x.old_hash) END
    END AS inverse_after
  FROM settled x
)
INSERT INTO change
  (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, note, at)
SELECT $1, $3,
  CASE WHEN made THEN 'remove' WHEN gone THEN 'create'
       WHEN inverse_after->'active' = 'true' AND inverse_before->'active' = 'false' THEN 'reactivate'
       WHEN inverse_after->'active' = 'false' AND inverse_before->'active' = 'true' THEN 'deactivate'
       ELSE 'update' END,
  'rollback', subject, source_id, resource_id, person_id, inverse_before, inverse_after,
  CASE WHEN possible THEN 'planned' ELSE 'conflict' END,
  jsonb_strip_nulls(jsonb_build_object('inverts', ord, 'conflicts', conflicts,
    'code', CASE WHEN possible THEN NULL WHEN gone THEN 'record_exists' WHEN NOT there THEN 'record_is_gone'
                 ELSE 'changed_since' END)),
  $5
FROM (SELECT * FROM inverse ORDER BY ord DESC) AS ordered"""


# Of a hold `h`: it has come since a moment at which nothing of the record was held.
HELD_SINCE = """(h.made_at >= {since} AND NOT EXISTS (SELECT FROM hold e WHERE e.tenant_id = $1
      AND e.resource_id = h.resource_id AND e.field = h.field AND e.made_at < {since}
      AND (e.state = 'held' OR e.decided_at >= {since})))"""

# What the source says may be what it said at the moment, and yet its effect waits by now: then the hold ends.
# $1 tenant, $2 the run, $3 the source, $4 the moment, $5 the time.
_END_HOLDS = f"""
INSERT INTO change
  (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, note, at)
SELECT $1, $2, 'deactivate', 'rollback', r.external_id, r.source_id, r.resource_id, r.person_id, '{{"active": false}}',
  '{{"active": false}}', 'planned', '{{"code": "hold_ends"}}', $5::timestamptz
FROM hold h JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = h.resource_id
WHERE h.tenant_id = $1 AND h.source_id = $3 AND h.field = 'active' AND h.state = 'held' AND NOT r.active
  AND {HELD_SINCE.format(since="$4::timestamptz")}
  AND NOT EXISTS (SELECT FROM change c WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.source_id = r.source_id
    AND c.subject = r.external_id)"""


async def plan_rollback(tx: TenantTx, run: Run, of_run: Run) -> None:
    """Writes the changes that undo `of_run` as the plan of `run`."""
    match of_run.kind:
        case RunKind.SCIM_WINDOW:
            net = _NET
        case RunKind.SCIM_HOLD:
            net = _PLANNED_ONCE.format(which=_COLLECTED)
        case _:
            net = _PLANNED_ONCE.format(which=_APPLIED)
    await join_as_fits(tx, run.source_id, sum(of_run.counts.values()) or FEW_ROWS + 1)
    key = (tx.tenant_id, of_run.run_id, run.run_id, of_run.applied_through, tx.now)
    await tx.execute(_INVERT % {"before": "", "net": net}, *key, await tenant_today(tx))
    await _follow_merges(tx, run)


async def plan_undo_since(tx: TenantTx, run: Run, since: datetime) -> None:
    """Writes the changes that undo what the run's source did at or after a moment as the plan of `run`."""
    await join_as_fits(tx, run.source_id, FEW_ROWS + 1)
    key = (tx.tenant_id, run.run_id, run.run_id, since, tx.now)
    await tx.execute(_INVERT % {"before": _DID, "net": _NET_SINCE}, *key, await tenant_today(tx), run.source_id)
    await tx.execute(_END_HOLDS, tx.tenant_id, run.run_id, run.source_id, since, tx.now)
    await _follow_merges(tx, run)


# A record that comes back is of whoever its person is by now.
_MERGED: Final = """
SELECT p.person_id FROM person p WHERE p.tenant_id = $1 AND p.merged_into IS NOT NULL
AND p.person_id = ANY(ARRAY(SELECT c.person_id FROM change c
  WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'planned' AND c.action = 'create'))"""
_NOW: Final = """
UPDATE change c SET person_id = n.now FROM unnest($3::uuid[], $4::uuid[]) AS n(was, now)
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'planned' AND c.action = 'create' AND c.person_id = n.was"""


async def _follow_merges(tx: TenantTx, run: Run) -> None:
    rows = await tx.fetch(_MERGED, tx.tenant_id, run.run_id)
    if rows:
        now = await survivors(tx, [row["person_id"] for row in rows])
        await tx.execute(_NOW, tx.tenant_id, run.run_id, list(now), list(now.values()))
