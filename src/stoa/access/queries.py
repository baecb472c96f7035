"""Finding credentials. `credential_by_token` is on the path of every request."""

from datetime import timedelta
from typing import Final

from stoa.access.model import Credential
from stoa.access.rules import token_hash
from stoa.db.transactions import PlatformTx, Row, TenantTx
from stoa.kernel.ids import CredentialId, TenantId

USE_NOTED_EVERY: Final = timedelta(minutes=1)

_CREDENTIALS: Final = """
SELECT credential_id, name, prefix, scopes, source_id, created_at, expires_at, last_used_at, revoked_at
FROM credential WHERE tenant_id = $1"""

LOOK_UP: Final = """
SELECT credential_id, name, prefix, scopes, source_id, created_at, expires_at, last_used_at, revoked_at,
  current_setting('transaction_read_only') = 'off' AS writable
FROM credential
WHERE tenant_id = $1 AND token_hash = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)"""

# Whoever finds the row locked lets it be: the holder notes a use just now, or revokes it.
_NOTE_USE: Final = """
UPDATE credential SET last_used_at = $3 WHERE tenant_id = $1 AND credential_id = (
  SELECT credential_id FROM credential
  WHERE tenant_id = $1 AND credential_id = $2 AND (last_used_at IS NULL OR last_used_at <= $4)
  FOR NO KEY UPDATE SKIP LOCKED)"""


async def tenant_of_token(tx: PlatformTx, token: str) -> TenantId | None:
    """Whose token this is, or None. It says nothing about whether the token is still good: the tenant's own look-up
    does."""
    digest = token_hash(token)
    if digest is None:
        return None
    return await tx.fetchval("SELECT tenant_id FROM credential WHERE token_hash = $1", digest)


async def credential_of_token(tx: TenantTx, token: str) -> Credential | None:
    """The credential of this token if it is the tenant's, a revoked or expired one too: to say what was shown, never to
    let somebody in.
    """
    row = await tx.fetchrow(_CREDENTIALS + " AND token_hash = $2", tx.tenant_id, token_hash(token))
    return None if row is None else _credential(row)


async def credential(tx: TenantTx, credential_id: CredentialId) -> Credential | None:
    """One credential, a revoked or expired one too, or None."""
    row = await tx.fetchrow(_CREDENTIALS + " AND credential_id = $2", tx.tenant_id, credential_id)
    return None if row is None else _credential(row)


async def credential_by_token(tx: TenantTx, token: str) -> Credential | None:
    """The credential of this token, if it is the tenant's, not revoked and not expired on the tenant's clock.

    One indexed select. At most once a minute the use is noted too, which never waits for another transaction; in a
    read-only transaction it is not noted.
    """
    digest = token_hash(token)
    if digest is None:
        return None
    row = await tx.fetchrow(LOOK_UP, tx.tenant_id, digest, tx.now)
    if row is None:
        return None
    found = _credential(row)
    if row["writable"] and (found.last_used_at is None or found.last_used_at <= tx.now - USE_NOTED_EVERY):
        await tx.execute(_NOTE_USE, tx.tenant_id, found.credential_id, tx.now, tx.now - USE_NOTED_EVERY)
    return found


async def credentials(tx: TenantTx) -> list[Credential]:
    """All credentials of the tenant, revoked and expired ones too, newest first."""
    rows = await tx.fetch(_CREDENTIALS + " ORDER BY created_at DESC, credential_id DESC", tx.tenant_id)
    return [_credential(row) for row in rows]


def _credential(row: Row) -> Credential:
    return Credential(
        credential_id=row["credential_id"],
        name=row["name"],
        prefix=row["prefix"],
        scopes=frozenset(row["scopes"]),
        source_id=row["source_id"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )
