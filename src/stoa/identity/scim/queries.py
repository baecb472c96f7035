"""What the page of an identity provider reads: whom it knows, whom it was refused, and what it did hour by hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from stoa.access.model import Credential
from stoa.access.queries import credentials
from stoa.db.transactions import TenantTx
from stoa.identity.scim.entrance import SCOPE
from stoa.kernel.ids import RunId, SourceId
from stoa.people.queries import person_names

# More than this many changes of an hour are told as so many.
MOST_COUNTED: Final = 10_000

# By index decision_open, the latest try first, until enough of this source are found.
_REFUSED: Final = """
SELECT seen_at AS at, subject, rule, detail, candidates FROM decision
WHERE tenant_id = $1 AND source_id = $2 AND subject_key IS NOT NULL AND resolved_at IS NULL AND verdict IS NULL
ORDER BY seen_at DESC LIMIT $3"""
_WINDOWS: Final = """
SELECT r.run_id, r.target, r.created_at, (
  SELECT count(*) FROM (
    SELECT FROM change c WHERE c.tenant_id = $1 AND c.run_id = r.run_id LIMIT $4) AS counted) AS changes
FROM run r WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.kind = 'scim_window'
ORDER BY r.created_at DESC LIMIT $3"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Somebody whom the provider sent, and who could not be told.

    candidates: who might have been meant, with their names.
    """

    at: datetime
    subject: str
    rule: str
    detail: str
    candidates: Sequence[tuple[UUID, str | None]]


@dataclass(frozen=True, slots=True)
class Window:
    """What a provider did in one hour to its people or to its groups.

    Attributes:
        target: `person` or `group`.
        changes: at most MOST_COUNTED.
    """

    run_id: RunId
    target: str
    begins_at: datetime
    changes: int


async def tokens_of(tx: TenantTx, source_id: SourceId) -> list[Credential]:
    """All SCIM tokens of a source, revoked and expired ones too, newest first."""
    return [one for one in await credentials(tx) if one.source_id == source_id and one.permits(SCOPE)]


async def refusals(tx: TenantTx, source_id: SourceId, limit: int = 20) -> list[Refusal]:
    """The latest refusals that are still open."""
    rows = await tx.fetch(_REFUSED, tx.tenant_id, source_id, limit)
    names = await person_names(tx, list({one for row in rows for one in row["candidates"]}))
    return [
        Refusal(
            row["at"],
            row["subject"],
            row["rule"],
            row["detail"],
            [(one, names.get(one)) for one in row["candidates"]],
        )
        for row in rows
    ]


async def windows(tx: TenantTx, source_id: SourceId, limit: int = 12) -> list[Window]:
    """The latest hours in which the source changed something (index run_source)."""
    rows = await tx.fetch(_WINDOWS, tx.tenant_id, source_id, limit, MOST_COUNTED)
    return [Window(row["run_id"], row["target"], row["created_at"], row["changes"]) for row in rows]
