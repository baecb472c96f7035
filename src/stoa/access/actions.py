"""Issuing and revoking credentials."""

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from stoa.access import rules
from stoa.access.model import Issued
from stoa.access.standing import note_credentials
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.jobs.actions import enqueue
from stoa.kernel.ids import CredentialId, SourceId, new_id
from stoa.kernel.problems import BadInput, NotFound

# Looks whether a credential is about to expire, and tells its owner. Key: the credential's id.
EXPIRY_JOB: Final = "access.expiry"
_SECRET_BYTES = 32


async def issue_token(
    tx: TenantTx,
    scopes: Iterable[str],
    name: str,
    source_id: SourceId | None = None,
    expires_at: datetime | None = None,
) -> Issued:
    """Makes a credential. Its token is given this once; only a digest is stored.

    Raises:
        BadInput: a scope or the name is not well formed, or the credential would have expired already.
        NotFound: the tenant has no such source.
    """
    wanted = rules.checked_scopes(scopes)
    name = rules.checked_name(name)
    if expires_at is not None and expires_at <= tx.now:
        raise BadInput("The credential would have expired already.", hint="Choose a moment in the future.")
    token = rules.token_text(wanted, secrets.token_urlsafe(_SECRET_BYTES))
    credential_id = CredentialId(new_id())
    made = await tx.execute(
        """INSERT INTO credential
             (tenant_id, credential_id, name, prefix, token_hash, scopes, source_id, created_at, expires_at)
           SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
           WHERE $7::uuid IS NULL OR EXISTS (SELECT FROM source WHERE tenant_id = $1 AND source_id = $7)""",
        *(tx.tenant_id, credential_id, name, rules.token_prefix(token), rules.token_hash(token)),
        *(wanted, source_id, tx.now, expires_at),
    )
    if not made:
        raise NotFound("There is no such source.")
    emit(tx, Event("credential.issued", f"credential:{credential_id}", {"name": name, "scopes": wanted}))
    if expires_at is not None:
        await enqueue(tx, EXPIRY_JOB, str(credential_id))
    note_credentials(tx)
    return Issued(token, credential_id)


async def revoke(tx: TenantTx, credential_id: CredentialId) -> None:
    """Ends a credential at once and for good. Revoking it again changes nothing.

    Raises:
        NotFound: the tenant has no such credential.
    """
    revoked = await tx.execute(
        """UPDATE credential SET revoked_at = $3
           WHERE tenant_id = $1 AND credential_id = $2 AND revoked_at IS NULL""",
        *(tx.tenant_id, credential_id, tx.now),
    )
    if revoked:
        # What /oauth/token gave for it goes with it.
        await tx.execute(
            "DELETE FROM access_token WHERE tenant_id = $1 AND secret_id = $2", tx.tenant_id, credential_id
        )
        emit(tx, Event("credential.revoked", f"credential:{credential_id}", {}))
        # Nobody needs to be told any more that it expires.
        await enqueue(tx, EXPIRY_JOB, str(credential_id))
        note_credentials(tx)
        return
    known = await tx.fetchval(
        "SELECT true FROM credential WHERE tenant_id = $1 AND credential_id = $2", tx.tenant_id, credential_id
    )
    if not known:
        raise NotFound("There is no such credential.", hint="`stoa token list` shows the credentials there are.")
