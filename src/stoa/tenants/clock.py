"""The clocks of sandbox tenants, as every transaction needs them."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from stoa.db.database import Database, OffsetReader
from stoa.kernel.ids import TenantId

_KEPT_SECONDS = 1.0


def clock_offset_reader(database: Database, *, monotonic: Callable[[], float] = time.monotonic) -> OffsetReader:
    """A reader of clock offsets, to be handed to `Database.use_clock_offset`.

    It reads the offsets of all sandbox tenants at once (an index holds just these) and keeps them for one second, so
    that a transaction does not cost another. After `move_clock` commits, each process sees the new offset within that
    second.
    """
    offsets: dict[TenantId, timedelta] = {}
    read_at = -float("inf")
    reading = asyncio.Lock()

    async def read(tenant_id: TenantId) -> timedelta:
        nonlocal offsets, read_at
        if monotonic() - read_at >= _KEPT_SECONDS:
            async with reading:
                # Whoever waited here finds what the first one read.
                if monotonic() - read_at >= _KEPT_SECONDS:
                    started = monotonic()
                    async with database.platform() as tx:
                        rows = await tx.fetch("SELECT tenant_id, clock_offset FROM tenant WHERE sandbox")
                    offsets = {row["tenant_id"]: row["clock_offset"] for row in rows}
                    read_at = started
        return offsets.get(tenant_id, timedelta(0))

    return read
