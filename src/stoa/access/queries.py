"""Finding credentials. `credential_by_token` is on the path of every request."""

from datetime import timedelta
from typing import Final

from stoa.access.model import Credential
from stoa.access.rules import is_access_token, token_hash
from stoa.access.scopes import narrowed
from stoa.db.transactions import PlatformTx, Row, TenantTx
from stoa.kernel.ids import ClientId, CredentialId, TenantId

USE_NOTED_EVERY: Final = timedelta(minutes=1)

_CREDENTIALS: Final = """
SELECT credential_id, name, prefix, scopes, source_id, created_at, expires_at, last_used_at, revoked_at, kind, client_id
FROM credential WHERE tenant_id = $1"""

# A client secret opens /oauth/token alone: here it is unknown.
LOOK_UP: Final = """
SELECT c.credential_id, c.name, c.prefix, c.scopes, coalesce(a.source_id, c.source_id) AS source_id, c.created_at,
  c.expires_at, c.last_used_at, c.revoked_at, c.kind, c.client_id,
  a.scopes AS client_scopes, a.allowed_addresses, a.version, c.xmin AS mark, a.xmin AS client_mark,
  current_setting('transaction_read_only') = 'off' AS writable
FROM credential c LEFT JOIN api_client a ON a.tenant_id = $1 AND a.client_id = c.client_id
WHERE c.tenant_id = $1 AND c.token_hash = $2 AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > $3)
  AND c.kind <> 'client_secret' AND a.disabled_at IS NULL AND a.deleted_at IS NULL"""
LOOK_UP_ACCESS: Final = """
SELECT t.token_id AS credential_id, a.name, t.prefix, t.scopes, a.source_id, t.created_at, t.expires_at,
  a.last_used_at, NULL::timestamptz AS revoked_at, 'access_token' AS kind, t.client_id,
  a.scopes AS client_scopes, a.allowed_addresses, a.version, t.xmin AS mark, a.xmin AS client_mark,
  current_setting('transaction_read_only') = 'off' AS writable
FROM access_token t JOIN api_client a ON a.tenant_id = $1 AND a.client_id = t.client_id
WHERE t.tenant_id = $1 AND t.token_hash = $2 AND t.expires_at > $3 AND a.disabled_at IS NULL AND a.deleted_at IS NULL"""

# Whoever finds the row locked lets it be: the holder notes a use just now, or revokes it.
_NOTE_USE: Final = """
UPDATE credential SET last_used_at = $3 WHERE tenant_id = $1 AND credential_id = (
  SELECT credential_id FROM credential
  WHERE tenant_id = $1 AND credential_id = $2 AND (last_used_at IS NULL OR last_used_at <= $4)
  FOR NO KEY UPDATE SKIP LOCKED)"""
_NOTE_CLIENT: Final = """
UPDATE api_client SET last_used_at = $3 WHERE tenant_id = $1 AND client_id = (
  SELECT client_id FROM api_client
  WHERE tenant_id = $1 AND client_id = $2 AND (last_used_at IS NULL OR last_used_at <= $4)
  FOR NO KEY UPDATE SKIP LOCKED)"""


async def tenant_of_token(tx: PlatformTx, token: str) -> TenantId | None:
    """Whose token this is, or None. It says nothing about whether the token is still good: the tenant's own look-up
    does."""
    digest = token_hash(token)
    if digest is None:
        return None
    if is_access_token(token):
        return await tx.fetchval("SELECT tenant_id FROM access_token WHERE token_hash = $1", digest)
    return await tx.fetchval("SELECT tenant_id FROM credential WHERE token_hash = $1", digest)


async def credential_of_token(tx: TenantTx, token: str) -> Credential | None:
    """The credential of this token if it is the tenant's, a revoked or expired one too: to say what was shown, never to
    let somebody in. Access tokens leave no trace once they have ended, so none is found.
    """
    row = await tx.fetchrow(_CREDENTIALS + " AND token_hash = $2", tx.tenant_id, token_hash(token))
    return None if row is None else credential_of_row(row)


async def credential(tx: TenantTx, credential_id: CredentialId) -> Credential | None:
    """One credential, a revoked or expired one too, or None."""
    row = await tx.fetchrow(_CREDENTIALS + " AND credential_id = $2", tx.tenant_id, credential_id)
    return None if row is None else credential_of_row(row)


async def credential_by_token(tx: TenantTx, token: str) -> Credential | None:
    """The credential of this token, if it is the tenant's, not revoked, not expired on the tenant's clock, and its
    client, if it has one, is neither disabled nor deleted. A client secret is nobody's bearer token: None.

    One indexed select. At most once a minute the use is noted too, which never waits for another transaction; in a
    read-only transaction it is not noted: `is_unnoted` says whether `note_use` should be called in another one.
    """
    digest = token_hash(token)
    if digest is None:
        return None
    row = await tx.fetchrow(LOOK_UP_ACCESS if is_access_token(token) else LOOK_UP, tx.tenant_id, digest, tx.now)
    if row is None:
        return None
    found = _in_force(row)
    if row["writable"]:
        await note_use(tx, found)
    return found


def is_unnoted(tx: TenantTx, found: Credential) -> bool:
    """Whether a use of the credential at this moment has still to be noted."""
    return found.last_used_at is None or found.last_used_at <= tx.now - USE_NOTED_EVERY


async def note_use(tx: TenantTx, found: Credential) -> None:
    """Notes that the credential is used, at most once a minute, and never waits for another transaction. The use of an
    access token is that of its client, for the token itself is gone soon.
    """
    if not is_unnoted(tx, found):
        return
    if found.kind == "access_token" and found.client_id is not None:
        await note_client_use(tx, found.client_id)
    else:
        await note_credential_use(tx, found.credential_id)


async def note_credential_use(tx: TenantTx, credential_id: CredentialId) -> None:
    """Notes that a credential opens something now, unless that was noted within the minute."""
    await tx.execute(_NOTE_USE, tx.tenant_id, credential_id, tx.now, tx.now - USE_NOTED_EVERY)


async def note_client_use(tx: TenantTx, client_id: ClientId) -> None:
    """Notes that a client is heard of now, unless that was noted within the minute."""
    await tx.execute(_NOTE_CLIENT, tx.tenant_id, client_id, tx.now, tx.now - USE_NOTED_EVERY)


async def credentials(tx: TenantTx) -> list[Credential]:
    """All credentials of the tenant that stand for themselves, revoked and expired ones too, newest first. Those of API
    clients are `clients_queries.credentials_of`.
    """
    rows = await tx.fetch(
        _CREDENTIALS + " AND kind = 'token' ORDER BY created_at DESC, credential_id DESC", tx.tenant_id
    )
    return [credential_of_row(row) for row in rows]


def unchanged_query(tenant_id: TenantId, token: str, found: Credential) -> str:
    """A statement that gives a row if the credential and its client are to the letter as they were when `found` was
    read: for `Database.tenant`, which runs it in the round trip that begins a transaction. What is in force then is
    in force now, but for its end, which is a matter of the clock.

    The text is made of ids and digits alone.
    """
    digest = token_hash(token)
    if digest is None or found.marks is None:
        return ""
    mark, client_mark = found.marks
    of = "access_token" if found.kind == "access_token" else "credential"
    marks = f"'{mark:d}'::xid, NULL, NULL"
    if found.client_id is not None and client_mark is not None:
        marks = f"'{mark:d}'::xid, '{found.client_id!s}'::uuid, '{client_mark:d}'::xid"
    return f"SELECT WHERE {of}_unchanged('{tenant_id!s}'::uuid, '\\x{digest.hex()}'::bytea, {marks})"


def _in_force(row: Row) -> Credential:
    """With what its client may and wants now. A key may what its client may; an access token no more than both."""
    scopes = frozenset(row["scopes"])
    marks = (row["mark"], row["client_mark"])
    if row["client_id"] is None:
        return credential_of_row(row, marks=marks)
    limit = frozenset(row["client_scopes"])
    return credential_of_row(
        row,
        scopes=limit if row["kind"] == "api_key" else narrowed(scopes, limit),
        allowed_addresses=tuple(row["allowed_addresses"]),
        version=row["version"],
        marks=marks,
    )


def credential_of_row(
    row: Row,
    *,
    scopes: frozenset[str] | None = None,
    allowed_addresses: tuple[str, ...] = (),
    version: str | None = None,
    marks: tuple[int, int | None] | None = None,
) -> Credential:
    """A credential as the table holds it, with what is known of its client."""
    return Credential(
        credential_id=row["credential_id"],
        name=row["name"],
        prefix=row["prefix"],
        scopes=frozenset(row["scopes"]) if scopes is None else scopes,
        source_id=row["source_id"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
        kind=row["kind"],
        client_id=row["client_id"],
        allowed_addresses=allowed_addresses,
        version=version,
        marks=marks,
    )
