"""Planned changes that meet something else than their plan saw. They become conflicts with a note, and do nothing."""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from stoa.people.columns import BATCH, RECORD_OF_CHANGE


def _set_aside(clashes: str) -> str:
    """Marks as conflicts the changes that `clashes` names: ord, code and the list of fields, if any."""
    return f"""{clashes}
UPDATE change c SET state = 'conflict',
  note = coalesce(c.note, '{{}}') || jsonb_strip_nulls(jsonb_build_object('code', x.code, 'conflicts', x.fields))
FROM (SELECT DISTINCT ON (ord) * FROM clash ORDER BY ord, code) AS x
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.ord = x.ord"""


# What stands there is no longer what the plan saw. A folded copy goes with its field, and may have been filled in
# since. (OFFSET 0: the document is made once, not once for each field.)
CLASHES_OF_KNOWN = _set_aside(f"""
WITH clash AS (
  SELECT c.ord, 'changed_since' AS code, fields.list AS fields
  FROM change c JOIN source_record r ON {RECORD_OF_CHANGE}
  CROSS JOIN LATERAL (SELECT to_jsonb(r) AS doc OFFSET 0) AS now
  CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('field', f.key, 'expected', f.value, 'now', now.doc->f.key)) AS list
    FROM jsonb_each(c.before) AS f
    WHERE now.doc->f.key IS DISTINCT FROM f.value AND right(f.key, 4) <> '_key') AS fields
  WHERE {BATCH} AND c.before IS NOT NULL AND fields.list IS NOT NULL
  UNION ALL
  SELECT c.ord, 'record_is_gone', NULL FROM change c
  WHERE {BATCH} AND c.before IS NOT NULL AND NOT EXISTS (SELECT FROM source_record r WHERE {RECORD_OF_CHANGE})
)""")

# Somebody was made, or went, since the resolver was asked.
CLASHES_OF_MADE = _set_aside(f"""
WITH mine AS MATERIALIZED (
  SELECT c.ord, c.action, c.reason, c.source_id, c.subject, c.person_id, c.after->>'employee_id_key' AS employee_id_key,
    c.after->>'email_key' AS email_key, c.after->>'user_name_key' AS user_name_key,
    split_part(c.after->>'email_key', '@', -1) AS domain
  FROM change c WHERE {BATCH} AND c.before IS NULL
), clash AS (
  SELECT c.ord, 'record_exists' AS code, NULL::jsonb AS fields
  FROM mine c WHERE EXISTS (SELECT FROM source_record r WHERE {RECORD_OF_CHANGE})
  UNION ALL
  SELECT c.ord, 'person_exists_since', NULL
  FROM mine c JOIN person p ON p.tenant_id = $1 AND p.employee_id_key = c.employee_id_key
  WHERE c.action = 'create' AND c.reason <> 'decided_new' AND p.merged_into IS NULL AND p.person_id <> c.person_id
  UNION ALL
  SELECT c.ord, 'person_exists_since', NULL
  FROM mine c JOIN domain d ON d.tenant_id = $1 AND d.domain = c.domain
  JOIN person p ON p.tenant_id = $1 AND p.email_key = c.email_key
  WHERE c.action = 'create' AND c.reason <> 'decided_new' AND c.email_key <> c.domain AND p.merged_into IS NULL
    AND p.person_id <> c.person_id
    AND NOT EXISTS (SELECT FROM source_record r
      WHERE r.tenant_id = $1 AND r.person_id = p.person_id AND r.source_id = c.source_id AND r.present)
    -- Whom the run itself links to another row was counted when the resolver was asked.
    AND NOT EXISTS (SELECT FROM change l
      WHERE l.tenant_id = $1 AND l.person_id = p.person_id AND l.run_id = $2 AND l.action = 'link')
  UNION ALL
  SELECT c.ord, 'person_exists_since', NULL
  FROM mine c JOIN claim_rule k ON k.tenant_id = $1 AND k.source_id = c.source_id
  CROSS JOIN LATERAL (
    SELECT r.person_id FROM source_record r WHERE k.matched_by = 'user_name' AND r.tenant_id = $1
      AND r.source_id = k.of_source AND r.user_name_key = c.user_name_key AND r.present
    UNION ALL
    SELECT r.person_id FROM source_record r WHERE k.matched_by = 'email' AND r.tenant_id = $1
      AND r.source_id = k.of_source AND r.email_key = c.email_key AND r.present
    UNION ALL
    SELECT r.person_id FROM source_record r WHERE k.matched_by = 'external_id' AND r.tenant_id = $1
      AND r.source_id = k.of_source AND r.scim_external_id = c.subject AND r.present
    UNION ALL
    SELECT r.person_id FROM source_record r WHERE k.matched_by = 'external_id' AND r.tenant_id = $1
      AND r.source_id = k.of_source AND r.external_id = c.subject AND r.present) AS p
  WHERE c.action = 'create' AND c.reason <> 'decided_new' AND p.person_id <> c.person_id
    AND NOT EXISTS (SELECT FROM source_record r
      WHERE r.tenant_id = $1 AND r.person_id = p.person_id AND r.source_id = c.source_id AND r.present)
    AND NOT EXISTS (SELECT FROM change l
      WHERE l.tenant_id = $1 AND l.person_id = p.person_id AND l.run_id = $2 AND l.action = 'link')
  UNION ALL
  -- An admin took back the word that the plan follows.
  SELECT c.ord, 'decision_revoked', NULL
  FROM mine c WHERE c.reason IN ('decided_new', 'decided_by_admin') AND NOT EXISTS (SELECT FROM decision d
    WHERE d.tenant_id = $1 AND d.source_id = c.source_id AND d.subject_key = 'id:' || c.subject
      AND d.resolved_at IS NULL AND d.verdict = CASE c.reason WHEN 'decided_new' THEN 'new' ELSE 'person' END
      AND (d.verdict_person = c.person_id OR d.verdict = 'new'))
  UNION ALL
  SELECT c.ord, 'person_is_gone', NULL
  FROM mine c LEFT JOIN person p ON p.tenant_id = $1 AND p.person_id = c.person_id
  WHERE p.merged_into IS NOT NULL OR (p.person_id IS NULL AND c.action = 'link')
)""")

# A resource's user name, or its client's id, belongs to another one by now. Those of the batch count as they will be.
CLASHES_OF_NAMES = _set_aside(f"""
WITH mine AS MATERIALIZED (
  SELECT c.ord, c.source_id, c.subject, c.after IS NOT NULL AND x.present AS present, x.user_name_key,
    x.scim_external_id
  FROM change c
  LEFT JOIN source_record o ON o.tenant_id = $1 AND o.source_id = c.source_id AND o.external_id = c.subject
  CROSS JOIN LATERAL jsonb_populate_record(o, coalesce(c.after, '{{}}')) AS x
  WHERE {BATCH} AND c.subject = c.resource_id::text
), others AS MATERIALIZED (
  SELECT o.ord, o.source_id, o.subject, o.present, o.user_name_key, o.scim_external_id FROM mine o
  UNION ALL
  -- Each name by itself: a join that takes either compares every row with every other.
  SELECT 0, r.source_id, r.external_id, true, r.user_name_key, NULL
  FROM source_record r JOIN mine c ON r.source_id = c.source_id AND r.user_name_key = c.user_name_key
  WHERE r.tenant_id = $1 AND r.present AND c.present
    AND (r.source_id, r.external_id) NOT IN (SELECT source_id, subject FROM mine)
  UNION ALL
  SELECT 0, r.source_id, r.external_id, true, NULL, r.scim_external_id
  FROM source_record r JOIN mine c ON r.source_id = c.source_id AND r.scim_external_id = c.scim_external_id
  WHERE r.tenant_id = $1 AND r.present AND c.present
    AND (r.source_id, r.external_id) NOT IN (SELECT source_id, subject FROM mine)
), clash AS (
  SELECT c.ord, 'user_name_taken' AS code, NULL::jsonb AS fields
  FROM mine c JOIN others o ON o.source_id = c.source_id AND o.user_name_key = c.user_name_key
  WHERE c.present AND o.present AND o.ord < c.ord
  UNION ALL
  SELECT c.ord, 'external_id_taken', NULL
  FROM mine c JOIN others o ON o.source_id = c.source_id AND o.scim_external_id = c.scim_external_id
  WHERE c.present AND o.present AND o.ord < c.ord
)""")
