"""Tenants, their tokens and their connections."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

from cyclopts import App, Parameter

from stoa.access.actions import issue_token, revoke
from stoa.access.clients_rules import WRITES_PEOPLE, checked_days
from stoa.access.queries import credentials
from stoa.access.scopes import SCOPES, granted
from stoa.cli.common import OPERATOR, Options, session, show, show_list
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import CredentialId
from stoa.kernel.problems import BadInput, NotFound
from stoa.people.sample import seed
from stoa.sync.actions import connect, schedule
from stoa.sync.actions import resume as resume_syncs
from stoa.tenants import actions, queries
from stoa.tenants.model import Connection, NewTenant

tenant_app = App(name="tenant", help="Make and list tenants.")
token_app = App(name="token", help="Issue and revoke the tokens of a tenant's clients.")
_SCIM: Final = "scim"
# What a token may do: each is asked for by the routes of a room.
_SCOPES: Final = frozenset({_SCIM, *SCOPES})
connection_app = App(name="connection", help="Connect a tenant to its HR system and other sources.")


def scim_base_url(base_url: str, slug: str) -> str:
    """Where a tenant's identity provider sends SCIM requests."""
    return f"{base_url}/t/{slug}/scim/v2"


# ------------------------------------------------------------------ tenant


@tenant_app.command(name="create")
async def create_tenant(
    slug: str,
    *,
    name: str,
    time_zone: str = "UTC",
    domain: tuple[str, ...] = (),
    owner_email: str | None = None,
    sandbox: bool = False,
    options: Options = Options(),
) -> None:
    """Make a tenant.

    Args:
        slug: Its name in addresses: lower-case letters, digits and hyphens.
        name: Its name for people.
        time_zone: IANA time zone of its effective dates and schedules.
        domain: A mail domain that is proven to be the tenant's own; may be repeated.
        owner_email: Who gets its alerts.
        sandbox: A tenant to try things in: its clock can be moved, its mail stays here.
    """
    async with session(options) as s:
        new = NewTenant(slug, name, time_zone, sandbox, owner_email=owner_email, domains=domain)
        made = await actions.create_tenant(s.platform.database, new, OPERATOR)
        show(
            options,
            {
                "id": made.tenant_id,
                "slug": made.slug,
                "base_url": f"{s.base_url}/t/{made.slug}",
                "scim_base_url": scim_base_url(s.base_url, made.slug),
            },
        )


@tenant_app.command(name="list")
async def list_tenants(*, options: Options = Options()) -> None:
    """List every tenant."""
    async with session(options) as s:
        async with s.platform.database.platform() as tx:
            found = await queries.list_tenants(tx)
        rows = [
            {"slug": t.slug, "name": t.name, "id": t.tenant_id, "sandbox": t.sandbox, "created_at": t.created_at}
            for t in found
        ]
        show_list(
            options,
            ("slug", "name", "id", "sandbox"),
            rows,
            "There is no tenant yet. Make one: stoa tenant create acme --name Acme",
        )


@tenant_app.command(name="prove-domain")
async def prove_domain(slug: str, domain: str, *, options: Options = Options()) -> None:
    """Note that a mail domain is the tenant's own, so that its addresses may identify people.

    Args:
        slug: The tenant.
        domain: The domain, such as acme.example.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        proven = await actions.prove_domain(tx, domain)
    show(options, {"domain": proven})


@tenant_app.command(name="clock")
async def move_clock(slug: str, *, days: float, options: Options = Options()) -> None:
    """Move a sandbox tenant's clock forward by some days.

    Args:
        slug: The tenant.
        days: How many days; a part of one is allowed.
    """
    try:
        delta = timedelta(days=days)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{days} is not a number of days that a clock can be moved by.") from error
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        offset = await actions.move_clock(tx, delta)
    show(options, {"ahead_days": round(offset / timedelta(days=1), 3)})


@tenant_app.command(name="seed")
async def seed_tenant(slug: str, *, people: int = 50, options: Options = Options()) -> None:
    """Fill a sandbox tenant with sample people. Those that are there stay as they are.

    Args:
        slug: The tenant.
        people: How many there are to be, 500 at most; every tenth is not active.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        seeded = await seed(tx, people)
    show(options, {"made": seeded.made, "there_already": seeded.known})


# ------------------------------------------------------------------ token


@token_app.command(name="create")
async def create_token(
    slug: str,
    *,
    scope: str,
    name: str = "",
    source: str | None = None,
    days: int | None = None,
    options: Options = Options(),
) -> None:
    """Issue a token. It is printed once and stored as a digest alone.

    Args:
        slug: The tenant.
        scope: What it may do: scim, or scopes of the API such as api:read,people:write. Several with commas between.
        name: What it is for.
        source: In whose name its word about people arrives: the identity provider for scim (default SCIM), else an API
            source (default API).
        days: After how many days it expires. Never when left out.
    """
    scopes = _scopes(scope)
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        source_id = None
        if _SCIM in scopes:
            source_id = (await actions.ensure_source(tx, "idp", source or "SCIM")).source_id
        elif granted(frozenset(scopes), WRITES_PEOPLE):
            source_id = (await actions.ensure_source(tx, "api", source or "API")).source_id
        expires_at = None if days is None else tx.now + timedelta(days=checked_days(days) or 0)
        issued = await issue_token(tx, scopes, name or f"{scope[:190]} token", source_id, expires_at)
    where = {"scim_base_url": scim_base_url(s.base_url, slug)} if _SCIM in scopes else {"base_url": s.base_url}
    show(options, {"token": issued.token, "id": issued.credential_id, **where})


def _scopes(text: str) -> list[str]:
    """The scopes with commas between them. Raises BadInput."""
    scopes = [part.strip() for part in text.split(",") if part.strip()]
    if not scopes:
        raise BadInput("--scope names nothing.", hint="For an identity provider: --scope scim.")
    if unknown := sorted(set(scopes) - _SCOPES):
        raise BadInput(f"There is no scope {unknown[0][:80]!r}.", hint=f"Scopes: {', '.join(sorted(_SCOPES))}.")
    if _SCIM in scopes and len(set(scopes)) > 1:
        raise BadInput("A token for SCIM opens nothing else.", hint="Make a second token for the API.")
    return scopes


@token_app.command(name="list")
async def list_tokens(slug: str, *, options: Options = Options()) -> None:
    """List a tenant's tokens, without the tokens.

    Args:
        slug: The tenant.
    """
    async with (
        session(options) as s,
        s.platform.database.tenant(await s.tenant_id(slug), OPERATOR, read_only=True) as tx,
    ):
        found = await credentials(tx)
    rows = [
        {
            "id": c.credential_id,
            "name": c.name,
            "prefix": c.prefix,
            "scopes": ",".join(c.scopes),
            "last_used_at": c.last_used_at,
        }
        for c in found
    ]
    show_list(
        options,
        ("id", "name", "prefix", "scopes", "last_used_at"),
        rows,
        f"No token yet: stoa token create {slug} --scope scim",
    )


@token_app.command(name="revoke")
async def revoke_token(slug: str, token_id: UUID, *, options: Options = Options()) -> None:
    """Revoke a token at once.

    Args:
        slug: The tenant.
        token_id: The token's id, as `stoa token list` shows it.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        await revoke(tx, CredentialId(token_id))
    show(options, {"revoked": token_id})


# ------------------------------------------------------------------ connection


@connection_app.command(name="create")
async def create_connection(
    slug: str,
    connector: str,
    *,
    config: Path,
    name: str | None = None,
    options: Options = Options(),
) -> None:
    """Connect a tenant to a source.

    Args:
        slug: The tenant.
        connector: The kind of source: workday.
        config: A JSON file with the connection's settings; secrets in it are sealed. "guards" in it sets thresholds.
        name: Its name for people (default: the connector's).
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        made = await connect(tx, s.platform.opener, connector, name, _read(config))
    show(
        options, {"id": made.connection_id, "name": made.name, "connector": made.connector, "source_id": made.source_id}
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        given = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise BadInput(f"{path} is not JSON: {error}.") from error
    if not isinstance(given, dict):
        raise BadInput(f"{path} must hold a JSON object.")
    return given  # pyright: ignore[reportUnknownVariableType] - JSON


@connection_app.command(name="list")
async def list_connections(slug: str, *, options: Options = Options()) -> None:
    """List a tenant's connections.

    Args:
        slug: The tenant.
    """
    async with (
        session(options) as s,
        s.platform.database.tenant(await s.tenant_id(slug), OPERATOR, read_only=True) as tx,
    ):
        found = await queries.connections(tx)
    rows = [{"id": c.connection_id, "name": c.name, "connector": c.connector, "state": c.state} for c in found]
    show_list(
        options,
        ("id", "name", "connector", "state"),
        rows,
        f"None yet: stoa connection create {slug} workday --config FILE",
    )


@connection_app.command(name="schedule")
async def schedule_connection(
    slug: str,
    connection: str,
    *,
    cron: Annotated[str | None, Parameter(name="--cron")] = None,
    resume: bool = False,
    options: Options = Options(),
) -> None:
    """Run a connection's sync by the clock, in the tenant's time zone.

    Args:
        slug: The tenant.
        connection: Its id or name.
        cron: Five fields, such as "30 2 * * *".
        resume: Go on with a schedule that a rollback paused.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        found = await find_connection(tx, connection)
        if cron is not None:
            await schedule(tx, found, cron)
        if resume and not await resume_syncs(tx, found):
            raise BadInput("The connection has no paused schedule.")
    show(options, {"connection": found.name, "cron": cron, "resumed": resume})


async def find_connection(tx: TenantTx, given: str) -> Connection:
    """A connection by its id, or by its name or connector when only one has it. Raises NotFound or BadInput."""
    found = await queries.connections(tx)
    exact = [c for c in found if str(c.connection_id) == given]
    named = exact or [c for c in found if given.casefold() in {c.name.casefold(), c.connector}]
    if not named:
        known = ", ".join(f"{c.name} ({c.connection_id})" for c in found) or "none"
        raise NotFound(f"There is no connection {given!r}.", hint=f"Connections of this tenant: {known}.")
    if len(named) > 1:
        raise BadInput(
            f"Several connections are called {given!r}.",
            hint=f"Use an id: {', '.join(str(c.connection_id) for c in named)}.",
        )
    return named[0]
