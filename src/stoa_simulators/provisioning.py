"""A provisioning cycle as a stream: lines of progress, then one line with the result."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx2
import msgspec
from starlette.responses import StreamingResponse

from stoa_simulators.estate import Tenancy
from stoa_simulators.scim_client import CycleReport, Directory, GroupMode, Mode, Progress, ScimWire, run_cycle

MOST_CONCURRENT: Final = 64
_EVERY: Final = 0.2


class ProvisionOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Where to push a company's people and groups, and how. A query on `scim_base_url` is dropped: each IdP adds its
    own. groups: `delta`, `push_now` (all members of every group again) or `none`.
    """

    scim_base_url: str
    token: str
    mode: Mode = Mode.FULL
    groups: GroupMode = GroupMode.DELTA
    concurrency: int = 8
    leaver_lag_days: int = 0


def provision_stream(tenancy: Tenancy, order: ProvisionOrder) -> StreamingResponse:
    """Begin the cycle, and answer with its progress. Raises ValueError for an order that cannot be carried out."""
    parts = urlsplit(order.scim_base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("scim_base_url is an absolute http or https URL")
    if not 1 <= order.concurrency <= MOST_CONCURRENT:
        raise ValueError(f"concurrency is between 1 and {MOST_CONCURRENT}")
    if not 0 <= order.leaver_lag_days <= 365:
        raise ValueError("leaver_lag_days is between 0 and 365")
    base_url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    latest = _Latest()
    cycle = asyncio.create_task(_run(tenancy, order, base_url, latest.note))
    tenancy.provisioning = True
    cycle.add_done_callback(lambda _: _release(tenancy))
    return StreamingResponse(_lines(cycle, latest), media_type="application/x-ndjson")


@dataclass(slots=True)
class _Latest:
    """The last progress noted."""

    at: tuple[int, int] = (0, 0)

    def note(self, done: int, total: int) -> None:
        """Remember it."""
        self.at = (done, total)


def _release(tenancy: Tenancy) -> None:
    tenancy.provisioning = False


async def _lines(cycle: asyncio.Task[CycleReport], latest: _Latest) -> AsyncIterator[bytes]:
    """Progress at most five times a second. When the reader goes away the cycle is cancelled."""
    told = latest.at
    try:
        while not cycle.done():
            await asyncio.wait({cycle}, timeout=_EVERY)
            if latest.at != told:
                told = latest.at
                yield _line({"done": told[0], "total": told[1]})
        yield _line({"result": await cycle})
    finally:
        cycle.cancel()


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"


async def _run(tenancy: Tenancy, order: ProvisionOrder, base_url: str, note: Progress) -> CycleReport:
    directory = tenancy.directories.setdefault(base_url, Directory())
    limits = httpx2.Limits(max_connections=order.concurrency, max_keepalive_connections=order.concurrency)
    timeout = httpx2.Timeout(60.0, connect=5.0, pool=None)
    async with httpx2.AsyncClient(limits=limits, timeout=timeout, trust_env=False) as client:
        wire = ScimWire(client, base_url, tenancy.dialect.headers(order.token), tenancy.dialect.flag)
        return await run_cycle(
            tenancy.company,
            tenancy.dialect,
            directory,
            wire,
            mode=order.mode,
            concurrency=order.concurrency,
            leaver_lag_days=order.leaver_lag_days,
            unassigned=tenancy.pushing.unassigned,
            groups=tenancy.pushing.wanted(tenancy.company),
            group_mode=order.groups,
            progress=note,
        )
