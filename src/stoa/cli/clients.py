"""API clients of a tenant: their keys, secrets and public keys."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

from cyclopts import App, Parameter

from stoa.access import client_credentials, clients
from stoa.access.client_credentials import Shown
from stoa.access.clients_model import Client, ClientLine, NoClient
from stoa.access.clients_queries import clients as clients_of
from stoa.access.clients_queries import credentials_of
from stoa.access.clients_rules import Terms
from stoa.access.queries import credential
from stoa.cli.common import OPERATOR, Options, session, show, show_list
from stoa.db.transactions import TenantTx
from stoa.kernel.fold import fold
from stoa.kernel.ids import CredentialId
from stoa.kernel.problems import BadInput

client_app = App(name="client", help="Make API clients, and issue and revoke what they show.")
_LARGEST_FILE: Final = 64 * 1024


@client_app.command(name="create")
async def create_client(
    slug: str,
    *,
    name: str,
    scope: str,
    allow: Annotated[tuple[str, ...], Parameter(name="--allow")] = (),
    per_minute: int | None = None,
    api_version: str | None = None,
    options: Options = Options(),
) -> None:
    """Make an API client. Nothing opens it yet: issue a key or a secret next.

    Args:
        slug: The tenant.
        name: What it is called; facts about people arrive in this name.
        scope: What it may do, such as people:read,people:write. Several with commas between.
        allow: An address or network that it may call from; may be repeated. Anywhere when left out.
        per_minute: Requests a minute that it may make.
        api_version: The version of the API that it is written for, such as 2026-11-23.
    """
    scopes = [part.strip() for part in scope.split(",") if part.strip()]
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        made = await clients.create_client(tx, Terms(name, scopes, allow, api_version, per_minute))
    show(
        options,
        {
            "id": made.client_id,
            "name": made.name,
            "scopes": ",".join(sorted(made.scopes)),
            "source_id": made.source_id,
            "token_url": f"{s.base_url}/oauth/token",
        },
    )


@client_app.command(name="list")
async def list_clients(slug: str, *, options: Options = Options()) -> None:
    """List a tenant's API clients.

    Args:
        slug: The tenant.
    """
    async with (
        session(options) as s,
        s.platform.database.tenant(await s.tenant_id(slug), OPERATOR, read_only=True) as tx,
    ):
        found, _ = await clients_of(tx, limit=clients.MOST_CLIENTS)
    show_list(
        options,
        ("id", "name", "scopes", "keys", "secrets", "state", "last_used_at", "expires_at"),
        [_row(line) for line in found],
        f"No API client yet: stoa client create {slug} --name Portal --scope people:read",
    )


def _row(line: ClientLine) -> dict[str, object]:
    return {
        "id": line.client.client_id,
        "name": line.client.name,
        "scopes": ",".join(sorted(line.client.scopes)),
        "keys": line.api_keys,
        "secrets": line.secrets,
        "state": "disabled" if line.client.disabled_at else "enabled",
        "last_used_at": line.client.used_at,
        "expires_at": line.expires_at,
    }


@client_app.command(name="key")
async def issue_key(
    slug: str, client: str, *, name: str = "", days: int | None = None, options: Options = Options()
) -> None:
    """Issue an API key. It is printed once and stored as a digest alone.

    Args:
        slug: The tenant.
        client: The API client: its id or name.
        name: What the key is for.
        days: After how many days it expires. Never when left out.
    """
    await _issue(slug, client, "api_key", name, days, options)


@client_app.command(name="secret")
async def issue_secret(
    slug: str, client: str, *, name: str = "", days: int | None = None, options: Options = Options()
) -> None:
    """Issue a client secret for /oauth/token. It is printed once and stored as a digest alone.

    Args:
        slug: The tenant.
        client: The API client: its id or name.
        name: What the secret is for.
        days: After how many days it expires. Never when left out.
    """
    await _issue(slug, client, "client_secret", name, days, options)


async def _issue(slug: str, given: str, kind: Shown, name: str, days: int | None, options: Options) -> None:
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        client = await _find(tx, given)
        issued = await client_credentials.issue(tx, client.client_id, kind, name, days=days)
        made = await credential(tx, issued.credential_id)
    expires_at: datetime | None = None if made is None else made.expires_at
    shown = {"api_key": "key", "client_secret": "secret"}[kind]
    show(
        options,
        {
            "client_id": client.client_id,
            shown: issued.token,
            "id": issued.credential_id,
            "expires_at": expires_at,
            "base_url": s.base_url,
        },
    )


@client_app.command(name="jwks")
async def register_keys(slug: str, client: str, file: Path | None = None, *, options: Options = Options()) -> None:
    """Register the public keys by which a client signs for itself, in place of those that it had.

    Args:
        slug: The tenant.
        client: The API client: its id or name.
        file: A file with a JWK set. Left out, the client's keys are taken away.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        found = await _find(tx, client)
        changed = await clients.set_keys(tx, found.client_id, "" if file is None else _read(file))
    show(options, {"client_id": changed.client_id, "keys": ",".join(key["kid"] for key in changed.keys)})


def _read(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            return opened.read(_LARGEST_FILE).decode("utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not text.") from error


@client_app.command(name="revoke")
async def revoke(slug: str, client: str, credential_id: UUID, *, options: Options = Options()) -> None:
    """Revoke a key or a secret at once, with the access tokens that it gave.

    Args:
        slug: The tenant.
        client: The API client: its id or name.
        credential_id: The id of the key or secret, as it was printed when it was issued; `stoa client show` lists them.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        found = await _find(tx, client)
        await client_credentials.revoke_of(tx, found.client_id, CredentialId(credential_id))
    show(options, {"revoked": credential_id})


@client_app.command(name="show")
async def show_credentials(slug: str, client: str, *, options: Options = Options()) -> None:
    """List the keys and secrets of an API client, without what they are.

    Args:
        slug: The tenant.
        client: The API client: its id or name.
    """
    async with (
        session(options) as s,
        s.platform.database.tenant(await s.tenant_id(slug), OPERATOR, read_only=True) as tx,
    ):
        found = await _find(tx, client)
        rows = [
            {
                "id": one.credential_id,
                "kind": one.kind,
                "name": one.name,
                "prefix": one.prefix,
                "created_at": one.created_at,
                "last_used_at": one.last_used_at,
                "expires_at": one.expires_at,
                "revoked_at": one.revoked_at,
            }
            for one in await credentials_of(tx, found.client_id)
        ]
    columns = ("id", "kind", "name", "prefix", "created_at", "last_used_at", "expires_at", "revoked_at")
    show_list(options, columns, rows, f"Nothing yet: stoa client key {slug} {found.client_id}")


@client_app.command(name="disable")
async def disable(slug: str, client: str, *, options: Options = Options()) -> None:
    """Shut an API client out at once. Its access tokens end.

    Args:
        slug: The tenant.
        client: The API client: its id or name.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        found = await clients.disable_client(tx, (await _find(tx, client)).client_id)
    show(options, {"disabled": found.client_id})


@client_app.command(name="enable")
async def enable(slug: str, client: str, *, options: Options = Options()) -> None:
    """Let a disabled API client in again.

    Args:
        slug: The tenant.
        client: The API client: its id or name.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        found = await clients.enable_client(tx, (await _find(tx, client)).client_id)
    show(options, {"enabled": found.client_id})


@client_app.command(name="delete")
async def delete(slug: str, client: str, *, options: Options = Options()) -> None:
    """End an API client for good, with its keys and secrets. What it said of people stays.

    Args:
        slug: The tenant.
        client: The API client: its id or name.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        found = await _find(tx, client)
        await clients.delete_client(tx, found.client_id)
    show(options, {"deleted": found.client_id})


async def _find(tx: TenantTx, given: str) -> Client:
    """A client by its id, or by its name without regard to case. Raises NoClient."""
    found, _ = await clients_of(tx, limit=clients.MOST_CLIENTS)
    for line in found:
        if given == str(line.client.client_id) or fold(given.strip()) == fold(line.client.name):
            return line.client
    known = ", ".join(f"{line.client.name} ({line.client.client_id})" for line in found[:10]) or "none"
    raise NoClient(f"There is no API client {given[:80]!r}.", hint=f"API clients of this tenant: {known}.")
