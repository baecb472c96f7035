"""Work that comes while earlier work of its kind is being done is done together next.

What comes alone is begun at once. Where several were answered just now, though, they are likely to ask again within a
moment, and the first of them waits that moment for the others: else it would go alone, and they after it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

# More are no cheaper each, and whoever was first would wait for the last.
MOST_TOGETHER: Final = 32
MOST_WAITING: Final = 1_000
COMPANY_SECONDS: Final = 0.0015

_Work = TypeVar("_Work")
_Result = TypeVar("_Result")


@dataclass(slots=True)
class _Lane(Generic[_Work, _Result]):
    """expected: how many are waited for; here: done when there are so many, or for long enough."""

    waiting: list[tuple[_Work, asyncio.Future[_Result]]]
    task: asyncio.Task[None] | None = None
    expected: int = 0
    here: asyncio.Future[None] | None = None

    def come(self) -> None:
        """Ends the waiting for others."""
        if self.here is not None and not self.here.done():
            self.here.set_result(None)

    async def gather(self, expected: int) -> None:
        """Waits a moment for as many."""
        if len(self.waiting) >= expected:
            return
        loop = asyncio.get_running_loop()
        self.expected, self.here = expected, loop.create_future()
        long_enough = loop.call_later(COMPANY_SECONDS, self.come)
        try:
            await self.here
        finally:
            long_enough.cancel()
            self.here = None


@dataclass(slots=True)
class Lanes(Generic[_Work, _Result]):
    """Those of one process.

    work: does some of the work of one lane, and gives the result of each.
    """

    work: Callable[[Sequence[_Work]], Awaitable[Sequence[_Result]]]
    _lanes: dict[Hashable, _Lane[_Work, _Result]] = field(default_factory=dict[Hashable, _Lane[_Work, _Result]])

    def is_full(self, lane: Hashable) -> bool:
        """Whether no more of this kind may wait."""
        known = self._lanes.get(lane)
        return known is not None and len(known.waiting) >= MOST_WAITING

    async def done(self, lane: Hashable, one: _Work) -> _Result:
        """The result of `one`. Raises what `work` raised."""
        known = self._lanes.get(lane)
        if known is None:
            known = self._lanes[lane] = _Lane([])
            known.task = asyncio.create_task(self._drain(lane, known))
        result: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        known.waiting.append((one, result))
        if len(known.waiting) >= known.expected:
            known.come()
        return await result

    async def _drain(self, lane: Hashable, known: _Lane[_Work, _Result]) -> None:
        try:
            while known.waiting:
                some, known.waiting = known.waiting[:MOST_TOGETHER], known.waiting[MOST_TOGETHER:]
                await self._do([(one, result) for one, result in some if not result.done()])
                if len(some) + len(known.waiting) > 1:
                    await known.gather(len(some))
        finally:
            del self._lanes[lane]
            for _, result in known.waiting:
                result.cancel()

    async def _do(self, some: Sequence[tuple[_Work, asyncio.Future[_Result]]]) -> None:
        if not some:
            return
        try:
            found = await self.work([one for one, _ in some])
        except BaseException as error:
            for _, result in some:
                if not result.done():
                    if isinstance(error, Exception):
                        result.set_exception(error)
                    else:
                        result.cancel()
            if not isinstance(error, Exception):
                raise
            return
        for (_, result), one in zip(some, found, strict=True):
            if not result.done():
                result.set_result(one)
