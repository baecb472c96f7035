"""The pools, one per role, and the two kinds of transaction."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias, TypeVar

import asyncpg
import msgspec

from stoa.db.connecting import DatabaseNotMigrated, DatabaseRefusesUs, DatabaseUnreachable, explained
from stoa.db.migrations import missing
from stoa.db.notify import Notifier
from stoa.db.resting import Held, Resting
from stoa.db.transactions import SYSTEM, Connection, Origin, PlatformTx, TenantTx, Tx, is_gone
from stoa.kernel.clock import Clock, system_clock
from stoa.kernel.ids import TenantId

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Role = Literal["app", "sync"]
OffsetReader = Callable[[TenantId], Awaitable[timedelta]]
_Tx = TypeVar("_Tx", bound=Tx)
_CLOSE_SECONDS: Final = 5.0
_UNDO_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 0.2
_TROUBLE: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_encode = msgspec.json.Encoder(decimal_format="number").encode


async def _no_offset(_: TenantId) -> timedelta:
    return timedelta(0)


def _jsonb_out(value: object) -> bytes:
    # The binary form of jsonb is a version byte and the text, which is what COPY in binary needs too.
    return b"\x01" + _encode(value)


def _jsonb_in(data: bytes) -> Any:
    return msgspec.json.decode(memoryview(data)[1:])


async def prepare_connection(connection: Connection) -> None:
    """Teaches a fresh connection that jsonb is a Python value, encoded by msgspec, and what lists of ids are: the
    driver learns that from a statement that has one by itself, and else cannot read a row within a row that holds one.
    """
    await connection.set_type_codec(  # pyright: ignore[reportUnknownMemberType] - the stubs leave the codec's type open
        "jsonb", schema="pg_catalog", encoder=_jsonb_out, decoder=_jsonb_in, format="binary"
    )
    await connection.fetchval("SELECT '{}'::uuid[]")


class TransactionFailedError(RuntimeError):
    """A statement failed, its exception was swallowed outside of a savepoint, and so nothing could be committed."""


async def _reset(_: Connection) -> None:
    """Nothing to reset: every transaction ends itself and uses SET LOCAL alone. Saves a round trip for each release."""


class Database:
    """The pools of a process. Made by `open_database`, closed by `close`."""

    def __init__(
        self, pools: Mapping[str, Pool], notifier: Notifier, *, clock: Clock, clock_offset: OffsetReader | None = None
    ) -> None:
        self._pools = pools
        self._resting = {role: Resting(pool) for role, pool in pools.items()}
        # How many wait for a connection of a pool.
        self._queued = dict.fromkeys(pools, 0)
        self.notifier = notifier
        self.clock = clock
        self._offset = clock_offset or _no_offset
        self._closing = asyncio.Lock()
        self._closed = False

    def use_clock_offset(self, reader: OffsetReader) -> None:
        """Hands over the reader of a tenant's clock offset (the composition root calls it: db knows no tenants)."""
        self._offset = reader

    @asynccontextmanager
    async def tenant(
        self,
        tenant_id: TenantId,
        origin: Origin = SYSTEM,
        *,
        role: Role = "app",
        read_only: bool = False,
        limit_seconds: int | None = None,
        first: str = "",
        also: str = "",
        one_plan: bool = False,
    ) -> AsyncGenerator[TenantTx]:
        """A transaction inside one tenant, committed at the end of the block and undone by any exception.

        role: `sync` for bulk work (staging tables, long statements), else `app`.
        limit_seconds: how long a statement may take; one that takes longer fails with TookTooLong.
        first: statements that are run in the round trip of the beginning, such as those that lock (`literals`).
        also: a SELECT that is run in the round trip of the beginning; `tx.found` says whether it gave a row. Nothing of
            it may come from outside: it cannot be given parameters.
        one_plan: statements keep the plan they have for any parameters, instead of being planned anew where that seems
            to pay: for requests that look things up by keys, whose planning costs more than their work. None of them
            reads a whole table, however few rows there were when it was planned.
        """
        now = self.clock() + await self._offset(tenant_id)
        # One round trip. The id is a UUID by type: nothing can be smuggled into this text.
        begin = f"BEGIN{' READ ONLY' if read_only else ''}; SET LOCAL stoa.tenant = '{tenant_id!s}'"
        if limit_seconds is not None:
            begin += f"; SET LOCAL statement_timeout = {limit_seconds * 1000:d}"
        if one_plan:
            begin += "; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off"
        if first:
            begin += f"; {first}"
        if also:
            begin += f"; {also}"
        async with self._rested(role, rests=read_only) as (connection, before):
            tx = TenantTx(connection, now, self.notifier.poke, tenant_id, origin)
            async with _transaction(tx, before + begin, ends=not read_only) as (status, last_words):
                tx.found = bool(also) and status == "SELECT 1"
                yield tx
                await tx.finish()
                last_words.append(tx.closing)
        tx.committed()

    @asynccontextmanager
    async def platform(self, origin: Origin = SYSTEM) -> AsyncGenerator[PlatformTx]:
        """A transaction across tenants, which sees only what stoa_platform was granted."""
        async with self._connection("platform") as connection:
            tx = PlatformTx(connection, self.clock(), self.notifier.poke, origin)
            async with _transaction(tx, "BEGIN"):
                yield tx
                await tx.finish()
        tx.committed()

    @asynccontextmanager
    async def platform_at_once(self) -> AsyncGenerator[PlatformTx]:
        """As `platform`, but every statement is a transaction of its own, committed when it has run: a look-up of one
        statement so costs one round trip instead of three. It has no savepoints, and nothing is undone at the end.
        """
        async with self._connection("platform") as connection:
            tx = PlatformTx(connection, self.clock(), self.notifier.poke)
            try:
                yield tx
            except (asyncpg.InternalClientError, asyncpg.InterfaceError) as error:
                if not _is_lost(connection, error):
                    raise
                if not is_gone(connection):
                    connection.terminate()
                raise _lost() from error
        if tx.told:
            raise RuntimeError("what happened was not told: that takes a transaction, and here is none")
        tx.committed()

    @asynccontextmanager
    async def _rested(self, role: str, *, rests: bool) -> AsyncGenerator[tuple[Held, str]]:
        """A connection, and what its first statement has to begin with: the end of a read of before.

        rests: whether the block leaves its transaction to be ended by whoever comes next (`resting`).
        """
        resting = self._resting[role]
        connection = resting.take()
        if connection is not None:
            before = "COMMIT; "
        else:
            before, connection = "", await self._acquired(role)
        sound = False
        try:
            yield connection, before
            sound = True
        finally:
            if sound and rests and not self._closed:
                # Who waits for a connection comes before who may come.
                resting.put(connection, now=self._queued[role] > 0)
            else:
                await self._pools[role].release(connection)

    async def _acquired(self, role: str) -> Held:
        self._queued[role] += 1
        try:
            return await self._pools[role].acquire()
        except asyncpg.InterfaceError as error:
            raise ConnectionError(str(error)) from error
        finally:
            self._queued[role] -= 1

    @asynccontextmanager
    async def _connection(self, role: str) -> AsyncGenerator[Connection]:
        """A connection of a pool. A closed pool is told as a lost connection, which is what it means to a caller."""
        connection = await self._acquired(role)
        try:
            yield connection
        finally:
            await self._pools[role].release(connection)

    async def close(self) -> None:
        """Ends the listener and closes every pool, waiting a little for what is under way. A second call does
        nothing."""
        async with self._closing:
            if self._closed:
                return
            self._closed = True
            await self.notifier.close()
            await asyncio.gather(*(one.close() for one in self._resting.values()))
            await asyncio.gather(*(_close(pool) for pool in self._pools.values()))


@asynccontextmanager
async def _transaction(tx: Tx, begin: str, *, ends: bool = True) -> AsyncGenerator[tuple[str, list[str]]]:
    """Gives the last status of `begin`, and a list for what is to be sent with the commit."""
    connection = tx.connection
    try:
        last_words: list[str] = []
        yield await connection.execute(begin), last_words
        if ends and await connection.execute(f"{''.join(last_words)}COMMIT") != "COMMIT":
            raise TransactionFailedError("The transaction had failed before its end and was undone.")
    except (asyncpg.InternalClientError, asyncpg.InterfaceError) as error:
        lost = _is_lost(connection, error)
        await _undo(connection)
        if not lost:
            raise
        raise _lost() from error
    except BaseException:
        await _undo(connection)
        raise


def _is_lost(connection: Connection, error: Exception) -> bool:
    """How the driver answers a statement on a connection that the server has ended depends on where that met it."""
    return isinstance(error, asyncpg.InternalClientError) or is_gone(connection)


def _lost() -> Exception:
    return asyncpg.ConnectionDoesNotExistError("The connection was lost in the middle of a transaction.")


async def _undo(connection: Connection) -> None:
    """Ends the transaction. A connection on which that is not certain is closed: the server then undoes it."""
    if is_gone(connection):
        return
    try:
        await connection.execute("ROLLBACK", timeout=_UNDO_SECONDS)
    except BaseException as error:
        if not is_gone(connection):
            connection.terminate()
        if not isinstance(error, _TROUBLE):
            raise


async def _close(pool: Pool) -> None:
    try:
        await asyncio.wait_for(pool.close(), _CLOSE_SECONDS)
    except TimeoutError:
        pool.terminate()


async def open_database(
    connect_args: Callable[[str], Mapping[str, Any]],
    *,
    roles: tuple[str, ...] = ("app", "sync", "platform"),
    sizes: Mapping[str, int] | None = None,
    clock: Clock = system_clock,
    wait_seconds: float = 0,
) -> Database:
    """Opens a pool for each role.

    connect_args: gives asyncpg's keyword arguments for a role's full name, such as `stoa_app`.
    sizes: the most connections for each role (default: app 16, sync 4, platform 4).
    wait_seconds: how long to go on trying while the server does not answer or is starting. 0: try once.

    Raises:
        DatabaseRefusesUs: wrong password, missing role or database.
        DatabaseNotMigrated: migrations of this version have not been applied.
        DatabaseUnreachable: nobody answers. The two above are kinds of it.
    """
    limits = {"app": 16, "sync": 4, "platform": 4} | dict(sizes or {})
    deadline = asyncio.get_running_loop().time() + wait_seconds
    pools: dict[str, Pool] = {}
    try:
        for role in roles:
            pools[role] = await _open_pool(role, connect_args(f"stoa_{role}"), limits[role], deadline)
        await _refuse_unmigrated(pools[roles[0]])
    except BaseException:
        for pool in pools.values():
            pool.terminate()
        raise
    return Database(pools, Notifier(connect_args(f"stoa_{roles[-1]}")), clock=clock)


async def _open_pool(role: str, connect_args: Mapping[str, Any], size: int, deadline: float) -> Pool:
    while True:
        try:
            with explained(connect_args):
                return await asyncpg.create_pool(
                    **connect_args,
                    min_size=1,
                    max_size=size,
                    init=prepare_connection,
                    reset=_reset,
                    command_timeout=None,
                    max_inactive_connection_lifetime=300,
                    server_settings={"application_name": f"stoa {role}"},
                )
        except DatabaseRefusesUs:
            raise
        except DatabaseUnreachable:
            if asyncio.get_running_loop().time() + _RETRY_SECONDS > deadline:
                raise
        await asyncio.sleep(_RETRY_SECONDS)


async def _refuse_unmigrated(pool: Pool) -> None:
    async with pool.acquire() as connection:
        lacking = await missing(connection, before_serving=True)
    if lacking:
        raise DatabaseNotMigrated(
            f"The database lacks migrations that this version of Stoa needs, from {lacking[0]} on ({len(lacking)}).",
            hint="Apply them with: stoa db migrate",
        )
