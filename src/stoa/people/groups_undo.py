"""The plan that undoes what happened to groups: the net effect on each group and membership, inverted, newest first.

A field of a group that somebody has changed since is left alone and listed; a membership that has been ended, or made
anew, since is left alone too; so is a member who was awaited, and came. A group that is taken away leaves its id
behind, as one that its source deletes.
"""

# ruff: noqa: S608 - constants of the code; every value is a bound parameter

from datetime import datetime
from typing import Final

from stoa.changes.model import Run
from stoa.changes.undone import OF_SOURCE
from stoa.db.transactions import TenantTx
from stoa.people.groups_journal import AWAITED

# The changes that are undone. $1 tenant, $2 the run that undoes, $3 the time, $4 the source.
_TOOK_EFFECT: Final = "(c.state = 'applied' OR (c.state = 'planned' AND c.ord <= u.applied_through))"
# $5 the run that is undone. What was rejected stands in the source's word. Whose end waited goes back into the group,
# so one that its source has deleted meanwhile, or by the same request, comes back too; and who was awaited in it until
# that request is so again.
_OF_RUN: Final = f"""
  SELECT c.* FROM change c JOIN run u ON u.tenant_id = $1 AND u.run_id = $5
  WHERE c.tenant_id = $1 AND c.run_id = $5 AND c.source_id = $4
    AND ({_TOOK_EFFECT} OR (c.state = 'planned' AND u.kind = 'scim_hold' AND u.state = 'rejected'))
  UNION ALL
  SELECT d.* FROM (
    SELECT DISTINCT split_part(w.subject, '/', 1) COLLATE "C" AS subject FROM change w
    JOIN run u ON u.tenant_id = $1 AND u.run_id = $5 AND u.kind = 'scim_hold'
    WHERE w.tenant_id = $1 AND w.run_id = $5 AND w.state = 'planned' AND w.action = 'remove' OFFSET 0) AS waited
  JOIN person_group g ON g.tenant_id = $1 AND g.group_id = waited.subject::uuid AND NOT g.present
  CROSS JOIN LATERAL (SELECT c.* FROM change c WHERE c.tenant_id = $1 AND c.source_id = $4
    AND c.subject = waited.subject AND c.action = 'remove' AND c.state = 'applied' ORDER BY c.ord DESC LIMIT 1) AS d
  UNION ALL
  SELECT a.* FROM (
    SELECT DISTINCT split_part(w.subject, '/', 1) COLLATE "C" || '/{AWAITED}' AS subject, w.at FROM change w
    JOIN run u ON u.tenant_id = $1 AND u.run_id = $5 AND u.kind = 'scim_hold'
    WHERE w.tenant_id = $1 AND w.run_id = $5 AND w.state = 'planned' AND w.action = 'remove' OFFSET 0) AS waited
  CROSS JOIN LATERAL (SELECT c.* FROM change c WHERE c.tenant_id = $1 AND c.source_id = $4
    AND c.subject >= waited.subject AND c.subject < rtrim(waited.subject, ':') || ';' AND c.at = waited.at
    AND c.reason = 'awaited_dropped' AND c.state = 'applied' OFFSET 0) AS a"""
# $5 the moment. Windows are made by the first request of their hour.
_SINCE: Final = f"""
  SELECT c.* FROM run u JOIN change c ON c.tenant_id = $1 AND c.run_id = u.run_id
  WHERE u.tenant_id = $1 AND u.source_id = $4 AND u.created_at >= $5::timestamptz - interval '1 hour'
    AND u.target = 'group' AND u.kind IN {OF_SOURCE} AND c.source_id = $4 AND c.at >= $5 AND {_TOOK_EFFECT}"""

_NET: Final = f"""
WITH journal AS MATERIALIZED (%(journal)s
), net AS MATERIALIZED (
  SELECT c.subject, (array_agg(c.resource_id))[1] AS resource_id, max(c.ord) AS ord,
    (array_agg(c.before IS NULL ORDER BY c.ord))[1] AS made,
    (array_agg(c.after IS NULL ORDER BY c.ord DESC))[1] AS gone,
    (array_agg(coalesce(c.after, c.before)->'awaited' ORDER BY c.ord DESC))[1] AS awaited
  FROM journal c GROUP BY c.subject
), own AS MATERIALIZED (
  SELECT n.subject, n.resource_id AS group_id, n.ord, n.made,
    (SELECT jsonb_object_agg(f.key, f.value ORDER BY c.ord DESC) FROM journal c
      CROSS JOIN LATERAL jsonb_each(coalesce(c.before, '{{"present": false}}')) AS f
      WHERE c.subject = n.subject) AS before,
    (SELECT jsonb_object_agg(f.key, f.value ORDER BY c.ord) FROM journal c
      CROSS JOIN LATERAL jsonb_each(c.after) AS f WHERE c.subject = n.subject) AS after
  FROM net n WHERE strpos(n.subject, '/') = 0
), compared AS MATERIALIZED (
  SELECT o.*, d.doc, g.group_id IS NOT NULL AS there,
    (SELECT jsonb_object_agg(k, o.before->k) FROM jsonb_object_keys(o.before) AS k
     WHERE o.before->k IS DISTINCT FROM o.after->k AND d.doc->k = o.after->k) AS back,
    (SELECT jsonb_agg(jsonb_build_object('field', k, 'expected', o.after->k, 'now', d.doc->k) ORDER BY k)
     FROM jsonb_object_keys(o.after) AS k WHERE d.doc->k IS DISTINCT FROM o.after->k
       AND (o.made OR o.before->k IS DISTINCT FROM o.after->k)) AS conflicts
  FROM own o LEFT JOIN person_group g ON g.tenant_id = $1 AND g.group_id = o.group_id
  CROSS JOIN LATERAL (SELECT jsonb_build_object('display_name', g.display_name,
    'scim_external_id', g.scim_external_id, 'raw', g.raw, 'present', g.present) AS doc) AS d
), groups AS (
  SELECT c.*, NOT c.made AND c.back IS NOT NULL OR (c.made AND c.conflicts IS NULL) AS possible,
    c.back ? 'present' AS flips, c.back->'present' = 'true' AS returns
  FROM compared c
  -- What came to nothing within the run needs no undoing.
  WHERE EXISTS (SELECT FROM jsonb_object_keys(c.before) AS k WHERE c.before->k IS DISTINCT FROM c.after->k)
), sides AS MATERIALIZED (
  SELECT n.*, split_part(n.subject, '/', 1)::uuid AS group_id FROM net n
  WHERE strpos(n.subject, '/') > 0
), awaiting AS (
  SELECT s.subject, s.group_id, s.ord, s.made, a.group_id IS NOT NULL AS is_awaited,
    coalesce(g.present, false)
      OR EXISTS (SELECT FROM groups o WHERE o.group_id = s.group_id AND o.returns) AS has_group,
    jsonb_build_object('group_id', s.group_id, 'display_name', g.display_name, 'awaited', s.awaited) AS doc
  FROM sides s
  LEFT JOIN person_group g ON g.tenant_id = $1 AND g.group_id = s.group_id
  LEFT JOIN group_awaited a ON a.tenant_id = $1 AND a.group_id = s.group_id
    AND a.value_key = substr(s.subject, {38 + len(AWAITED)})
  WHERE s.awaited IS NOT NULL AND s.made <> s.gone
), memberships AS (
  SELECT s.subject, s.resource_id, s.ord, s.made, r.person_id, g.display_name, g.group_id,
    coalesce(m.asserted, false) AS is_in, s.made = s.gone AS waits, r.resource_id IS NOT NULL AS known,
    coalesce(g.present, false) OR EXISTS (SELECT FROM groups o WHERE o.group_id = s.group_id AND o.returns) AS has_group
  FROM sides s
  LEFT JOIN person_group g ON g.tenant_id = $1 AND g.group_id = s.group_id
  LEFT JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = s.resource_id
  LEFT JOIN group_member m ON m.tenant_id = $1 AND m.group_id = s.group_id AND m.resource_id = s.resource_id
  -- What came to nothing within the run, in the source's word, may be in force otherwise as long as it is held.
  WHERE s.awaited IS NULL AND (s.made <> s.gone OR m.held_run IS NOT NULL)
), inverse AS (
  SELECT subject, group_id AS resource_id, NULL::uuid AS person_id, ord,
    CASE WHEN NOT coalesce(flips, false) THEN 'update' WHEN returns THEN 'create' ELSE 'remove' END AS action,
    CASE WHEN back IS NULL OR flips THEN doc
         ELSE (SELECT jsonb_object_agg(k, doc->k) FROM jsonb_object_keys(back) AS k) END AS before,
    CASE WHEN back IS NULL OR flips THEN doc || coalesce(back, '{{}}') ELSE back END AS after,
    CASE WHEN possible THEN NULL ELSE 'changed_since' END AS code, conflicts
  FROM groups
  UNION ALL
  SELECT subject, resource_id, person_id, ord, CASE WHEN made THEN 'remove' ELSE 'create' END,
    CASE WHEN made THEN x.doc END, CASE WHEN NOT made THEN x.doc END,
    CASE WHEN waits THEN NULL WHEN made AND NOT is_in THEN 'membership_is_gone' WHEN made THEN NULL
         WHEN is_in THEN 'membership_exists'
         WHEN NOT known THEN 'record_is_gone' WHEN NOT has_group THEN 'group_is_gone' END, NULL
  FROM memberships
  CROSS JOIN LATERAL (SELECT jsonb_build_object('group_id', group_id, 'display_name', display_name) AS doc) AS x
  UNION ALL
  SELECT subject, group_id, NULL, ord, CASE WHEN made THEN 'remove' ELSE 'create' END,
    CASE WHEN made THEN doc END, CASE WHEN NOT made THEN doc END,
    CASE WHEN made THEN CASE WHEN NOT is_awaited THEN 'awaited_is_gone' END
         WHEN is_awaited THEN 'awaited_exists' WHEN NOT has_group THEN 'group_is_gone' END, NULL
  FROM awaiting
)
INSERT INTO change
  (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, note, at)
SELECT $1, $2, action, 'rollback', subject, $4, resource_id, person_id, before, after,
  CASE WHEN code IS NULL THEN 'planned' ELSE 'conflict' END,
  jsonb_strip_nulls(jsonb_build_object('inverts', ord, 'code', code, 'conflicts', conflicts)), $3
FROM (SELECT * FROM inverse ORDER BY ord DESC) AS ordered"""


async def plan_rollback(tx: TenantTx, run: Run, of_run: Run) -> None:
    """Writes the changes that undo `of_run` as the plan of `run`. Of a run that was held and rejected, they put back
    what its source had said before.
    """
    await tx.execute(_NET % {"journal": _OF_RUN}, tx.tenant_id, run.run_id, tx.now, run.source_id, of_run.run_id)


async def plan_undo_since(tx: TenantTx, run: Run, since: datetime) -> None:
    """Writes the changes that undo what the run's source did to its groups at or after a moment, as the plan of `run`.

    What admins have done since is not undone, as by a rollback.
    """
    await tx.execute(_NET % {"journal": _SINCE}, tx.tenant_id, run.run_id, tx.now, run.source_id, since)
