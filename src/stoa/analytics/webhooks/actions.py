"""Making, changing and removing endpoints, and their secrets.

Each change raises the lease's epoch: the worker that serves the endpoint writes nothing more, and whoever serves it
next begins with what holds now.
"""

import base64
import secrets
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Any, Final

from stoa.analytics.webhooks import queries, rules
from stoa.analytics.webhooks.failing import forget, subject_of, tell_recovery
from stoa.analytics.webhooks.jobs import RETENTION_JOB, RETENTION_KEY
from stoa.analytics.webhooks.model import (
    CHANNEL,
    MOST_ENDPOINTS,
    Changed,
    Endpoint,
    Made,
    NothingToDo,
    SecretId,
    Settings,
    TooManyEndpoints,
)
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.events.queries import last_seq
from stoa.jobs.actions import enqueue
from stoa.kernel.ids import EndpointId, new_id
from stoa.kernel.problems import BadInput, NotFound
from stoa.tenants.sealing import Sealer

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32

_INSERT: Final = """
INSERT INTO webhook_endpoint (tenant_id, endpoint_id, url, description, filter, owner_email, api_version, created_at,
  updated_at, cursor)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)"""

_CHANGED: Final = "version = version + 1, updated_at = $3, lease_epoch = lease_epoch + 1, lease_until = NULL"


async def found(tx: TenantTx, endpoint_id: EndpointId) -> Endpoint:
    """The endpoint, locked. Raises NotFound."""
    one = await queries.lock_endpoint(tx, endpoint_id)
    if one is None:
        raise no_endpoint()
    return one


def no_endpoint() -> NotFound:
    """What is told where there is none."""
    return NotFound("There is no such webhook.", hint="The list of webhooks shows those there are.")


async def create_endpoint(
    tx: TenantTx,
    sealer: Sealer,
    settings: Settings,
    *,
    allow: AbstractSet[str] = frozenset(),
    api_version: str | None = None,
) -> Made:
    """Makes an endpoint, which is sent the events that come after it. Its secret is given here and never again.

    allow: exact `host:port` pairs that development exempts from the checks of addresses.

    Raises:
        BadEndpoint, TooManyEndpoints.
    """
    given = rules.checked(settings, allow)
    # One maker at a time in each tenant: the count holds.
    await tx.fetchval("SELECT 1 FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE", tx.tenant_id)
    live = await tx.fetchval(
        "SELECT count(*) FROM webhook_endpoint WHERE tenant_id = $1 AND deleted_at IS NULL", tx.tenant_id
    )
    if live >= MOST_ENDPOINTS:
        raise TooManyEndpoints(f"There are {live} webhooks already.", hint="Delete one that is not used any more.")
    endpoint_id = EndpointId(new_id())
    await tx.execute(
        _INSERT,
        *(tx.tenant_id, endpoint_id, given.url, given.description, given.filter, given.owner_email, api_version),
        *(tx.now, await last_seq(tx)),
    )
    secret = await _add_secret(tx, sealer, endpoint_id)
    emit(tx, Event("webhook_endpoint.created", subject_of(endpoint_id), {"after": _told(given)}))
    await enqueue(tx, RETENTION_JOB, RETENTION_KEY, due_at=tx.now + timedelta(days=1))
    return Made(await found(tx, endpoint_id), secret)


async def change_endpoint(
    tx: TenantTx,
    endpoint_id: EndpointId,
    settings: Settings,
    *,
    allow: AbstractSet[str] = frozenset(),
    version: int | None = None,
) -> Endpoint:
    """Changes what a person decides. An event that waits for its next attempt is tried at once.

    version: the one that was read, if a change since then is to be refused.

    Raises:
        NotFound, BadEndpoint, Changed.
    """
    before = await found(tx, endpoint_id)
    _refuse_other(before, version)
    given = rules.checked(settings, allow)
    if given == before.settings:
        return before
    await tx.execute(
        f"""UPDATE webhook_endpoint SET url = $4, description = $5, filter = $6, owner_email = $7,
        blocked_until = NULL, {_CHANGED} WHERE tenant_id = $1 AND endpoint_id = $2""",  # noqa: S608 - names are code
        *(tx.tenant_id, endpoint_id, tx.now, given.url, given.description, given.filter, given.owner_email),
    )
    told = {"before": _told(before.settings), "after": _told(given)}
    emit(tx, Event("webhook_endpoint.updated", subject_of(endpoint_id), told))
    tx.wake(CHANNEL)
    return await found(tx, endpoint_id)


async def disable_endpoint(tx: TenantTx, endpoint_id: EndpointId) -> Endpoint:
    """Stops sending. Events go on to be kept in the log, and its place in it stays. Raises NotFound, NothingToDo."""
    one = await found(tx, endpoint_id)
    if one.state == "disabled":
        raise NothingToDo("This webhook is disabled already.")
    await tx.execute(
        f"""UPDATE webhook_endpoint SET state = 'disabled', disabled_reason = 'by_hand', disabled_at = $3, {_CHANGED}
        WHERE tenant_id = $1 AND endpoint_id = $2""",  # noqa: S608 - names are code
        *(tx.tenant_id, endpoint_id, tx.now),
    )
    emit(tx, Event("webhook_endpoint.disabled", subject_of(endpoint_id), {"reason": "by_hand"}))
    await tell_recovery(tx, endpoint_id)
    return await found(tx, endpoint_id)


async def enable_endpoint(tx: TenantTx, endpoint_id: EndpointId, *, from_now: bool = False) -> Endpoint:
    """Sends again, from where it stopped.

    from_now: what came meanwhile is not sent.

    Raises:
        NotFound, NothingToDo.
    """
    one = await found(tx, endpoint_id)
    if one.state == "active":
        raise NothingToDo("This webhook is not disabled.")
    if from_now:
        await pass_over(tx, one, await last_seq(tx))
    await tx.execute(
        f"""UPDATE webhook_endpoint SET state = 'active', disabled_reason = NULL, disabled_at = NULL, given_up = 0,
        failing_since = NULL, blocked_until = NULL, {_CHANGED} WHERE tenant_id = $1 AND endpoint_id = $2""",  # noqa: S608 - names are code
        *(tx.tenant_id, endpoint_id, tx.now),
    )
    emit(tx, Event("webhook_endpoint.enabled", subject_of(endpoint_id), {"from_now": from_now}))
    await tell_recovery(tx, endpoint_id)
    tx.wake(CHANNEL)
    return await found(tx, endpoint_id)


async def delete_endpoint(tx: TenantTx, endpoint_id: EndpointId, *, version: int | None = None) -> None:
    """Stops sending for good. Its secrets are destroyed; a tombstone and the log of its deliveries stay, the latter for
    as long as usual.

    Raises:
        NotFound, Changed.
    """
    one = await found(tx, endpoint_id)
    _refuse_other(one, version)
    await tx.execute("DELETE FROM webhook_secret WHERE tenant_id = $1 AND endpoint_id = $2", tx.tenant_id, endpoint_id)
    await tx.execute(
        """UPDATE webhook_delivery SET state = 'skipped', next_at = NULL, ended_at = $3
        WHERE tenant_id = $1 AND endpoint_id = $2 AND state = 'waiting'""",
        *(tx.tenant_id, endpoint_id, tx.now),
    )
    await tx.execute(
        f"""UPDATE webhook_endpoint SET deleted_at = $3, blocked_by = NULL, blocked_until = NULL, wake_at = NULL,
        {_CHANGED} WHERE tenant_id = $1 AND endpoint_id = $2""",  # noqa: S608 - names are code
        *(tx.tenant_id, endpoint_id, tx.now),
    )
    emit(tx, Event("webhook_endpoint.deleted", subject_of(endpoint_id), {"before": _told(one.settings)}))
    await forget(tx, endpoint_id)


async def pass_over(tx: TenantTx, one: Endpoint, seq: int) -> None:
    """Moves the cursor on to `seq` without sending; the delivery that waits is noted as skipped."""
    if one.blocked_by is not None:
        await tx.execute(
            """UPDATE webhook_delivery SET state = 'skipped', next_at = NULL, ended_at = $3
            WHERE tenant_id = $1 AND delivery_id = $2 AND state = 'waiting'""",
            *(tx.tenant_id, one.blocked_by, tx.now),
        )
    await tx.execute(
        f"""UPDATE webhook_endpoint SET cursor = $4, blocked_by = NULL, blocked_until = NULL, {_CHANGED}
        WHERE tenant_id = $1 AND endpoint_id = $2""",  # noqa: S608 - names are code
        *(tx.tenant_id, one.endpoint_id, tx.now, seq),
    )


# ------------------------------------------------------------------ secrets


async def rotate_secret(
    tx: TenantTx, sealer: Sealer, endpoint_id: EndpointId, *, overlap: timedelta = rules.OVERLAP
) -> Made:
    """Gives the endpoint a new secret. For `overlap` messages are signed with the old one too, so that receivers can
    change in their own time. One that was in its overlap already ends now.

    Raises:
        NotFound.
        BadInput: the overlap is longer than seven days.
    """
    if not timedelta(0) <= overlap <= rules.LONGEST_OVERLAP:
        raise BadInput("The old secret can stay for seven days at most.", hint="0 to 168 hours.", field="overlap")
    await found(tx, endpoint_id)
    await tx.execute(
        "DELETE FROM webhook_secret WHERE tenant_id = $1 AND endpoint_id = $2 AND expires_at IS NOT NULL",
        *(tx.tenant_id, endpoint_id),
    )
    await tx.execute(
        """UPDATE webhook_secret SET expires_at = $3
        WHERE tenant_id = $1 AND endpoint_id = $2 AND expires_at IS NULL""",
        *(tx.tenant_id, endpoint_id, tx.now + overlap),
    )
    secret = await _add_secret(tx, sealer, endpoint_id)
    await tx.execute(
        f"UPDATE webhook_endpoint SET {_CHANGED} WHERE tenant_id = $1 AND endpoint_id = $2",  # noqa: S608 - names are code
        *(tx.tenant_id, endpoint_id, tx.now),
    )
    hours = round(overlap / timedelta(hours=1), 3)
    emit(tx, Event("webhook_endpoint.secret_rotated", subject_of(endpoint_id), {"overlap_hours": hours}))
    tx.wake(CHANNEL)
    return Made(await found(tx, endpoint_id), secret)


async def _add_secret(tx: TenantTx, sealer: Sealer, endpoint_id: EndpointId) -> str:
    # Standard Webhooks: `whsec_` and the base64 of 24 to 64 random bytes.
    secret = _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    secret_id = SecretId(new_id())
    await tx.execute(
        """INSERT INTO webhook_secret (tenant_id, secret_id, endpoint_id, sealed, created_at)
        VALUES ($1, $2, $3, $4, $5)""",
        *(tx.tenant_id, secret_id, endpoint_id),
        sealer.seal(secret.encode(), tx.tenant_id, queries.SECRET_TABLE, secret_id),
        tx.now,
    )
    return secret


# ------------------------------------------------------------------ inside


def _refuse_other(one: Endpoint, version: int | None) -> None:
    if version is not None and version != one.version:
        raise Changed("The webhook was changed since it was read.", hint="Read it again, then repeat the change.")


def _told(settings: Settings) -> dict[str, Any]:
    """What the log says of settings: no path, which may be a secret, and nobody's address."""
    return {
        "origin": rules.origin_of(settings.url),
        "description": settings.description,
        "filter": settings.filter,
    }
