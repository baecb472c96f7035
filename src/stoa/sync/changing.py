"""Changing a connection that is there: its settings, secrets, schedule, and whether it runs."""

from collections.abc import Mapping
from typing import Any, Final

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.jobs.schedules import remove_schedule, schedule
from stoa.kernel.ids import ConnectionId
from stoa.kernel.problems import BadInput, NotFound
from stoa.kernel.stamps import refuse_stale
from stoa.sync import actions, freshness
from stoa.sync.missed import watch
from stoa.sync.opening import Opener
from stoa.sync.telling import telling_schedule
from stoa.tenants import queries
from stoa.tenants.actions import open_secret, pause_connection, replace_secret, resume_connection
from stoa.tenants.model import Connection
from stoa.tenants.status import note_expected

LONGEST_REASON: Final = 500
GUARDS: Final = "guards"


async def connection_of(tx: TenantTx, connection_id: ConnectionId, *, lock: bool = False) -> Connection:
    """The connection; `lock`: so that nobody changes it until the transaction ends. Raises NotFound."""
    if lock:
        await tx.execute(
            "SELECT FROM connection WHERE tenant_id = $1 AND connection_id = $2 FOR NO KEY UPDATE",
            *(tx.tenant_id, connection_id),
        )
    found = await queries.connection(tx, connection_id)
    if found is None:
        raise NotFound("There is no such connection.", hint="The list of connections shows those there are.")
    return found


async def pause(tx: TenantTx, connection_id: ConnectionId, reason: str) -> Connection:
    """Keeps a connection from running, by the clock and by hand, until it is resumed. What runs already goes on.

    Raises BadInput for a reason that says nothing, NotFound.
    """
    reason = " ".join(reason.split())
    if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise BadInput(
            f"The reason must have 1 to {LONGEST_REASON} printable characters.",
            hint="Say why, for whoever looks at it next.",
        )
    return await pause_connection(tx, connection_id, reason)


async def resume(tx: TenantTx, connection_id: ConnectionId) -> Connection:
    """Lets a connection run again, and goes on with a schedule that a rollback paused. Raises NotFound."""
    connection = await resume_connection(tx, connection_id)
    await actions.resume(tx, connection)
    return connection


async def set_schedule(tx: TenantTx, connection: Connection, cron: str | None) -> None:
    """Has the connection run by the clock in the tenant's zone, or, for None, by hand alone. Raises BadSchedule."""
    if cron is not None:
        await actions.schedule(tx, connection, cron)
        return
    async with telling_schedule(tx, connection.connection_id):
        await remove_schedule(tx, actions.SYNC_JOB, str(connection.connection_id))
    await note_expected(tx, connection.connection_id)
    await watch(tx, connection.connection_id)


async def cron_of(tx: TenantTx, connection_id: ConnectionId) -> str | None:
    """The connection's cron expression, or None."""
    found = await schedule(tx, actions.SYNC_JOB, str(connection_id))
    return None if found is None else found.cron


async def reconfigure(
    tx: TenantTx, opener: Opener, connection_id: ConnectionId, given: Mapping[str, Any], *, stamp: str | None = None
) -> Connection:
    """Puts other settings in place of a connection's; its secrets stay.

    given: all settings without the secrets, thresholds under GUARDS. When what is read, or how, is another, the
    mapping's version rises, and the next run compares the report even if its bytes are those of the last.
    stamp: `stamp_of` the settings that `given` was made from, so that they undo nobody else's change.

    Raises ChangedMeanwhile if they would; BadInput, as `Opener.split`, with the field that is wrong; NotFound.
    """
    before = await connection_of(tx, connection_id, lock=True)
    secrets = await open_secret(tx, opener.sealer, connection_id)
    public, _ = checked(opener, before.connector, {**given, **secrets})
    refuse_stale(stamp, before.config, public)
    if public == before.config:
        return before
    read_otherwise = _read(public) != _read(before.config)
    await tx.execute(
        """UPDATE connection SET config = $3, mapping_version = mapping_version + $4, changed_at = $5
        WHERE tenant_id = $1 AND connection_id = $2""",
        *(tx.tenant_id, connection_id, public, int(read_otherwise), tx.now),
    )
    if read_otherwise:
        await freshness.forget_input(tx, connection_id)
    after = await connection_of(tx, connection_id)
    changed = sorted(
        name for name in public.keys() | before.config.keys() if public.get(name) != before.config.get(name)
    )
    body = {
        "fields": changed,
        "mapping_version": after.mapping_version,
        "before": {name: before.config.get(name) for name in changed},
        "after": {name: public.get(name) for name in changed},
    }
    emit(tx, Event("connection.reconfigured", f"connection:{connection_id}", body))
    return after


def _read(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without the thresholds, which judge what was read."""
    return {name: value for name, value in config.items() if name != GUARDS}


async def change_secrets(
    tx: TenantTx, opener: Opener, connection_id: ConnectionId, given: Mapping[str, str]
) -> Connection:
    """Puts new secrets in place of those of the same names; the others stay. Raises BadInput, NotFound."""
    before = await connection_of(tx, connection_id, lock=True)
    if not given:
        raise BadInput("No secret was entered.", hint="Enter the new one.")
    kept = await open_secret(tx, opener.sealer, connection_id)
    _, secrets = checked(opener, before.connector, {**before.config, **kept, **given})
    return await replace_secret(tx, opener.sealer, connection_id, secrets)


def checked(opener: Opener, connector: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings with secrets, parted as by `Opener.split`, and found to make a mapping. Raises BadInput with the field
    that is wrong.
    """
    public, secrets = opener.split(connector, given)
    opener.mapping(connector, public, secrets)
    return public, secrets
