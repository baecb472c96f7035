"""Storing lines of the log, and the hours of their sources."""

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from stoa.db.transactions import TenantTx
from stoa.identity.scim.http import Word
from stoa.identity.scim.log.bodies import digest, names_of, only_resource, sealed_of, shown_path, write_only_of
from stoa.identity.scim.log.model import FAILED, Noted
from stoa.identity.scim.log.silence import heard_again
from stoa.identity.scim.own.queries import own_schemas
from stoa.kernel.ids import SourceId, parse_id
from stoa.tenants.model import Phase
from stoa.tenants.sealing import Sealer
from stoa.tenants.status import note_phase

TABLE: Final = "scim_request"
# Rung when lines were written, for those who look at the log.
CHANNEL: Final = "scim_log"
_LONGEST_AGENT: Final = 300
_LONGEST_METHOD: Final = 20
_AT_A_STRETCH: Final = 10
_encode: Final = msgspec.msgpack.Encoder().encode
# With each column its type. A request that names a user by id alone is about whoever has that record.
_COLUMNS: Final = {
    "request_id": "uuid", "at": "timestamptz", "source_id": "uuid", "credential_id": "uuid", "actor": "text",
    "replay_of": "uuid", "method": "text", "path": "text", "status": "integer", "duration_us": "bigint",
    "address": "text", "user_agent": "text", "trace_id": "text", "outcome": "text", "reason": "text",
    "resource_id": "uuid", "person_id": "uuid", "run_id": "uuid", "ord": "bigint", "name_key": "bigint",
    "external_key": "bigint", "email_key": "bigint", "sealed": "bytea", "lost": "integer",
}  # fmt: skip
_GIVEN: Final = ", ".join(
    "coalesce(v.person_id, (SELECT r.person_id FROM source_record r WHERE r.tenant_id = $1"
    " AND r.resource_id = v.resource_id AND r.source_id = v.source_id))"
    if name == "person_id"
    else f"v.{name}"
    for name in _COLUMNS
)
_INSERT: Final = f"""
INSERT INTO scim_request (tenant_id, {", ".join(_COLUMNS)})
SELECT $1, {_GIVEN}
FROM unnest({", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_COLUMNS.values(), start=2))})
  AS v({", ".join(_COLUMNS)})
ON CONFLICT DO NOTHING"""  # noqa: S608 - columns are code
_HOURS: Final = """
INSERT INTO scim_hour AS h (tenant_id, source_id, hour, requests, errors, first_at, last_at, success_at)
SELECT $1, v.source_id, v.hour, v.requests, v.errors, v.first_at, v.last_at, v.success_at
FROM unnest($2::uuid[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::timestamptz[], $7::timestamptz[],
  $8::timestamptz[]) AS v(source_id, hour, requests, errors, first_at, last_at, success_at)
ORDER BY v.source_id, v.hour
ON CONFLICT (tenant_id, source_id, hour) DO UPDATE SET
  requests = h.requests + excluded.requests, errors = h.errors + excluded.errors,
  first_at = least(h.first_at, excluded.first_at), last_at = greatest(h.last_at, excluded.last_at),
  success_at = greatest(h.success_at, excluded.success_at)
RETURNING h.source_id, h.hour, h.requests"""

_DAY: Final = """
SELECT coalesce(sum(requests), 0)::bigint AS requests, coalesce(sum(errors), 0)::bigint AS errors FROM scim_hour
WHERE tenant_id = $1 AND hour > $2"""


@dataclass(frozen=True, slots=True)
class Vault:
    """What keeps the log from whoever reads the database alone.

    key: of the digests of names, 32 bytes.
    """

    sealer: Sealer
    key: bytes = field(repr=False)


@dataclass(slots=True)
class _Hour:
    requests: int
    errors: int
    first_at: datetime
    last_at: datetime
    success_at: datetime | None


async def store(
    tx: TenantTx,
    vault: Vault,
    lines: Sequence[Noted],
    *,
    clock: float,
    lost: int = 0,
    why: str = "",
    on_board: bool = False,
) -> None:
    """Writes the lines of one tenant, and counts them in their hours.

    lost: requests before these that were not written. clock: `monotonic` at `tx.now`. why: see `Sealed`.
    on_board: the figures of the operator's board are counted anew.
    """
    write_only = write_only_of(await own_schemas(tx))
    rows: list[dict[str, Any]] = []
    for one in lines:
        rows.append(_row(tx, vault, one, clock, write_only, why))
        if len(rows) % _AT_A_STRETCH == 0:
            # Requests that are being answered come first.
            await asyncio.sleep(0)
    rows[0]["lost"] = lost
    await tx.execute(_INSERT, tx.tenant_id, *([row[name] for row in rows] for name in _COLUMNS))
    await _count(tx, [(one, row["at"]) for one, row in zip(lines, rows, strict=True) if one.arrival.actor is None])
    if on_board:
        row = await tx.fetchrow(_DAY, tx.tenant_id, tx.now - timedelta(hours=24))
        assert row is not None
        await note_phase(tx, Phase.IDENTITY, requests=row["requests"], errors=row["errors"])
    tx.wake(CHANNEL)


def _row(
    tx: TenantTx, vault: Vault, noted: Noted, clock: float, write_only: AbstractSet[str], why: str
) -> dict[str, Any]:
    arrival, request, answer = noted.arrival, noted.request, noted.answer
    sealed, body = sealed_of(noted, write_only, why)
    keys = {name: digest(vault.key, tx.tenant_id, text) for name, text in names_of(arrival.query, body).items()}
    outcome = answer.outcome
    written = None if outcome is None else outcome.written
    return {
        "request_id": arrival.request_id,
        "at": tx.now - timedelta(seconds=max(0.0, clock - arrival.since)),
        "source_id": noted.source_id,
        "credential_id": arrival.credential_id,
        "actor": arrival.actor,
        "replay_of": arrival.replay_of,
        "method": request.method[:_LONGEST_METHOD],
        "path": shown_path(request.path),
        "status": int(answer.status),
        "duration_us": noted.duration_us,
        "address": arrival.address,
        "user_agent": request.headers.get("user-agent", "")[:_LONGEST_AGENT].replace("\0", "") or None,
        "trace_id": arrival.trace_id,
        "outcome": _word(noted),
        "reason": "" if outcome is None else outcome.reason,
        "resource_id": _resource(noted),
        "person_id": None if outcome is None else outcome.person_id,
        "run_id": None if written is None else written.run_id,
        "ord": None if written is None else written.ord,
        "name_key": keys.get("user_name"),
        "external_key": keys.get("external_id"),
        "email_key": keys.get("email"),
        "sealed": vault.sealer.seal(_encode(sealed), tx.tenant_id, TABLE, arrival.request_id),
        "lost": 0,
    }


def _word(noted: Noted) -> str:
    answer = noted.answer
    if answer.outcome is not None:
        return answer.outcome.word
    if answer.status >= 500:
        return FAILED
    return Word.REFUSED if answer.status >= 400 else Word.READ


def _resource(noted: Noted) -> object:
    outcome, path = noted.answer.outcome, noted.request.path
    if outcome is not None and outcome.resource_id is not None:
        return outcome.resource_id
    if len(path) == 2 and path[1] != ".search":
        return parse_id(path[1])
    found = only_resource(noted.answer.body) if noted.answer.status == 200 else None
    return None if found is None else parse_id(found)


async def _count(tx: TenantTx, lines: Sequence[tuple[Noted, datetime]]) -> None:
    """Adds to the hours of the sources that spoke themselves; what an operator did once more is none of it."""
    hours: dict[tuple[SourceId, datetime], _Hour] = {}
    for one, at in lines:
        key = one.source_id, at.replace(minute=0, second=0, microsecond=0)
        found = hours.setdefault(key, _Hour(0, 0, at, at, None))
        failed = one.answer.status >= 400
        found.requests += 1
        found.errors += failed
        found.first_at, found.last_at = min(found.first_at, at), max(found.last_at, at)
        if not failed:
            found.success_at = at if found.success_at is None else max(found.success_at, at)
    if not hours:
        return
    counted = await tx.fetch(
        _HOURS,
        *(tx.tenant_id, [key[0] for key in hours], [key[1] for key in hours]),
        *([getattr(one, name) for one in hours.values()] for name in _Hour.__slots__),
    )
    for row in counted:
        if row["requests"] == hours[row["source_id"], row["hour"]].requests:
            # The first of its hour.
            await heard_again(tx, row["source_id"])
