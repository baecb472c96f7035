"""Transactions: the only way to tenant data is `async with database.tenant(tenant_id) as tx`.

The row-level security policies read the setting `stoa.tenant`, which lives exactly as long as the transaction, so a connection that goes
back to its pool carries no tenant.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

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
    """

    actor: str
    via: str
    request_id: str | None = None


SYSTEM = Origin(actor="system", via="system")


class Tx:
    """A transaction with parameters bound by position. Values never stand in the text of a statement."""

    __slots__ = ("_after_commit", "connection", "now")

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self._after_commit: list[Callable[[], None]] = []

    async def fetch(self, sql: str, *params: object) -> list[Row]:
        """All rows of `sql`."""
        return await self.connection.fetch(sql, *params)

    async def fetchrow(self, sql: str, *params: object) -> Row | None:
        """The first row of `sql`, or None."""
        return await self.connection.fetchrow(sql, *params)

    async def fetchval(self, sql: str, *params: object) -> Any:  # noqa: ANN401 - the column's type is the statement's business
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
        """Calls `then` once the transaction has committed. It must not block or raise; it is a wake-up, never the work itself."""
        self._after_commit.append(then)

    def committed(self) -> None:
        """Runs what waits for the commit. Called by the database alone."""
        for then in self._after_commit:
            then()

    @asynccontextmanager
    async def savepoint(self) -> AsyncGenerator[None]:
        """A part that can fail alone: an exception inside undoes the part and passes on."""
        await self.connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            await self.connection.execute("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")
            raise
        await self.connection.execute("RELEASE SAVEPOINT part")


class PlatformTx(Tx):
    """A transaction that sees, of all tenants, only the columns that resolve a token or host and claim the next job."""

    __slots__ = ()


BeforeCommit = Callable[["TenantTx"], Awaitable[None]]


class TenantTx(Tx):
    """A transaction inside one tenant.

    Attributes:
        tenant_id: whose rows are seen.
        now: the tenant's clock at the start of the transaction, aware, UTC. SQL over tenant tables never calls now().
        origin: who acts.
        memo: what rooms keep for the length of the transaction, by their own key (for example the events collected so far).
    """

    __slots__ = ("_before_commit", "memo", "origin", "tenant_id")

    def __init__(self, connection: Connection, now: datetime, tenant_id: TenantId, origin: Origin) -> None:
        super().__init__(connection, now)
        self.tenant_id = tenant_id
        self.origin = origin
        self.memo: dict[str, Any] = {}
        self._before_commit: dict[str, BeforeCommit] = {}

    def before_commit(self, name: str, hook: BeforeCommit) -> None:
        """Runs `hook` last in the transaction, once for each `name`; its failure undoes the whole."""
        self._before_commit[name] = hook

    async def finish(self) -> None:
        """Runs the hooks that close the transaction. Called by the database alone."""
        for hook in tuple(self._before_commit.values()):
            await hook(self)

    async def copy_to_stage(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """COPYs rows (in binary) into a table of schema `stage`, whose first two columns are tenant_id and run_id."""
        await self.connection.copy_records_to_table(table, schema_name="stage", columns=list(columns), records=rows)
