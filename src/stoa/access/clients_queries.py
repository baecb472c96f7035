"""Finding API clients, their keys and their secrets."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from stoa.access.clients_model import Client, ClientLine, NoClient
from stoa.access.model import Credential
from stoa.access.queries import credential_of_row
from stoa.db.transactions import PlatformTx, Row, TenantTx
from stoa.kernel.cursors import Position, mark_of
from stoa.kernel.fold import fold
from stoa.kernel.ids import ClientId, TenantId

Sort = Literal["name", "created_at"]

_CLIENTS: Final = """
SELECT a.client_id, a.name, a.name_key, a.scopes, a.source_id, a.allowed_addresses, a.version, a.jwks, a.per_minute,
  a.created_at, a.updated_at, a.disabled_at, greatest(a.last_used_at, c.used_at) AS used_at, c.api_keys, c.secrets,
  c.expires_at
FROM api_client a CROSS JOIN LATERAL (
  SELECT max(last_used_at) AS used_at,
    count(*) FILTER (WHERE kind = 'api_key' AND revoked_at IS NULL AND coalesce(expires_at > $2, true)) AS api_keys,
    count(*) FILTER (
      WHERE kind = 'client_secret' AND revoked_at IS NULL AND coalesce(expires_at > $2, true)) AS secrets,
    min(expires_at) FILTER (WHERE revoked_at IS NULL AND expires_at > $2) AS expires_at
  FROM credential WHERE tenant_id = $1 AND client_id = a.client_id) c
WHERE a.tenant_id = $1 AND a.deleted_at IS NULL"""


def _listing(key: str, cast: str, *, descending: bool) -> str:
    # A tenant has hundreds of clients at most (clients.MOST_CLIENTS): looking at each for a part of its name costs
    # nothing.
    order, further = ("DESC", "<") if descending else ("ASC", ">")
    return f"""{_CLIENTS} AND ($3 = '' OR strpos(a.name_key, $3) > 0)
  AND ($4::{cast} IS NULL OR ({key}, a.client_id) {further} ($4, $5::uuid))
ORDER BY {key} {order}, a.client_id {order} LIMIT $6"""


_KEYS: Final[Mapping[Sort, tuple[str, str]]] = {
    "name": ("a.name_key", "text"),
    "created_at": ("a.created_at", "timestamptz"),
}
LISTINGS: Final = {
    (sort, descending): _listing(key, cast, descending=descending)
    for sort, (key, cast) in _KEYS.items()
    for descending in (False, True)
}


async def tenant_of_client(tx: PlatformTx, client_id: ClientId) -> TenantId | None:
    """Whose client this is, or None. It says nothing about whether the client is still let in."""
    return await tx.fetchval("SELECT tenant_id FROM api_client WHERE client_id = $1", client_id)


async def client(tx: TenantTx, client_id: ClientId) -> Client:
    """One client that is not deleted. Raises NoClient."""
    return (await client_line(tx, client_id)).client


async def client_line(tx: TenantTx, client_id: ClientId) -> ClientLine:
    """One client that is not deleted, with how its keys and secrets stand. Raises NoClient."""
    row = await tx.fetchrow(_CLIENTS + " AND a.client_id = $3", tx.tenant_id, tx.now, client_id)
    if row is None:
        raise NoClient("There is no such API client.", hint="The list of API clients shows those there are.")
    return _line(row)


async def clients(
    tx: TenantTx,
    *,
    search: str = "",
    sort: Sort = "name",
    descending: bool = False,
    after: tuple[object, ...] | None = None,
    limit: int = 50,
) -> tuple[list[ClientLine], Position | None]:
    """A page of the tenant's clients, and the position of its last one if there are more.

    search: a part of the name. after: the last one's name key or time, and its id.
    """
    key, client_id = after or (None, None)
    statement = LISTINGS[sort, descending]
    rows = await tx.fetch(statement, tx.tenant_id, tx.now, fold(search.strip()), key, client_id, limit + 1)
    page = rows[:limit]
    return [_line(row) for row in page], _position(page[-1], sort) if len(rows) > limit else None


async def credentials_of(tx: TenantTx, client_id: ClientId) -> list[Credential]:
    """The keys and secrets of a client, revoked and expired ones too, newest first."""
    rows = await tx.fetch(
        """SELECT credential_id, name, prefix, scopes, source_id, created_at, expires_at, last_used_at, revoked_at,
             kind, client_id
           FROM credential WHERE tenant_id = $1 AND client_id = $2 ORDER BY created_at DESC, credential_id DESC""",
        *(tx.tenant_id, client_id),
    )
    return [credential_of_row(row) for row in rows]


def _position(row: Row, sort: Sort) -> Position:
    key = row["name_key"] if sort == "name" else mark_of(row["created_at"])
    return key, str(row["client_id"])


def _line(row: Row) -> ClientLine:
    return ClientLine(_client(row), row["api_keys"], row["secrets"], row["expires_at"])


def _client(row: Row) -> Client:
    keys: Sequence[Mapping[str, str]] = () if row["jwks"] is None else row["jwks"]["keys"]
    return Client(
        client_id=row["client_id"],
        name=row["name"],
        scopes=frozenset(row["scopes"]),
        source_id=row["source_id"],
        allowed_addresses=tuple(row["allowed_addresses"]),
        version=row["version"],
        keys=tuple(keys),
        per_minute=row["per_minute"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        used_at=row["used_at"],
        disabled_at=row["disabled_at"],
    )
