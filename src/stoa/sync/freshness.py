"""How old each connection's word is, and what its last accepted report was: for reports, for drift, and for skipping
the same bytes.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stoa.changes.model import Run
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import ConnectionId, SourceId
from stoa.sync.model import ColumnProfile, Profile
from stoa.tenants.status import note_expected


@dataclass(frozen=True, slots=True)
class Versions:
    """What an applied run was computed from. Only when all three are as they were may a report be skipped."""

    input_digest: bytes
    mapping_version: int
    authority_version: int

    def columns(self) -> dict[str, object]:
        """As columns of a run."""
        return {
            "input_digest": self.input_digest,
            "mapping_version": self.mapping_version,
            "authority_version": self.authority_version,
        }


@dataclass(frozen=True, slots=True)
class Last:
    """The last accepted report of a connection. versions is None after a rollback, when nothing may be skipped."""

    versions: Versions | None
    profile: Profile | None
    last_success_at: datetime | None
    last_attempt_at: datetime


async def last(tx: TenantTx, connection_id: ConnectionId) -> Last | None:
    """What is known of the connection's last report, None before the first."""
    row = await tx.fetchrow(
        """SELECT input_digest, mapping_version, authority_version, profile, last_success_at, last_attempt_at
        FROM freshness WHERE tenant_id = $1 AND connection_id = $2""",
        tx.tenant_id, connection_id,
    )  # fmt: skip
    if row is None:
        return None
    versions = None
    if row["input_digest"] is not None:
        versions = Versions(bytes(row["input_digest"]), row["mapping_version"], row["authority_version"])
    return Last(versions, _profile(row["profile"]), row["last_success_at"], row["last_attempt_at"])


def _profile(stored: dict[str, Any]) -> Profile | None:
    if not stored:
        return None
    columns = {name: ColumnProfile(c["filled"], c.get("shape")) for name, c in stored["columns"].items()}
    return Profile(stored["rows"], columns)


def profile_as_json(profile: Profile) -> dict[str, Any]:
    """A profile as it is stored. It holds no values of the report."""
    return {
        "rows": profile.rows,
        "columns": {name: {"filled": c.filled, "shape": c.shape} for name, c in profile.columns.items()},
    }


async def note_attempt(tx: TenantTx, run: Run) -> None:
    """Notes that the connection is being read."""
    await tx.execute(
        """INSERT INTO freshness (tenant_id, connection_id, source_id, last_attempt_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant_id, connection_id) DO UPDATE SET last_attempt_at = excluded.last_attempt_at""",
        tx.tenant_id, run.connection_id, run.source_id, tx.now,
    )  # fmt: skip


async def note_success(tx: TenantTx, run: Run) -> None:
    """Notes an applied sync run, in its last transaction."""
    await tx.execute(
        """UPDATE freshness SET last_success_at = $3, last_run = $4, input_digest = $5, mapping_version = $6,
          authority_version = $7,
          profile = coalesce($8::jsonb, profile)
        WHERE tenant_id = $1 AND connection_id = $2""",
        tx.tenant_id, run.connection_id, tx.now, run.run_id, run.input_digest, run.mapping_version,
        run.authority_version,        run.figures.get("profile"),
    )  # fmt: skip
    assert run.connection_id is not None
    await note_expected(tx, run.connection_id)


async def forget_input(tx: TenantTx, connection_id: ConnectionId) -> None:
    """After a rollback the same bytes are news again."""
    await tx.execute(
        "UPDATE freshness SET input_digest = NULL WHERE tenant_id = $1 AND connection_id = $2",
        tx.tenant_id,
        connection_id,
    )


async def confirmed(tx: TenantTx) -> dict[SourceId, datetime]:
    """When each source's word was last read as a whole and applied. Who tells of changes alone is not there."""
    rows = await tx.fetch(
        """SELECT source_id, max(last_success_at) AS at FROM freshness
        WHERE tenant_id = $1 AND last_success_at IS NOT NULL GROUP BY source_id""",
        tx.tenant_id,
    )
    return {row["source_id"]: row["at"] for row in rows}
