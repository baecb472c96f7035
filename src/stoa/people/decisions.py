"""What the resolver could not tell: one row for each subject of a source, which counts up while the source tries again
and ends when it is understood, by an admin's word or without.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import RunId, SourceId, new_id
from stoa.people.columns import RECORD_VALUES
from stoa.people.fields import Value, to_json
from stoa.people.matching import CreateNew, LinkTo, Refuse
from stoa.people.model import Asserted
from stoa.people.recognising import key_of_subject, subject_of

# An admin's word stands while the source tries again: what it says meanwhile, and how often, is noted all the same.
_NOTE: Final = """
INSERT INTO decision AS d (tenant_id, decision_id, at, seen_at, run_id, source_id, subject, subject_key, outcome, rule,
  detail, candidates, asserted)
VALUES ($1, $2, $3, $3, $4, $5, $6, $7, 'refused', $8, $9, $10, $11)
ON CONFLICT (tenant_id, source_id, subject_key) WHERE subject_key IS NOT NULL AND resolved_at IS NULL DO UPDATE SET
  seen_at = excluded.seen_at, times = d.times + 1, run_id = excluded.run_id, subject = excluded.subject,
  rule = CASE WHEN d.verdict IS NULL THEN excluded.rule ELSE d.rule END,
  detail = CASE WHEN d.verdict IS NULL THEN excluded.detail ELSE d.detail END,
  candidates = CASE WHEN d.verdict IS NULL THEN excluded.candidates ELSE d.candidates END,
  asserted = excluded.asserted,
  version = d.version + (d.asserted IS DISTINCT FROM excluded.asserted OR (d.verdict IS NULL
    AND (d.rule, d.candidates) IS DISTINCT FROM (excluded.rule, excluded.candidates)))::int"""

_END: Final = """
UPDATE decision SET resolved_at = $3, ended = CASE WHEN verdict IN ('person', 'new') THEN 'used' ELSE 'understood' END,
  version = version + 1
WHERE tenant_id = $1 AND decision_id = $2 AND resolved_at IS NULL"""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row of a report that could not be told. said: its values by field, and `asserted_active`."""

    external_id: str
    refusal: Refuse
    said: Mapping[str, Any]


async def note_refusal(tx: TenantTx, source_id: SourceId, asserted: Asserted, refusal: Refuse) -> None:
    """Writes down that a source's word of somebody was refused, or counts it where it was before."""
    subject, subject_key = subject_of(asserted)
    said = _document(asserted.values, asserted.active, asserted.scim_external_id, asserted.raw)
    await tx.execute(
        _NOTE,
        *(tx.tenant_id, new_id(), tx.now, None, source_id, subject, subject_key),
        *(refusal.rule, refusal.detail, list(refusal.candidates), said),
    )


async def note_refused_rows(tx: TenantTx, source_id: SourceId, run_id: RunId, refused: Iterable[RefusedRow]) -> None:
    """As `note_refusal`, of a report's rows."""
    await tx.execute_many(
        _NOTE,
        [
            (
                *(tx.tenant_id, new_id(), tx.now, run_id, source_id, row.external_id, key_of_subject(row.external_id)),
                *(row.refusal.rule, row.refusal.detail, list(row.refusal.candidates)),
                _document({name: row.said[name] for name in RECORD_VALUES}, row.said["asserted_active"], None, None),
            )
            for row in refused
        ],
    )


def _document(
    values: Mapping[str, Value], active: bool, scim_external_id: str | None, raw: Mapping[str, Any] | None
) -> dict[str, Any]:
    said = {name: to_json(value) for name, value in values.items() if value is not None}
    return {"values": said, "active": active, "scim_external_id": scim_external_id, "raw": raw}


async def end_decision(tx: TenantTx, verdict: LinkTo | CreateNew) -> None:
    """Ends what is noted of the subject that a verdict was about, if anything is. It was told who it is."""
    if verdict.decision_id is not None:
        await tx.execute(_END, tx.tenant_id, verdict.decision_id, tx.now)


# Of a batch that made records ($2 run, $3 to $4 its changes, $5 now): as `end_decision`. The keys come out of a part of
# their own, so that an index finds the few decisions there are.
END_OF_MADE: Final = """
WITH mine AS MATERIALIZED (
  SELECT c.source_id, ('id:' || c.subject) COLLATE "C" AS subject_key FROM change c
  WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.ord BETWEEN $3 AND $4 AND c.state = 'planned' AND c.before IS NULL
)
UPDATE decision d SET resolved_at = $5, version = d.version + 1,
  ended = CASE WHEN d.verdict IN ('person', 'new') THEN 'used' ELSE 'understood' END
FROM mine
WHERE d.tenant_id = $1 AND d.source_id = mine.source_id AND d.subject_key = mine.subject_key
  AND d.resolved_at IS NULL"""
