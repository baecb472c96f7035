"""What every process of Stoa is made of: settings in, rooms wired together out. The composition roots share it; nothing
below knows it.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import stoa
from stoa.access.actions import EXPIRY_JOB
from stoa.access.model import Credential
from stoa.access.platform_log import check_platform_daily
from stoa.access.queries import credential
from stoa.alerts.actions import OWN_JOBS, raise_alert
from stoa.alerts.chain import chain_job
from stoa.alerts.expiry import Expiring, expiry_job
from stoa.alerts.jobs import alert_jobs, watch_dead_job
from stoa.analytics.webhooks.dispatcher import SLOTS, SLOTS_EACH
from stoa.analytics.webhooks.jobs import webhook_jobs
from stoa.analytics.webhooks.line import Desk
from stoa.analytics.webhooks.sending import Way
from stoa.analytics.webhooks.slots import Slots
from stoa.api.background import forgetting_jobs, note_dead
from stoa.api.idempotency import answer_jobs
from stoa.changes.rendering import render_changes
from stoa.db.database import Database, open_database
from stoa.db.keyring import KeyRing
from stoa.db.roles import dsn_for
from stoa.db.transactions import TenantTx
from stoa.identity.scim.log.keeping import log_jobs
from stoa.jobs.model import DeadJob
from stoa.jobs.run import Handler
from stoa.kernel.ids import CredentialId, parse_id
from stoa.kernel.problems import Misconfigured
from stoa.kernel.references import Reference
from stoa.outbound.http import HttpClient
from stoa.outbound.mail import FileMailbox, MailSender, SmtpSender, SmtpServer
from stoa.people.counting import recount_all
from stoa.people.duplicates import SEARCH_JOB, search_duplicates
from stoa.people.groups_target import Groups
from stoa.people.importing import importing_jobs
from stoa.people.keys import KEYS_JOB, fill_keys
from stoa.people.ranking import recomputing_jobs
from stoa.people.target import People
from stoa.settings import Settings
from stoa.sync.connectors import discover
from stoa.sync.jobs import SourceWorker
from stoa.sync.opening import Opener
from stoa.sync.planning import Planner
from stoa.tenants.actions import CHAIN_JOB
from stoa.tenants.clock import clock_offset_reader
from stoa.tenants.model import Source
from stoa.tenants.queries import source as source_of
from stoa.tenants.sealing import Sealer
from stoa.tenants.status import RECOUNT_JOB

VERSION = version("stoa")
# Connectors are found by scanning these packages, and by the entry point group `stoa.connectors`.
CONNECTOR_PACKAGES = ("stoa.hris",)


@cache
def references() -> tuple[Reference, ...]:
    """Where people are referred to, as every room's `refs.py` declares it."""
    rooms = sorted(found.name for found in iter_modules(stoa.__path__, "stoa.") if found.ispkg)
    modules = (f"{room}.refs" for room in rooms if find_spec(f"{room}.refs") is not None)
    declared: list[Reference] = []
    for module in modules:
        declared += import_module(module).REFERENCES
    return tuple(declared)


@dataclass(frozen=True, slots=True)
class Store:
    """Where the data is: a URL that names host and database alone, and the key ring that belongs to it."""

    url: str
    key_ring: Path

    def connect_args(self, role: str) -> dict[str, Any]:
        """asyncpg's arguments for a role by its full name."""
        return dict(dsn_for(self.url, role, KeyRing.load(self.key_ring)))


@dataclass(frozen=True, slots=True)
class Platform:
    """The parts that commands and jobs use."""

    settings: Settings
    store: Store
    database: Database
    sealer: Sealer
    client: HttpClient
    opener: Opener
    source_worker: SourceWorker

    def handlers(self) -> Mapping[str, Handler]:
        """Every kind of job that a worker does."""
        sink = FileMailbox(self.settings.mailbox_path, sender=self.settings.mail_sender)
        return {
            **self.source_worker.handlers(),
            **alert_jobs(_sender(self.settings, sink), sink, base_url=_console_url(self.settings)),
            EXPIRY_JOB: expiry_job(expiring_credential),
            CHAIN_JOB: chain_job(check_platform_daily),
            RECOUNT_JOB: recount_all,
            KEYS_JOB: fill_keys,
            SEARCH_JOB: search_duplicates,
            **importing_jobs(),
            **recomputing_jobs(),
            **forgetting_jobs(),
            **answer_jobs(),
            **webhook_jobs(),
            **log_jobs(),
        }

    def webhook_desk(self) -> Desk:
        """What the dispatcher of webhooks works with."""
        way = Way(self.client, self.settings.outbound_allow)
        slots, base_url = Slots(SLOTS, SLOTS_EACH), base_url_of(self.settings)
        return Desk(self.database, self.sealer, way, slots, base_url, render_changes)


@asynccontextmanager
async def platform(settings: Settings, store: Store) -> AsyncGenerator[Platform]:
    """The rooms, wired, for as long as the block lasts."""
    ring = KeyRing.load(store.key_ring)
    database = await open_database(lambda role: dict(dsn_for(store.url, role, ring)))
    try:
        database.use_clock_offset(clock_offset_reader(database))
        sealer = Sealer(ring.sealing_keys)
        async with HttpClient(user_agent=f"Stoa/{VERSION}") as client:
            opener = Opener(discover(CONNECTOR_PACKAGES), sealer, client, settings.outbound_allow)
            worker = SourceWorker(Planner(People(), opener, ring.hash_key, (Groups(),)))
            yield Platform(settings, store, database, sealer, client, opener, worker)
    finally:
        await database.close()


async def tell_of_dead_job(tx: TenantTx, dead: DeadJob) -> None:
    """Raises an alert about a job that is not tried any more; not about mail and the like, which would only ask for
    more of it. It is resolved once the job was done after all.
    """
    await note_dead(tx, dead)
    if dead.kind in OWN_JOBS:
        return
    alert = await raise_alert(
        tx, "job_dead", f"{dead.kind}:{dead.key}", "critical", f"The job {dead.kind} gave up",
        f"It failed {dead.attempts} times; the last error was: {dead.error}",
        "Mend the cause, then start what it did once more; for a sync: `stoa sync run`.",
    )  # fmt: skip
    await watch_dead_job(tx, alert.alert_id, dead.kind, dead.key)


async def expiring_credential(tx: TenantTx, key: str) -> Expiring | None:
    """A token, or what an API client shows, as `alerts.expiry` looks at it."""
    credential_id = parse_id(key)
    found = None if credential_id is None else await credential(tx, CredentialId(credential_id))
    if found is None:
        return None
    if found.client_id is not None:
        return _expiring_of_client(found)
    scopes = ", ".join(sorted(found.scopes))
    source = None if found.source_id is None else await source_of(tx, found.source_id)
    if source is not None and source.kind == "idp":
        return _expiring_of_provider(found, source, scopes)
    return Expiring(
        name=f"the token “{found.name}”",
        what_ends=f"Requests with it (it begins with {found.prefix}; scope: {scopes}) are refused.",
        remedy=(
            "The operator of the server makes a new token (`stoa token create`); the admin of the other system puts it "
            "in place of the old one; then the old one is revoked (`stoa token revoke`), which resolves this alert."
        ),
        created_at=found.created_at,
        expires_at=found.expires_at,
        ended=found.revoked_at is not None,
    )


def _expiring_of_provider(found: Credential, source: Source, scopes: str) -> Expiring:
    return Expiring(
        name=f"the token “{found.name}” of the identity provider {source.name}",
        what_ends=(
            f"Requests with it (it begins with {found.prefix}; scope: {scopes}) are refused, so nobody whom "
            f"{source.name} adds, changes or takes away arrives."
        ),
        remedy=(
            "An administrator of the tenant issues a second token on the provider's page under “Connections”; the "
            "admin of the identity provider puts it in place of the old one; then the old one is revoked on the same "
            "page, which resolves this alert."
        ),
        created_at=found.created_at,
        expires_at=found.expires_at,
        ended=found.revoked_at is not None,
    )


def _expiring_of_client(found: Credential) -> Expiring:
    if found.kind == "api_key":
        name = f"the API key “{found.name}”"
        what_ends = f"Requests with it (it begins with {found.prefix}) are refused."
    else:
        name = f"the client secret “{found.name}”"
        what_ends = f"No access token is given for it any more (it begins with {found.prefix})."
    return Expiring(
        name=name,
        what_ends=what_ends,
        remedy=(
            "An administrator of the tenant makes a second one on the client's page under “API clients”; it takes the "
            "place of the old one in the integration; then the old one is revoked there, which resolves this alert."
        ),
        created_at=found.created_at,
        expires_at=found.expires_at,
        ended=found.revoked_at is not None,
    )


def base_url_of(settings: Settings) -> str:
    """Scheme, host and port under which clients reach this server, without a slash at its end."""
    return (settings.base_url or f"http://{settings.host}:{settings.port}").rstrip("/")


def _console_url(settings: Settings) -> str | None:
    if settings.base_url is not None:
        return settings.base_url.rstrip("/")
    return f"http://{settings.host}:{settings.port}" if settings.port else None


def _sender(settings: Settings, mailbox: FileMailbox) -> MailSender:
    if settings.smtp_url is None:
        return mailbox
    url = urlsplit(settings.smtp_url.get_secret_value())
    security: Mapping[str, Literal["tls", "starttls", "none"]] = {
        "smtps": "tls",
        "smtp": "starttls",
        "smtp+plain": "none",
    }
    if url.scheme not in security or not url.hostname:
        raise Misconfigured(
            "STOA_SMTP_URL is not of the form smtp://user:password@host:587.", hint="Schemes: smtp, smtps, smtp+plain."
        )
    port = url.port or (465 if url.scheme == "smtps" else 587)
    user, password = (unquote(part) if part else None for part in (url.username, url.password))
    return SmtpSender(SmtpServer(url.hostname, settings.mail_sender, port, security[url.scheme], user, password))
