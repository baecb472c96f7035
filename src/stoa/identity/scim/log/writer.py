"""Writing the log of requests, after they were answered: in batches, some hundred milliseconds late at most.

Nothing here makes a request fail or wait. What comes while too much waits already pushes out the oldest, and the next
line that is written says how many are missing.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from time import monotonic, perf_counter
from typing import Any, Final

import structlog

from stoa.db.database import Database
from stoa.db.errors import COLLISION, TROUBLE, UNAVAILABLE
from stoa.db.transactions import Origin
from stoa.identity.scim.http import Answer
from stoa.identity.scim.log.model import Arrival, Noted
from stoa.identity.scim.log.store import Vault, store
from stoa.kernel.ids import TenantId
from stoa.tenants.sealing import Sealer

FLUSH_SECONDS: Final = 0.2
MOST_WAITING: Final = 10_000
MOST_BYTES: Final = 64 * 1024 * 1024
# Few, and with a rest after them: those whose requests are being answered should not notice.
AT_ONCE: Final = 32
_REST_SECONDS: Final = 0.004
# The end of a process does not wait for longer than this.
CLOSE_SECONDS: Final = 3.0
_RETRY_SECONDS: Final = 1.0
_COUNTED_EVERY_SECONDS: Final = 60.0
_MOST_COUNTED: Final = 10_000
# Lines of a crash are lost anyway, up to some hundred milliseconds of them, so nobody waits for the disk.
_NO_HURRY: Final = "SELECT set_config('synchronous_commit', 'off', true)"
_ORIGIN: Final = Origin(actor="system", via="scim")
_log: Final[Any] = structlog.get_logger("stoa.scim")


@dataclass(slots=True)
class RequestLog:
    """The lines of one process that wait to be written. Made by `request_log`.

    most: how many may wait.
    """

    database: Database
    vault: Vault
    most: int = MOST_WAITING
    _waiting: deque[Noted] = field(default_factory=deque[Noted], repr=False)
    _bytes: int = 0
    _lost: dict[TenantId, int] = field(default_factory=dict[TenantId, int], repr=False)
    _counted: dict[TenantId, float] = field(default_factory=dict[TenantId, float], repr=False)
    _flushing: asyncio.Task[None] | None = field(default=None, repr=False)
    _closing: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def note(self, arrival: Arrival, answer: Answer) -> None:
        """Has a request written down that was answered, if it is known whose it was. Never raises, never waits."""
        if arrival.tenant_id is None or arrival.source_id is None or arrival.request is None:
            return
        took = int((perf_counter() - arrival.began) * 1_000_000)
        noted = Noted(arrival, arrival.tenant_id, arrival.source_id, arrival.request, answer, took)
        self._waiting.append(noted)
        self._bytes += noted.size
        while len(self._waiting) > self.most or self._bytes > MOST_BYTES:
            self._lose(self._taken())
        if self._flushing is None and not self._closing.is_set():
            self._flushing = asyncio.get_running_loop().create_task(self._run(), name="scim request log")

    async def flush(self) -> None:
        """Writes all that waits. Raises what the database raises; what was not written waits on."""
        while self._waiting:
            batch = [self._taken() for _ in range(min(AT_ONCE, len(self._waiting)))]
            by_tenant: dict[TenantId, list[Noted]] = {}
            for one in batch:
                by_tenant.setdefault(one.tenant_id, []).append(one)
            try:
                while by_tenant:
                    tenant_id = next(iter(by_tenant))
                    await self._write(tenant_id, by_tenant[tenant_id])
                    del by_tenant[tenant_id]
            finally:
                # What was not written goes back to where it came from, unless there is no room any more.
                for lines in by_tenant.values():
                    self._put_back(lines)
            if self._waiting and not self._closing.is_set():
                await asyncio.sleep(_REST_SECONDS)

    async def close(self) -> None:
        """Writes what waits, if that can be done within some seconds. What is noted later is lost."""
        self._closing.set()
        flushing = self._flushing
        if flushing is not None:
            await asyncio.wait({flushing}, timeout=CLOSE_SECONDS)
            flushing.cancel()
            await asyncio.wait({flushing})
        try:
            await asyncio.wait_for(self.flush(), CLOSE_SECONDS)
        except (TimeoutError, *TROUBLE) as error:
            _log.warning("scim_log_lost", lines=len(self._waiting), error=type(error).__name__)

    def _taken(self) -> Noted:
        one = self._waiting.popleft()
        self._bytes -= one.size
        return one

    def _lose(self, one: Noted) -> None:
        self._lost[one.tenant_id] = self._lost.get(one.tenant_id, 0) + 1

    def _put_back(self, lines: list[Noted]) -> None:
        for one in reversed(lines):
            if len(self._waiting) >= self.most or self._bytes + one.size > MOST_BYTES:
                self._lose(one)
            else:
                self._waiting.appendleft(one)
                self._bytes += one.size

    async def _write(self, tenant_id: TenantId, lines: list[Noted]) -> None:
        lost = self._lost.pop(tenant_id, 0)
        try:
            # Not by a connection of those that answer: and nearly always by the same one, which knows the statements.
            async with self.database.tenant(tenant_id, _ORIGIN, role="sync", also=_NO_HURRY) as tx:
                on_board = self._is_due(tenant_id)
                await store(tx, self.vault, lines, clock=monotonic(), lost=lost, on_board=on_board)
        except BaseException as error:
            self._lost[tenant_id] = self._lost.get(tenant_id, 0) + lost
            if isinstance(error, Exception) and not isinstance(error, (*UNAVAILABLE, *COLLISION, ConnectionError)):
                # These lines, or this tenant's, cannot be written: the others must not wait for them.
                self._lost[tenant_id] += len(lines)
                _log.error("scim_log_not_written", lines=len(lines), error=type(error).__name__)
                return
            raise

    def _is_due(self, tenant_id: TenantId) -> bool:
        """Whether the board's figures of a tenant are to be counted: about once a minute."""
        if len(self._counted) >= _MOST_COUNTED:
            self._counted.clear()
        due = monotonic() >= self._counted.get(tenant_id, 0.0) + _COUNTED_EVERY_SECONDS
        if due:
            self._counted[tenant_id] = monotonic()
        return due

    async def _run(self) -> None:
        delay = FLUSH_SECONDS
        try:
            while self._waiting:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), delay)
                if self._closing.is_set():
                    return
                try:
                    await self.flush()
                    delay = FLUSH_SECONDS
                except TROUBLE as error:
                    delay = _RETRY_SECONDS
                    _log.warning("scim_log_waits", lines=len(self._waiting), error=type(error).__name__)
        finally:
            self._flushing = None


def vault_of(sealer: Sealer, hash_key: bytes) -> Vault:
    """What seals the log. hash_key: of the key ring; the log's own is made of it."""
    return Vault(sealer, blake2b(b"stoa scim log", key=hash_key, digest_size=32).digest())


@asynccontextmanager
async def request_log(database: Database, vault: Vault) -> AsyncGenerator[RequestLog]:
    """The log of one process. At the end of the block what waits is written."""
    log = RequestLog(database, vault)
    try:
        yield log
    finally:
        await log.close()
