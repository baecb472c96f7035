"""The web process: every route of every room in one ASGI application."""

from asyncio import Event
from collections.abc import AsyncGenerator
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from stoa.access.budgets import Budgets
from stoa.analytics.stream import routes as event_routes
from stoa.analytics.stream.pages import event_pages
from stoa.analytics.webhooks import routes as webhook_routes
from stoa.analytics.webhooks.pages import webhook_pages
from stoa.api import alerts as alert_routes
from stoa.api import clients as client_routes
from stoa.api import jobs as job_routes
from stoa.api import tenants as tenant_routes
from stoa.api import trail as audit_routes
from stoa.api.answers import problem_answer, trace_of
from stoa.api.clients_address import as_sent
from stoa.api.discovery import discovery_routes
from stoa.api.health import health_routes
from stoa.api.oauth import oauth_routes
from stoa.api.openapi import document
from stoa.api.operations import Operation
from stoa.api.problems import problem_kinds
from stoa.api.serving import Service, with_api
from stoa.api.trace import traced
from stoa.api.versions import CHANGES
from stoa.changes import routes as run_routes
from stoa.changes import routes_undo as undo_routes
from stoa.changes.pages import run_pages
from stoa.changes.rendering import render_changes
from stoa.composition import VERSION, Platform, Store, base_url_of, platform, references
from stoa.console.pages import console_pages
from stoa.identity.scim.conformance.pages import conformance_pages
from stoa.identity.scim.log.pages import log_pages
from stoa.identity.scim.log.pages_request import request_pages
from stoa.identity.scim.log.pages_why import why_pages
from stoa.identity.scim.log.store import Vault
from stoa.identity.scim.log.writer import RequestLog, request_log, vault_of
from stoa.identity.scim.own import routes as schema_routes
from stoa.identity.scim.own.pages import schema_pages
from stoa.identity.scim.pages import scim_pages
from stoa.identity.scim.routes import scim_routes, with_scim
from stoa.logs import set_up_logging
from stoa.people import routes as people_routes
from stoa.people import routes_authority as authority_routes
from stoa.people import routes_bulk as people_bulk
from stoa.people import routes_decisions as decision_routes
from stoa.people import routes_duplicates as duplicate_routes
from stoa.people import routes_groups as group_routes
from stoa.people import routes_merges as merge_routes
from stoa.people import routes_records as people_records
from stoa.people import routes_roles as role_routes
from stoa.people import routes_write as people_changes
from stoa.people.pages import people_pages
from stoa.people.pages_duplicates import duplicate_pages
from stoa.people.pages_merging import merging_pages
from stoa.people.queries import person_names
from stoa.settings import Settings, read_settings
from stoa.sync import routes as connection_routes
from stoa.sync.pages import connection_pages, quarantine_pages
from stoa.sync.target import SyncTarget
from stoa.tenants.sealing import Sealer
from stoa.web.access import access_pages
from stoa.web.alerts import alert_pages
from stoa.web.api_clients import api_client_pages
from stoa.web.assets import load_assets
from stoa.web.compression import compressed
from stoa.web.errors import error_handlers
from stoa.web.landing import web_routes
from stoa.web.mailbox import mailbox_pages
from stoa.web.reference import Reference, reference_pages
from stoa.web.security import security_headers
from stoa.web.styleguide import styleguide_pages
from stoa.web.templates import make_pages
from stoa.web.tenants import tenant_settings_pages
from stoa.web.visiting import Shell

_log = structlog.get_logger()


class Application:
    """Opens the platform when the server starts it, and closes it when the server stops."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._stopping = Event()
        self._serve: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await Starlette(lifespan=self._lifespan)(scope, receive, send)
            return
        assert self._serve is not None, "the server did not start the application"
        await self._serve(scope, receive, send)

    def stop(self) -> None:
        """Ends what would keep its connection open: the server calls it before it waits for the answers under way."""
        self._stopping.set()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        async with platform(self._settings, self._store) as parts, request_log(parts.database, _vault(parts)) as log:
            self._serve = serve(parts, self._stopping, log)
            _log.info("started", version=VERSION)
            yield
        _log.info("stopped")


def _vault(parts: Platform) -> Vault:
    return vault_of(parts.sealer, parts.source_worker.planner.hash_key)


def serve(parts: Platform, stopping: Event | None = None, log: RequestLog | None = None) -> ASGIApp:
    """The application over an open platform.

    stopping: set when the server stops, so that streams end. log: where SCIM requests are written down.
    """
    settings = parts.settings
    pages = make_pages(load_assets(), development=settings.development)
    shell = Shell(pages, parts.database, development=settings.development, stopping=stopping or Event())
    token = settings.metrics_token
    base_url = base_url_of(settings)
    operations = api_operations(parts.source_worker.planner.target, parts.sealer, settings.outbound_allow)
    budgets = Budgets(parts.database)
    service = Service(parts.database, budgets, base_url, shell.stopping, parts.sealer)
    scim = scim_routes(parts.database, base_url=base_url, log=log)
    routes: list[BaseRoute] = [
        *health_routes(parts.database, version=VERSION, metrics_token=token.get_secret_value() if token else None),
        *scim,
        *oauth_routes(parts.database, base_url, budgets),
        *discovery_routes(operations, base_url=base_url),
        *web_routes(pages, version=VERSION),
        *docs_routes(shell, operations, base_url),
        *console_routes(shell, parts),
    ]
    app = Starlette(routes=routes, exception_handlers=error_handlers(pages, problem_answer, trace_of=trace_of))
    served = traced(security_headers(compressed(with_scim(with_api(app, service, operations), scim))))
    return as_sent(served, base_url=settings.base_url, trusted=settings.trusted_proxies)


def api_operations(target: SyncTarget, sealer: Sealer, allow: AbstractSet[str]) -> tuple[Operation, ...]:
    """The operations of the public API, of every room.

    target: what syncs change. sealer: of what is stored and secret. allow: exact `host:port` pairs that development
    exempts from the checks of addresses.
    """
    return (
        *tenant_routes.operations(),
        *alert_routes.operations(),
        *client_routes.operations(),
        *audit_routes.operations(),
        *run_routes.operations(),
        *undo_routes.operations(),
        *connection_routes.operations(target),
        *schema_routes.operations(),
        *people_routes.operations(),
        *webhook_routes.operations(sealer, allow),
        *people_changes.operations(),
        *event_routes.operations(),
        *people_records.operations(),
        *people_bulk.operations(),
        *decision_routes.operations(),
        *authority_routes.operations(),
        *group_routes.operations(),
        *role_routes.operations(),
        *duplicate_routes.operations(),
        *merge_routes.operations(references()),
        *job_routes.operations(),
    )


def docs_routes(shell: Shell, operations: tuple[Operation, ...], base_url: str) -> list[Route]:
    """The pages about the public API."""
    return reference_pages(shell, Reference(lambda: document(operations, base_url=base_url), problem_kinds, CHANGES))


def console_routes(shell: Shell, parts: Platform) -> list[Route]:
    """The pages of every room."""
    settings, vault = parts.settings, _vault(parts)
    return [
        *access_pages(shell),
        *styleguide_pages(shell),
        *mailbox_pages(shell, settings.mailbox_path, sends=settings.smtp_url is not None),
        *console_pages(shell),
        *tenant_settings_pages(shell),
        *alert_pages(shell),
        *connection_pages(shell, parts.opener, parts.source_worker.planner.target),
        *scim_pages(shell, base_url_of(settings)),
        *schema_pages(shell),
        *log_pages(shell, vault),
        *request_pages(shell, vault, base_url_of(settings)),
        *why_pages(shell, vault),
        *conformance_pages(shell, base_url_of(settings)),
        *api_client_pages(shell, base_url=base_url_of(settings), versions=tuple(CHANGES)),
        *quarantine_pages(shell),
        *run_pages(shell, subjects=person_names),
        *duplicate_pages(shell),
        *merging_pages(shell, references()),
        *people_pages(shell),
        *webhook_pages(shell, parts.sealer, settings.outbound_allow, base_url_of(settings), render_changes),
        *event_pages(shell, base_url_of(settings), person_names),
    ]


def create_app(settings: Settings | None = None) -> Application:
    """The application of one web process. settings: by default those of the environment."""
    settings = settings or read_settings()
    set_up_logging(settings, "web")
    assert settings.database_url is not None, "STOA_DATABASE_URL is set by whoever starts the web process"
    return Application(settings, Store(settings.database_url, settings.key_ring_path))
