"""The OAuth 2.0 client credentials grant (RFC 6749, 4.4): a client shows a secret, or signs for itself (RFC 7523), and
gets an access token for an hour.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Final, Literal
from uuid import UUID

from stoa.access import rules
from stoa.access.clients_model import Client, NoClient
from stoa.access.clients_queries import client
from stoa.access.clients_rules import may_call_from
from stoa.access.jwks import Assertion, BadAssertion, read_assertion
from stoa.access.queries import note_client_use, note_credential_use
from stoa.access.scopes import SCOPES, granted
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import ClientId, CredentialId, new_id
from stoa.kernel.problems import BadInput, Problem

LIFE: Final = timedelta(hours=1)
# A client that fetches a token for each call keeps its newest; the oldest ends.
MOST_TOKENS: Final = 1_000
_MOST_FORGOTTEN: Final = 200
# So many tokens of a client within a minute are told one by one; of further ones nobody would learn more.
MOST_TOLD: Final = 20
_MINUTE: Final = timedelta(minutes=1)
_SECRET_BYTES: Final = 32

Method = Literal["client_secret_basic", "client_secret_post", "private_key_jwt"]
Reason = Literal["unknown", "secret", "assertion", "replayed", "disabled", "address"]

# Both are held until the token is written: whoever ends the client or the secret at the same moment waits, and then
# ends the token too.
_HELD_CLIENT: Final = "SELECT FROM api_client WHERE tenant_id = $1 AND client_id = $2 FOR SHARE"
_OPENED_BY: Final = """
SELECT credential_id FROM credential
WHERE tenant_id = $1 AND token_hash = $2 AND client_id = $3 AND kind = 'client_secret' AND revoked_at IS NULL
  AND (expires_at IS NULL OR expires_at > $4)
FOR SHARE"""
_FIRST_SHOWN: Final = """
INSERT INTO client_assertion (tenant_id, client_id, jti_hash, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING"""
_FORGET_SHOWN: Final = """
DELETE FROM client_assertion WHERE tenant_id = $1 AND client_id = $2 AND jti_hash IN (
  SELECT jti_hash FROM client_assertion WHERE tenant_id = $1 AND client_id = $2 AND expires_at <= $3
  LIMIT $4 FOR UPDATE SKIP LOCKED)"""
_INSERT: Final = """
INSERT INTO access_token
  (tenant_id, token_id, client_id, token_hash, prefix, scopes, secret_id, kid, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""
# Every token lives as long, so that those of the last minute are those that expire last. Index access_token_client.
_RECENT: Final = """
SELECT count(*) FROM (
  SELECT FROM access_token WHERE tenant_id = $1 AND client_id = $2 AND expires_at > $3 LIMIT $4) AS recent"""
# Those that have expired, and the oldest when there are too many. Index access_token_client.
_FORGET_TOKENS: Final = """
DELETE FROM access_token WHERE tenant_id = $1 AND token_hash IN (
  SELECT token_hash FROM access_token WHERE tenant_id = $1 AND client_id = $2 AND expires_at <= greatest($3, (
    SELECT expires_at FROM access_token WHERE tenant_id = $1 AND client_id = $2
    ORDER BY expires_at DESC OFFSET $4 LIMIT 1))
  LIMIT $5 FOR UPDATE SKIP LOCKED)"""


class ClientRefused(Problem):
    """The token endpoint was asked by somebody who is not a client that may come in.

    Look at the client id and the secret, or at the key and the audience of the assertion. The client may also be
    disabled, or may only call from other addresses. The reason is not told, so that nobody can guess.

    Attributes:
        reason: why, for the log and the client's history.
    """

    code: ClassVar[str] = "invalid_client"
    status: ClassVar[int] = 401

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason


class ScopeRefused(BadInput):
    """An access token was asked for with a scope that the client does not have, or that there is not.

    Ask for scopes of the client alone, or leave `scope` out to get all of them.
    """

    code = "invalid_scope"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client shows of itself.

    Attributes:
        shown: the secret, or the signed assertion.
    """

    client_id: ClientId
    method: Method
    shown: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proven:
    """A client that has shown who it is. secret_id, kid: by which secret, or by which of its public keys."""

    client: Client
    method: Method
    secret_id: CredentialId | None
    kid: str | None


@dataclass(frozen=True, slots=True)
class Grant:
    """A fresh access token, which is shown this once. expires_in: seconds."""

    token: str = field(repr=False)
    scopes: Sequence[str]
    expires_in: int


async def prove(
    tx: TenantTx, proof: Proof, *, audiences: frozenset[str], clock_now: datetime, address: str | None
) -> Proven:
    """The client that the proof is of. An assertion opens once, whatever comes of it later in the transaction's time.

    audiences: the names of this server that an assertion may be for. clock_now: by the server's clock, by which
        assertions are made; a sandbox tenant's may be far from it. address: from where it asks.

    Raises:
        ClientRefused: saying why.
    """
    await tx.execute(_HELD_CLIENT, tx.tenant_id, proof.client_id)
    try:
        found = await client(tx, proof.client_id)
    except NoClient:
        raise unknown_client() from None
    if proof.method == "private_key_jwt":
        assertion = await _assertion(tx, found, proof, audiences, clock_now)
        proven = Proven(found, proof.method, None, assertion.kid)
    else:
        proven = Proven(found, proof.method, await _secret(tx, proof), None)
    # Whoever shows the right thing may know why it does not open.
    if found.disabled_at is not None:
        raise ClientRefused("disabled", "The client is disabled. An administrator of the tenant can enable it.")
    if not may_call_from(found.allowed_addresses, address):
        raise ClientRefused("address", f"The client may not call from this address ({address}).")
    return proven


def unknown_client() -> ClientRefused:
    """For a client that there is not, and for one that shows the wrong secret: nobody can tell which."""
    return ClientRefused("unknown", "There is no such client, or what was shown does not open it.")


async def _secret(tx: TenantTx, proof: Proof) -> CredentialId:
    digest = rules.token_hash(proof.shown)
    secret_id: UUID | None = None
    if digest is not None:
        secret_id = await tx.fetchval(_OPENED_BY, tx.tenant_id, digest, proof.client_id, tx.now)
    if secret_id is None:
        raise ClientRefused("secret", unknown_client().detail)
    await note_credential_use(tx, CredentialId(secret_id))
    return CredentialId(secret_id)


async def _assertion(
    tx: TenantTx, found: Client, proof: Proof, audiences: frozenset[str], clock_now: datetime
) -> Assertion:
    try:
        read = read_assertion(proof.shown, found.keys, str(found.client_id), audiences, clock_now)
    except BadAssertion as error:
        raise ClientRefused("assertion", str(error)) from None
    digest = hashlib.sha256(read.jti.encode()).digest()
    await tx.execute(_FORGET_SHOWN, tx.tenant_id, found.client_id, clock_now, _MOST_FORGOTTEN)
    if not await tx.execute(_FIRST_SHOWN, tx.tenant_id, found.client_id, digest, read.expires_at):
        raise ClientRefused("replayed", "The assertion was shown before. Sign a new one, with a jti of its own.")
    return read


def wanted_scopes(asked: str | None, held: frozenset[str]) -> list[str]:
    """The scopes of a token, in order: those asked for, or all that the client holds.

    asked: scopes with spaces between them (RFC 6749, 3.3); None for all.

    Raises:
        ScopeRefused: one is unknown, or not the client's.
    """
    if asked is None or not asked.strip():
        return sorted(held)
    wanted = sorted(set(asked.split()))
    for one in wanted:
        if one not in SCOPES:
            raise ScopeRefused(f"{one[:80]!r} is not a scope.", hint=f"Scopes: {' '.join(SCOPES)}.")
        if not granted(held, one):
            raise ScopeRefused(f"The client does not have the scope {one!r}.", hint=f"It has {' '.join(sorted(held))}.")
    return wanted


async def grant_token(tx: TenantTx, proven: Proven, asked: str | None) -> Grant:
    """An access token for an hour, by the tenant's clock.

    Raises:
        ScopeRefused: as `wanted_scopes`.
    """
    owner = proven.client
    scopes = wanted_scopes(asked, owner.scopes)
    token = rules.access_token_text(secrets.token_urlsafe(_SECRET_BYTES))
    recent = await tx.fetchval(_RECENT, tx.tenant_id, owner.client_id, tx.now + LIFE - _MINUTE, MOST_TOLD)
    await tx.execute(_FORGET_TOKENS, tx.tenant_id, owner.client_id, tx.now, MOST_TOKENS - 1, _MOST_FORGOTTEN)
    await tx.execute(
        _INSERT,
        *(tx.tenant_id, new_id(), owner.client_id, rules.token_hash(token), rules.token_prefix(token), scopes),
        *(proven.secret_id, proven.kid, tx.now, tx.now + LIFE),
    )
    await note_client_use(tx, owner.client_id)
    if recent < MOST_TOLD:
        emit(tx, Event("client.signed_in", f"client:{owner.client_id}", {"method": proven.method, "scopes": scopes}))
    return Grant(token, scopes, LIFE // timedelta(seconds=1))


def tell_refused(tx: TenantTx, client_id: ClientId, reason: Reason) -> None:
    """Writes to the log that the client was refused a token."""
    emit(tx, Event("client.sign_in_failed", f"client:{client_id}", {"reason": reason}))
