"""The pools, one per role, and the two kinds of transaction."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal, TypeAlias

import asyncpg
import msgspec

from stoa.db.notify import Notifier
from stoa.db.transactions import SYSTEM, Connection, Origin, PlatformTx, TenantTx
from stoa.kernel.clock import Clock, system_clock
from stoa.kernel.ids import TenantId

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Role = Literal["app", "sync"]
OffsetReader = Callable[[TenantId], Awaitable[timedelta]]
_encode = msgspec.json.Encoder(decimal_format="number").encode


async def _no_offset(_: TenantId) -> timedelta:
    return timedelta(0)


def _jsonb_out(value: object) -> bytes:
    # The binary form of jsonb is a version byte and the text, which is what COPY in binary needs too.
    return b"\x01" + _encode(value)


def _jsonb_in(data: bytes) -> Any:  # noqa: ANN401 - JSON has no narrower type
    return msgspec.json.decode(memoryview(data)[1:])


async def prepare_connection(connection: Connection) -> None:
    """Teaches a fresh connection that jsonb is a Python value, encoded by msgspec."""
    await connection.set_type_codec(  # pyright: ignore[reportUnknownMemberType] - the stubs leave the codec's type open
        "jsonb", schema="pg_catalog", encoder=_jsonb_out, decoder=_jsonb_in, format="binary"
    )


async def _reset(_: Connection) -> None:
    """Nothing to reset: every transaction ends itself and uses SET LOCAL alone. Saves a round trip for each release."""


class Database:
    """The pools of a process. Made by `open_database`, closed by `close`."""

    def __init__(
        self, pools: Mapping[str, Pool], notifier: Notifier, *, clock: Clock, clock_offset: OffsetReader | None = None
    ) -> None:
        self._pools = pools
        self.notifier = notifier
        self.clock = clock
        self._offset = clock_offset or _no_offset

    def use_clock_offset(self, reader: OffsetReader) -> None:
        """Hands over the reader of a tenant's clock offset (the composition root calls it: db knows no tenants)."""
        self._offset = reader

    @asynccontextmanager
    async def tenant(
        self, tenant_id: TenantId, origin: Origin = SYSTEM, *, role: Role = "app", read_only: bool = False
    ) -> AsyncGenerator[TenantTx]:
        """A transaction inside one tenant, committed at the end of the block and undone by any exception.

        role: `sync` for bulk work (staging tables, long statements), else `app`.
        """
        now = self.clock() + await self._offset(tenant_id)
        async with self._pools[role].acquire() as connection:
            begin = "BEGIN READ ONLY" if read_only else "BEGIN"
            # One round trip. The id is a UUID by type: nothing can be smuggled into this text.
            await connection.execute(f"{begin}; SET LOCAL stoa.tenant = '{tenant_id!s}'")
            tx = TenantTx(connection, now, tenant_id, origin)
            tx.memo["poke"] = self.notifier.poke
            try:
                yield tx
                await tx.finish()
                await connection.execute("COMMIT")
            except BaseException:
                await _undo(connection)
                raise
        tx.committed()

    @asynccontextmanager
    async def platform(self) -> AsyncGenerator[PlatformTx]:
        """A transaction across tenants, which sees only what stoa_platform was granted."""
        async with self._pools["platform"].acquire() as connection:
            await connection.execute("BEGIN")
            tx = PlatformTx(connection, self.clock())
            try:
                yield tx
                await connection.execute("COMMIT")
            except BaseException:
                await _undo(connection)
                raise
        tx.committed()

    async def close(self) -> None:
        """Ends the listener and closes every pool, waiting a little for what is under way."""
        await self.notifier.close()
        for pool in self._pools.values():
            try:
                await asyncio.wait_for(pool.close(), timeout=5)
            except TimeoutError:
                pool.terminate()


async def _undo(connection: Connection) -> None:
    if connection.is_closed():
        return
    try:
        await asyncio.shield(connection.execute("ROLLBACK"))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        # The connection is beyond use; the server undoes the transaction when it sees it gone.
        connection.terminate()


async def open_database(
    connect_args: Callable[[str], Mapping[str, Any]],
    *,
    roles: tuple[str, ...] = ("app", "sync", "platform"),
    sizes: Mapping[str, int] | None = None,
    clock: Clock = system_clock,
) -> Database:
    """Opens a pool for each role.

    connect_args: gives asyncpg's keyword arguments for a role's full name, such as `stoa_app`.
    sizes: the most connections for each role (default: app 16, sync 4, platform 4).
    """
    limits = {"app": 16, "sync": 4, "platform": 4} | dict(sizes or {})
    pools: dict[str, Pool] = {}
    try:
        for role in roles:
            pools[role] = await asyncpg.create_pool(
                **connect_args(f"stoa_{role}"),
                min_size=1,
                max_size=limits[role],
                init=prepare_connection,
                reset=_reset,
                command_timeout=None,
                max_inactive_connection_lifetime=300,
                server_settings={"application_name": f"stoa {role}"},
            )
    except BaseException:
        for pool in pools.values():
            pool.terminate()
        raise
    listen_args = connect_args(f"stoa_{roles[-1]}")
    return Database(pools, Notifier(listen_args), clock=clock)
