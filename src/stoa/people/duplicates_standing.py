"""What merges and splits do to the pairs of people who may be the same person."""

from typing import Final

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import new_id
from stoa.people.merging_model import Merge

_PAIR: Final = """
INSERT INTO duplicate_pair AS d
  (tenant_id, pair_id, person_a, person_b, score, evidence, state, merge_run, found_at, updated_at)
VALUES ($1, $2, least($3::uuid, $4::uuid), greatest($3::uuid, $4::uuid), 0, '{}', 'merged', $5, $6, $6)
ON CONFLICT (tenant_id, person_a, person_b) DO UPDATE SET
  was = CASE WHEN d.state = 'merged' THEN d.was ELSE d.state END, state = 'merged', merge_run = $5, updated_at = $6"""
# Whoever is none of the absorbed person's is none of the survivor's for that.
_INHERITED: Final = """
INSERT INTO duplicate_pair
  (tenant_id, pair_id, person_a, person_b, score, evidence, state, merge_run, found_at, updated_at, dismissed_at,
   dismissed_by, dismissed_reason, dismissed_score, dismissed_evidence)
SELECT $1, gen_random_uuid(), least(o.other, $4::uuid), greatest(o.other, $4::uuid), o.score, o.evidence, 'dismissed',
  $2, $5, $5, o.dismissed_at, o.dismissed_by, o.dismissed_reason, o.dismissed_score, o.dismissed_evidence
FROM (
  SELECT d.*, CASE WHEN d.person_a = $3 THEN d.person_b ELSE d.person_a END AS other FROM duplicate_pair d
  WHERE d.tenant_id = $1 AND (d.person_a = $3 OR d.person_b = $3) AND d.state = 'dismissed') AS o
WHERE o.other <> $4 ON CONFLICT DO NOTHING"""
_FORGET: Final = """
DELETE FROM duplicate_pair WHERE tenant_id = $1 AND merge_run = $2
  AND (state = 'dismissed' OR (state = 'merged' AND was IS NULL))"""
_AS_BEFORE: Final = """
UPDATE duplicate_pair SET state = was, was = NULL, merge_run = NULL, updated_at = $3
WHERE tenant_id = $1 AND merge_run = $2 AND state = 'merged'"""


async def note_merged(tx: TenantTx, merge: Merge) -> None:
    """Marks the pair as merged; what was dismissed of the absorbed person is dismissed of the survivor."""
    await tx.execute(_PAIR, tx.tenant_id, new_id(), merge.survivor_id, merge.absorbed_id, merge.run_id, tx.now)
    await tx.execute(_INHERITED, tx.tenant_id, merge.run_id, merge.absorbed_id, merge.survivor_id, tx.now)


async def note_split(tx: TenantTx, merge: Merge) -> None:
    """Puts the pairs back as they were before the merge."""
    await tx.execute(_FORGET, tx.tenant_id, merge.run_id)
    await tx.execute(_AS_BEFORE, tx.tenant_id, merge.run_id, tx.now)
