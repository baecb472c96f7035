"""Making, changing, disabling and deleting API clients. Each takes effect on the next request, everywhere."""

from typing import Any, Final

from stoa.access.actions import revoke
from stoa.access.clients_model import Client, ClientNameTaken, NoClient, TooManyClients
from stoa.access.clients_queries import client, credentials_of
from stoa.access.clients_rules import Terms, checked_terms
from stoa.access.jwks import checked_keys
from stoa.db.errors import UniqueViolation
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.fold import fold
from stoa.kernel.ids import ClientId, SourceId, new_id
from stoa.kernel.stamps import refuse_stale, stamp_of
from stoa.tenants.actions import ensure_source

MOST_CLIENTS: Final = 500

# Without a conflict target: neither the name nor the source may be another client's.
_INSERT: Final = """
INSERT INTO api_client
  (tenant_id, client_id, name, name_key, scopes, source_id, version, allowed_addresses, per_minute, created_at,
   updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
ON CONFLICT DO NOTHING"""
_CHANGE: Final = """
UPDATE api_client SET name = $3, name_key = $4, scopes = $5, source_id = $6, version = $7, allowed_addresses = $8,
  per_minute = $9, updated_at = $10
WHERE tenant_id = $1 AND client_id = $2"""
_DISABLE: Final = """
UPDATE api_client SET disabled_at = $3, updated_at = $3
WHERE tenant_id = $1 AND client_id = $2 AND disabled_at IS NULL AND deleted_at IS NULL"""
_ENABLE: Final = """
UPDATE api_client SET disabled_at = NULL, updated_at = $3
WHERE tenant_id = $1 AND client_id = $2 AND disabled_at IS NOT NULL AND deleted_at IS NULL"""
_DELETE: Final = """
UPDATE api_client SET deleted_at = $3, updated_at = $3, jwks = NULL WHERE tenant_id = $1 AND client_id = $2"""
_SET_KEYS: Final = "UPDATE api_client SET jwks = $3, updated_at = $4 WHERE tenant_id = $1 AND client_id = $2"
_END_TOKENS: Final = "DELETE FROM access_token WHERE tenant_id = $1 AND client_id = $2"
_END_SIGNED: Final = f"{_END_TOKENS} AND kid IS NOT NULL AND kid <> ALL ($3::text[])"


async def create_client(tx: TenantTx, terms: Terms) -> Client:
    """Makes a client, which nothing opens yet: it needs a key, a secret or public keys of its own. One that may write
    people gets a source of its name, in whose name it asserts facts about them.

    Raises:
        BadFields: naming what cannot be accepted of `terms`.
        ClientNameTaken: another client has the name, or asserts facts in it.
        Conflict: a source of another kind has the name.
        TooManyClients: the tenant has MOST_CLIENTS.
    """
    terms = checked_terms(terms)
    present = await tx.fetchval(
        "SELECT count(*) FROM api_client WHERE tenant_id = $1 AND deleted_at IS NULL", tx.tenant_id
    )
    if present >= MOST_CLIENTS:
        raise TooManyClients(f"There are {MOST_CLIENTS} API clients.", hint="Delete those that nobody uses.")
    source_id = await _source_of(tx, terms)
    client_id = ClientId(new_id())
    made = await tx.execute(
        _INSERT,
        *(tx.tenant_id, client_id, terms.name, fold(terms.name), list(terms.scopes), source_id, terms.version),
        *(list(terms.allowed_addresses), terms.per_minute, tx.now),
    )
    if not made:
        raise _taken(terms)
    emit(tx, Event("client.created", f"client:{client_id}", {"after": _told(terms)}))
    return await client(tx, client_id)


async def change_client(tx: TenantTx, client_id: ClientId, terms: Terms, *, stamp: str | None = None) -> Client:
    """Puts new terms in place of the old ones. A change that changes nothing leaves no trace.

    stamp: `change_stamp` of the client that the change was made from, so that it undoes nobody else's.

    Raises:
        NoClient, BadFields, ClientNameTaken, Conflict: as `create_client`.
        ChangedMeanwhile: it would undo what somebody else has changed since.
    """
    terms = checked_terms(terms)
    before = await _locked(tx, client_id)
    old, new = _told(before.terms), _told(terms)
    refuse_stale(stamp, old, new)
    changed = [name for name in new if new[name] != old[name]]
    if not changed:
        return before
    # A client keeps its source: what it said was said in that name, whatever it is called by now.
    source_id = before.source_id or await _source_of(tx, terms)
    try:
        await tx.execute(
            _CHANGE,
            *(tx.tenant_id, client_id, terms.name, fold(terms.name), list(terms.scopes), source_id, terms.version),
            *(list(terms.allowed_addresses), terms.per_minute, tx.now),
        )
    except UniqueViolation:
        raise _taken(terms) from None
    body = {"before": {name: old[name] for name in changed}, "after": {name: new[name] for name in changed}}
    emit(tx, Event("client.changed", f"client:{client_id}", body))
    return await client(tx, client_id)


def change_stamp(client: Client) -> str:
    """The stamp of what `change_client` changes."""
    return stamp_of(_told(client.terms))


async def disable_client(tx: TenantTx, client_id: ClientId) -> Client:
    """Shuts a client out at once, until it is enabled again. Its access tokens end for good; its keys and secrets open
    nothing meanwhile. Disabling it again changes nothing.

    Raises:
        NoClient: the tenant has no such client.
    """
    if await tx.execute(_DISABLE, tx.tenant_id, client_id, tx.now):
        await tx.execute(_END_TOKENS, tx.tenant_id, client_id)
        emit(tx, Event("client.disabled", f"client:{client_id}", {}))
    return await client(tx, client_id)


async def enable_client(tx: TenantTx, client_id: ClientId) -> Client:
    """Lets a disabled client in again, with the keys and secrets that it had.

    Raises:
        NoClient: the tenant has no such client.
    """
    if await tx.execute(_ENABLE, tx.tenant_id, client_id, tx.now):
        emit(tx, Event("client.enabled", f"client:{client_id}", {}))
    return await client(tx, client_id)


async def delete_client(tx: TenantTx, client_id: ClientId) -> None:
    """Ends a client for good, with all that it shows. What it said of people stays, and so does its source.

    Raises:
        NoClient: the tenant has no such client.
    """
    found = await _locked(tx, client_id)
    for one in await credentials_of(tx, client_id):
        if one.revoked_at is None:
            await revoke(tx, one.credential_id)
    await tx.execute(_END_TOKENS, tx.tenant_id, client_id)
    await tx.execute("DELETE FROM client_assertion WHERE tenant_id = $1 AND client_id = $2", tx.tenant_id, client_id)
    await tx.execute(_DELETE, tx.tenant_id, client_id, tx.now)
    emit(tx, Event("client.deleted", f"client:{client_id}", {"before": _told(found.terms)}))


async def set_keys(tx: TenantTx, client_id: ClientId, text: str) -> Client:
    """Registers the public keys by which a client signs for itself, in place of those that it had; an empty text takes
    them away. Access tokens that it got with a key which is no longer there end at once.

    text: a JWK set or one JWK.

    Raises:
        NoClient: the tenant has no such client.
        BadKeys: a key is not a public one of an accepted sort.
    """
    keys = checked_keys(text) if text.strip() else []
    before = await _locked(tx, client_id)
    if list(before.keys) == keys:
        return before
    await tx.execute(_SET_KEYS, tx.tenant_id, client_id, {"keys": keys} if keys else None, tx.now)
    ids = [key["kid"] for key in keys]
    # A new key under the id of an old one is another key: what the old one signed for ends.
    await tx.execute(_END_SIGNED, tx.tenant_id, client_id, [key["kid"] for key in keys if key in before.keys])
    body = {"before": [key["kid"] for key in before.keys], "after": ids}
    emit(tx, Event("client.keys_changed", f"client:{client_id}", body))
    return await client(tx, client_id)


async def lock_client(tx: TenantTx, client_id: ClientId) -> None:
    """Has whoever else changes the client, or what it shows, wait for the end of this transaction.

    Raises:
        NoClient: the tenant has no such client.
    """
    found = await tx.fetchval(
        """SELECT true FROM api_client WHERE tenant_id = $1 AND client_id = $2 AND deleted_at IS NULL
           FOR NO KEY UPDATE""",
        *(tx.tenant_id, client_id),
    )
    if not found:
        raise NoClient("There is no such API client.", hint="The list of API clients shows those there are.")


async def _locked(tx: TenantTx, client_id: ClientId) -> Client:
    await lock_client(tx, client_id)
    return await client(tx, client_id)


async def _source_of(tx: TenantTx, terms: Terms) -> SourceId | None:
    return (await ensure_source(tx, "api", terms.name)).source_id if terms.writes_people else None


def _taken(terms: Terms) -> ClientNameTaken:
    return ClientNameTaken(
        f"Another API client is called {terms.name!r}, or asserts facts in that name.", hint="Choose another name."
    )


def _told(terms: Terms) -> dict[str, Any]:
    """The terms as an event tells them."""
    return {
        "name": terms.name,
        "scopes": list(terms.scopes),
        "allowed_addresses": list(terms.allowed_addresses),
        "version": terms.version,
        "per_minute": terms.per_minute,
    }
