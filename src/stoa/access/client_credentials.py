"""What an API client shows: keys for the API, and secrets for /oauth/token. Two of each may open at a time, which is
what it takes to change them without a pause.
"""

import secrets
from datetime import timedelta
from typing import Final, Literal

from stoa.access import rules
from stoa.access.actions import EXPIRY_JOB, revoke
from stoa.access.clients import lock_client
from stoa.access.clients_model import TooManySecrets
from stoa.access.clients_queries import client, credentials_of
from stoa.access.clients_rules import checked_days
from stoa.access.model import Credential, Issued
from stoa.access.queries import credential
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.jobs.actions import enqueue
from stoa.kernel.ids import ClientId, CredentialId, new_id
from stoa.kernel.problems import NotFound

MOST_LIVE: Final = 2
Shown = Literal["api_key", "client_secret"]
_SPELT: Final[dict[Shown, str]] = {"api_key": "stoa_api_", "client_secret": "stoa_secret_"}
_CALLED: Final[dict[Shown, str]] = {"api_key": "key", "client_secret": "secret"}
_SECRET_BYTES: Final = 32

_INSERT: Final = """
INSERT INTO credential
  (tenant_id, credential_id, name, prefix, token_hash, scopes, created_at, expires_at, client_id, kind)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""


async def issue(tx: TenantTx, client_id: ClientId, kind: Shown, name: str = "", *, days: int | None = None) -> Issued:
    """Makes a key or a secret of a client. Its text is given this once; only a digest is stored.

    name: what it is for; by default what it is. days: after how many days it expires; None for never.

    Raises:
        NoClient: the tenant has no such client.
        BadInput: the name or the number of days cannot be accepted.
        TooManySecrets: two of its kind open already.
    """
    days = checked_days(days)
    # Of two who ask at once, the second counts what the first has made.
    await lock_client(tx, client_id)
    owner = await client(tx, client_id)
    name = rules.checked_name(name or f"{owner.name[: rules.LONGEST_NAME - 10]} {_CALLED[kind]}")
    alive = [one for one in await credentials_of(tx, client_id) if one.kind == kind and one.opens_at(tx.now)]
    if len(alive) >= MOST_LIVE:
        raise TooManySecrets(
            f"The client has {MOST_LIVE} {_CALLED[kind]}s that open.",
            hint="Revoke the one that is not used any more, then make a new one.",
        )
    text = _SPELT[kind] + secrets.token_urlsafe(_SECRET_BYTES)
    credential_id, scopes = CredentialId(new_id()), sorted(owner.scopes)
    expires_at = None if days is None else tx.now + timedelta(days=days)
    await tx.execute(
        _INSERT,
        *(tx.tenant_id, credential_id, name, rules.token_prefix(text), rules.token_hash(text), scopes, tx.now),
        *(expires_at, client_id, kind),
    )
    body = {
        "name": name,
        "scopes": scopes,
        "kind": kind,
        "client_id": str(client_id),
        "expires_at": None if expires_at is None else expires_at.isoformat(),
    }
    emit(tx, Event("credential.issued", f"credential:{credential_id}", body))
    if expires_at is not None:
        await enqueue(tx, EXPIRY_JOB, str(credential_id))
    return Issued(text, credential_id)


async def revoke_of(tx: TenantTx, client_id: ClientId, credential_id: CredentialId) -> Credential:
    """Ends a key or a secret of this client at once and for good, with the access tokens that the secret gave. Gives
    what it was. Revoking it again changes nothing.

    Raises:
        NotFound: the client has no such key or secret.
    """
    found = await credential(tx, credential_id)
    if found is None or found.client_id != client_id:
        raise NotFound("This client has no such key or secret.", hint="Its page shows those that it has.")
    await revoke(tx, credential_id)
    return found
