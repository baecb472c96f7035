"""Transactions: the only way to tenant data is `async with database.tenant(tenant_id) as tx`.

The row-level security policies read the setting `stoa.tenant`, which lives exactly as long as the transaction, so a
connection that goes back to its pool carries no tenant.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from stoa.kernel.ids import TenantId

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Row = asyncpg.Record


@dataclass(frozen=True, slots=True)
class Origin:
    """Who acts, and by which way: written on every entry of the event log.

    Attributes:
        actor: for example `scim:<credential id>`, `operator:<name>`, `system`. Never a person's name or address.
        via: `scim`, `cli`, `worker`, `console`, `api`.
        request_id: the trace id of the request or job, if any.
        address: the client's address (IPv4 or IPv6, as text) of the request, if any.
    """

    actor: str
    via: str
    request_id: str | None = None
    address: str | None = None


Poke = Callable[[str], None]
SYSTEM = Origin(actor="system", via="system")


def is_gone(connection: Connection) -> bool:
    """Whether the connection is lost."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # The pool has taken it back already, as it does when the server ends it.
        return True


class Tx:
    """A transaction with parameters bound by position. Values never stand in the text of a statement."""

    __slots__ = ("_after_commit", "_depth", "_poke", "_wakes", "connection", "now")

    def __init__(self, connection: Connection, now: datetime, poke: Poke) -> None:
        self.connection = connection
        self.now = now
        self._poke = poke
        self._after_commit: tuple[Callable[[], None], ...] = ()
        self._wakes: tuple[str, ...] = ()
        self._depth = 0

    async def fetch(self, sql: str, *params: object) -> list[Row]:
        """All rows of `sql`."""
        return await self.connection.fetch(sql, *params)

    async def fetchrow(self, sql: str, *params: object) -> Row | None:
        """The first row of `sql`, or None."""
        return await self.connection.fetchrow(sql, *params)

    async def fetchval(self, sql: str, *params: object) -> Any:
        """The first column of the first row of `sql`, or None."""
        return await self.connection.fetchval(sql, *params)

    async def execute(self, sql: str, *params: object) -> int:
        """Runs `sql` and gives the number of rows it touched (0 for statements that touch none)."""
        status = await self.connection.execute(sql, *params)
        last = status.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    async def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Runs `sql` once for each row of parameters, pipelined."""
        await self.connection.executemany(sql, rows)

    def after_commit(self, then: Callable[[], None]) -> None:
        """Calls `then` once the transaction has committed. It must not block or raise; it is never the work itself."""
        self._after_commit = (*self._after_commit, then)

    def wake(self, channel: str) -> None:
        """Wakes who listens on `channel`, in every process, once the transaction has committed."""
        if channel not in self._wakes:
            self._wakes = (*self._wakes, channel)

    def committed(self) -> None:
        """Runs what waits for the commit. Called by the database alone."""
        for channel in self._wakes:
            self._poke(channel)
        for then in self._after_commit:
            then()

    @asynccontextmanager
    async def savepoint(self) -> AsyncGenerator[None]:
        """A part that can fail alone: an exception inside undoes the part, with all that it left on the transaction to
        be done later, and passes on. Parts may be nested."""
        name = f"part_{self._depth}"
        put_back = self._keep()
        await self.connection.execute(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
        except BaseException:
            put_back()
            # With the connection gone the whole is undone, and the reason is the exception at hand.
            if not is_gone(self.connection):
                await self.connection.execute(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            raise
        finally:
            self._depth -= 1
        await self.connection.execute(f"RELEASE SAVEPOINT {name}")

    def _keep(self) -> Callable[[], None]:
        """What puts this object back into its present state."""
        after_commit, wakes = self._after_commit, self._wakes

        def put_back() -> None:
            self._after_commit, self._wakes = after_commit, wakes

        return put_back


class PlatformTx(Tx):
    """A transaction that sees, of all tenants, only the columns that resolve a token or host and claim the next job.

    Attributes:
        origin: who acts.
        told: what the platform's own log is to say, in order. Replaced, never changed in place: a savepoint that fails
            puts the earlier back.
        at_end: what runs when the block has ended, before the commit, if anything is to be told.
    """

    __slots__ = ("at_end", "origin", "told")

    def __init__(self, connection: Connection, now: datetime, poke: Poke, origin: Origin = SYSTEM) -> None:
        super().__init__(connection, now, poke)
        self.origin = origin
        self.told: tuple[tuple[str, str, dict[str, Any]], ...] = ()
        self.at_end: Callable[[PlatformTx], Awaitable[None]] | None = None

    async def finish(self) -> None:
        """Runs what closes the transaction. Called by the database alone."""
        if self.told and self.at_end is not None:
            await self.at_end(self)

    def _keep(self) -> Callable[[], None]:
        told, put_back_rest = self.told, super()._keep()

        def put_back() -> None:
            self.told = told
            put_back_rest()

        return put_back


BeforeCommit = Callable[["TenantTx"], Awaitable[None]]
# The standing of the tenant is one row, which every writer locks: after all others, so that nobody waits in a ring. The
# log's entry takes its number when all locks are held.
_LAST: Final = ("status", "events")


class TenantTx(Tx):
    """A transaction inside one tenant.

    Attributes:
        tenant_id: whose rows are seen.
        now: the tenant's clock at the start of the transaction, aware, UTC. SQL over tenant tables never calls now().
        origin: who acts.
        memo: what rooms keep for the length of the transaction, by their own key (for example the events collected so
            far). Values are replaced, never changed in place: a savepoint that fails puts the earlier ones back.
        found: whether what was asked for at the beginning (`Database.tenant`, `also`) gave a row.
        closing: statements that are sent in the round trip of the commit, each ended by a semicolon (`literals`).
    """

    __slots__ = ("_before_commit", "closing", "found", "memo", "origin", "tenant_id")

    def __init__(
        self, connection: Connection, now: datetime, poke: Poke, tenant_id: TenantId, origin: Origin = SYSTEM
    ) -> None:
        super().__init__(connection, now, poke)
        self.tenant_id = tenant_id
        self.origin = origin
        self.memo: dict[str, Any] = {}
        self.found = False
        self.closing = ""
        self._before_commit: dict[str, BeforeCommit] = {}

    def before_commit(self, name: str, hook: BeforeCommit) -> None:
        """Runs `hook` at the end of the transaction, once for each `name`; its failure undoes the whole.

        A hook may ask for further hooks. The one named "status" comes after all others but "events", which comes
        last: it draws the number of the log's entry, which must be drawn after all row locks are held.
        """
        self._before_commit[name] = hook

    async def finish(self) -> None:
        """Runs the hooks that close the transaction. Called by the database alone."""
        while waiting := self._before_commit:
            name = min(waiting, key=lambda name: _LAST.index(name) + 1 if name in _LAST else 0)
            await waiting.pop(name)(self)

    def _keep(self) -> Callable[[], None]:
        memo, hooks, put_back_rest = dict(self.memo), dict(self._before_commit), super()._keep()
        closing = self.closing

        def put_back() -> None:
            self.memo, self._before_commit, self.closing = memo, hooks, closing
            put_back_rest()

        return put_back

    async def copy_to_stage(self, table: str, columns: Sequence[str], csv: bytes) -> None:
        """COPYs CSV (UTF-8, no header, NULL as an empty unquoted cell) into a table of schema `stage`.

        columns: in the order of the CSV's cells. Raises ValueError unless tenant_id and run_id are among them.
        """
        if not {"tenant_id", "run_id"} <= set(columns):
            raise ValueError(f"rows of stage.{table} must name their tenant and their run")
        await self.connection.copy_to_table(
            table, schema_name="stage", columns=list(columns), source=BytesIO(csv), format="csv", null=""
        )

    async def copy_out(self, sql: str, *params: object) -> bytes:
        """The result of a query as CSV with a header: many times faster than rows for what Polars reads."""
        out = BytesIO()
        await self.connection.copy_from_query(sql, *params, output=out, format="csv", header=True)
        return out.getvalue()
