"""Alerts about SCIM: tokens that are no longer good, users that are refused, and requests that fail on our side.

A client that goes wrong asks again and again, so each process counts, and tells at most once a minute of each cause, in
a transaction of its own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Any, Final

import structlog

from stoa.access.model import Credential
from stoa.access.queries import credential_of_token
from stoa.alerts.actions import raise_alert
from stoa.alerts.model import Severity
from stoa.db.database import Database
from stoa.db.errors import TROUBLE
from stoa.db.transactions import Origin, TenantTx
from stoa.kernel.ids import SourceId, TenantId
from stoa.people.model import Refused
from stoa.tenants import queries as tenants

TOKEN_ALERT: Final = "scim_token_refused"  # noqa: S105 - the name of a cause
REFUSED_ALERT: Final = "scim_refused"
FAILED_ALERT: Final = "scim_failed"
QUIET_AFTER: Final = timedelta(hours=24)
TOLD_EVERY_SECONDS: Final = 60.0
_MOST_CAUSES: Final = 10_000
_log: Final[Any] = structlog.get_logger("stoa.scim")


@dataclass(frozen=True, slots=True)
class _Words:
    severity: Severity
    title: str
    detail: str
    hint: str


_Say = Callable[[TenantTx], Awaitable[_Words]]


@dataclass(slots=True)
class _Count:
    """How often a cause was seen since it was told of last, and when that was on the process's clock."""

    times: int = 0
    told_at: float = -float("inf")


@dataclass(slots=True)
class Failures:
    """What goes wrong in one process."""

    database: Database
    clock: Callable[[], float] = monotonic
    _counts: dict[tuple[TenantId, str, str], _Count] = field(
        default_factory=dict[tuple[TenantId, str, str], _Count], repr=False
    )

    async def token_refused(self, tenant_id: TenantId, token: str, trace_id: str | None) -> Credential | None:
        """A token did not open its own tenant. Nothing is told of a token that the tenant never had; else it is
        given."""
        try:
            async with self.database.tenant(tenant_id, read_only=True) as tx:
                credential = await credential_of_token(tx, token)
        except TROUBLE as error:
            _not_told(TOKEN_ALERT, trace_id, error)
            return None
        if credential is not None:

            async def words(tx: TenantTx) -> _Words:
                return _of_token(
                    credential, expired=credential.revoked_at is None, slug=(await tenants.tenant(tx)).slug
                )

            await self._tell(tenant_id, TOKEN_ALERT, str(credential.credential_id), trace_id, words)
        return credential

    async def user_refused(
        self, tenant_id: TenantId, source_id: SourceId, refused: Refused, trace_id: str | None
    ) -> None:
        """A user of a source was answered 409."""

        async def words(tx: TenantTx) -> _Words:
            source = await tenants.source(tx, source_id)
            return _of_refusal("a SCIM client" if source is None else source.name, refused)

        await self._tell(tenant_id, REFUSED_ALERT, str(source_id), trace_id, words)

    async def request_failed(self, tenant_id: TenantId, error: Exception, trace_id: str | None) -> None:
        """A request of a known sender was answered 500."""

        async def words(_: TenantTx) -> _Words:
            return _of_failure(type(error).__name__, trace_id)

        await self._tell(tenant_id, FAILED_ALERT, type(error).__name__, trace_id, words)

    async def _tell(self, tenant_id: TenantId, kind: str, key: str, trace_id: str | None, words: _Say) -> None:
        if len(self._counts) >= _MOST_CAUSES:
            self._counts.clear()
        count = self._counts.setdefault((tenant_id, kind, key), _Count())
        count.times += 1
        if self.clock() < count.told_at + TOLD_EVERY_SECONDS:
            return
        # Before anything is awaited: of requests at the same time, one tells.
        count.told_at, times, count.times = self.clock(), count.times, 0
        origin = Origin(actor="system", via="scim", request_id=trace_id)
        try:
            async with self.database.tenant(tenant_id, origin) as tx:
                said = await words(tx)
                await raise_alert(
                    tx, kind, key, said.severity, said.title, said.detail, said.hint,
                    times=times, quiet_after=QUIET_AFTER,
                )  # fmt: skip
        except TROUBLE as error:
            # The answer to the request matters more. What was counted is told with the next.
            count.times += times
            _not_told(kind, trace_id, error)


def _not_told(kind: str, trace_id: str | None, error: Exception) -> None:
    _log.warning("scim_alert_not_raised", alert=kind, trace_id=trace_id, error=type(error).__name__)


def _of_token(credential: Credential, *, expired: bool, slug: str) -> _Words:
    ended = "has expired" if expired else "was revoked"
    return _Words(
        "warning",
        f"Requests come with the token “{credential.name}”, which {ended}",
        f"A SCIM client still sends the token that begins with {credential.prefix}. It {ended}, so the requests are "
        "refused, and nobody is provisioned by them.",
        "An administrator of the tenant issues a new token on the provider's page, or the operator of the server does "
        f"(`stoa token create {slug} --scope scim`); the admin of the identity provider puts it into the connection. "
        "If nobody should send this token any more, the provider's page, under “Requests”, shows from which address it "
        "comes. It is resolved after 24 hours without such a request.",
    )


def _of_refusal(source: str, refused: Refused) -> _Words:
    return _Words(
        "warning",
        f"Users from {source} are refused",
        f"The last one: {refused.detail} (rule {refused.rule}). These users are not provisioned, or keep their old "
        "values, until somebody acts.",
        "The provider's page shows each of them under “Requests”, with the reason. The admin of the identity provider "
        "corrects their user name, external id or employee number, or removes the duplicate; then they are sent again, "
        "or an administrator of the tenant does the request once more there. It is resolved after 24 hours without a "
        "refusal.",
    )


def _of_failure(name: str, trace_id: str | None) -> _Words:
    return _Words(
        "critical",
        "SCIM requests fail on the server",
        f"A request was answered 500 for a reason that nobody foresaw ({name}). The last one has the trace id "
        f"{trace_id}. Identity providers try such requests again, some of them for days only.",
        "The operator of the server finds the reason in the web process's log under the trace id, and reports it; the "
        "provider's page shows the requests under “Requests”, marked as failed. It is resolved after 24 hours without "
        "such a failure.",
    )
