"""Rate budgets of the public API: of each client, and of each tenant as a whole.

Several processes share one budget. Each takes a block of it from the table `rate_budget`, in one statement, and lets
requests through from the block without asking anybody; so together they never let more through than the quota, and a
request writes only when a block must be taken. A refused request writes nothing once the quota is known to be spent.
(docs/adr/0016-rate-budgets-are-leased.md)
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from stoa.access.budget_rules import LAST_PART, Block, Standing, block_of, window_at
from stoa.access.limits import quotas
from stoa.db.database import Database
from stoa.kernel.ids import TenantId

# The tenant as a whole among the holders.
_WHOLE: Final = ""
# Of one process. A block that is dropped for want of room is lost until its window ends.
_MOST_BLOCKS: Final = 50_000

# Of a row of this window, or of the next one, which a process whose clock is a little ahead has begun. A row of any
# other window is begun anew: a clock that is far ahead must not hold everybody else to its hour.
_BEGUN: Final = "b.window_no IN (excluded.window_no, excluded.window_no + 1)"
_LEFT: Final = f"greatest(excluded.quota - CASE WHEN {_BEGUN} THEN b.leased ELSE 0 END, 0)"
# $6 and $7: what is needed at least, of the tenant's budget and of the client's. excluded.granted: a whole block.
_NEEDED: Final = "CASE WHEN excluded.holder = '' THEN $6::integer ELSE $7::integer END"
_GRANTED: Final = f"least({_LEFT}, greatest({_NEEDED}, least(excluded.granted, {_LEFT} / {LAST_PART})))"

# In order of holder, the tenant first: two leases of one tenant never wait for each other in a ring.
_LEASE: Final = f"""
INSERT INTO rate_budget AS b (tenant_id, holder, window_no, quota, leased, granted)
SELECT $1, a.holder, $2, a.quota, least(a.block, a.quota), least(a.block, a.quota)
FROM unnest($3::text[], $4::integer[], $5::integer[]) AS a (holder, quota, block) ORDER BY a.holder
ON CONFLICT (tenant_id, holder) DO UPDATE SET
  window_no = CASE WHEN {_BEGUN} THEN b.window_no ELSE excluded.window_no END,
  quota = excluded.quota,
  granted = {_GRANTED},
  leased = CASE WHEN {_BEGUN} THEN b.leased ELSE 0 END + {_GRANTED}
RETURNING holder, window_no, quota, leased, granted"""  # noqa: S608 - constants of this page


@dataclass(frozen=True, slots=True)
class Spent:
    """Whether a request may be done, and how its budgets stand after it.

    Attributes:
        standings: the client's budget, then the tenant's.
        retry_after: whole seconds after which it may be tried again; None if it was allowed.
    """

    allowed: bool
    standings: tuple[Standing, ...]
    retry_after: int | None


class Budgets:
    """The budgets as one process sees them. Of one event loop.

    A limit that is changed is known with the next lease: at once to most, and at the latest in the next window.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        """clock: seconds since 1970. The clocks of the machines must agree to some seconds, as by NTP."""
        self._database = database
        self._clock = clock
        self._window = 0
        self._blocks: dict[tuple[TenantId, str], Block] = {}
        self._turns: WeakValueDictionary[TenantId, asyncio.Lock] = WeakValueDictionary()

    async def spend(self, tenant_id: TenantId, holder: str, cost: int = 1) -> Spent:
        """Takes `cost` from the budgets of a client and of its tenant, or nothing if either has less.

        holder: the client's id as text, or the credential's for one that is no client's. It must be one that exists.
        cost: 1 or more. More than a whole quota is taken for the whole quota.
        Raises what the database raises: nothing is let through while it cannot be asked.
        """
        spent = self.spend_now(tenant_id, holder, cost)
        while spent is None:
            turn = self._turns.setdefault(tenant_id, asyncio.Lock())
            # One lease at a time: those who waited find what the first one brought.
            async with turn:
                spent = self.spend_now(tenant_id, holder, cost)
                if spent is None:
                    await self._lease(tenant_id, holder, cost)
                    # None only if the window ended meanwhile.
                    spent = self.spend_now(tenant_id, holder, cost)
        return spent

    def spend_now(self, tenant_id: TenantId, holder: str, cost: int = 1) -> Spent | None:
        """The same without waiting, from what this process holds; None when a block must be leased first."""
        if cost < 1 or holder == _WHOLE:
            raise ValueError(f"a request costs 1 or more and has a holder: {cost}, {holder!r}")
        at = self._clock()
        own, whole = self._block(tenant_id, holder, at), self._block(tenant_id, _WHOLE, at)
        if own is None or whole is None:
            return None
        lets = (own.lets(cost), whole.lets(cost))
        if False in lets:
            standings = (own.standing("client", at), whole.standing("tenant", at))
            waits = [one.reset_in for one, let in zip(standings, lets, strict=True) if let is False]
            return Spent(False, standings, max(waits))
        if None in lets:
            return None
        own, whole = own.spent(cost), whole.spent(cost)
        self._blocks[tenant_id, holder], self._blocks[tenant_id, _WHOLE] = own, whole
        return Spent(True, (own.standing("client", at), whole.standing("tenant", at)), None)

    def _block(self, tenant_id: TenantId, holder: str, at: float) -> Block | None:
        window = window_at(at)
        if window != self._window:
            self._window = window
            self._blocks = {key: block for key, block in self._blocks.items() if block.window >= window}
        block = self._blocks.get((tenant_id, holder))
        # One that was leased across the end of its window is void too.
        return None if block is None or block.window < window else block

    async def _lease(self, tenant_id: TenantId, holder: str, cost: int) -> None:
        """Takes a block of each budget that has too little here. A caller that goes away loses what it took."""
        at = self._clock()
        held = {one: self._block(tenant_id, one, at) for one in (_WHOLE, holder)}
        lacking = [one for one, block in held.items() if block is None or block.lets(cost) is None]
        async with self._database.tenant(tenant_id) as tx:
            found = await quotas(tx, holder)
            of = {_WHOLE: found.tenant, holder: found.client}
            needed = {
                one: max(1, min(cost, of[one]) - (0 if block is None else block.held)) for one, block in held.items()
            }
            rows = await tx.fetch(
                _LEASE,
                tenant_id,
                window_at(at),
                lacking,
                [of[one] for one in lacking],
                [max(block_of(of[one]), needed[one]) for one in lacking],
                needed[_WHOLE],
                needed[holder],
            )
        for row in rows:
            self._keep((tenant_id, row["holder"]), row["window_no"], row["quota"], row["leased"], row["granted"])

    def _keep(self, key: tuple[TenantId, str], window: int, quota: int, leased: int, granted: int) -> None:
        before = self._blocks.pop(key, None) or Block(window, quota, 0, 0)
        if len(self._blocks) >= _MOST_BLOCKS:
            self._blocks.pop(next(iter(self._blocks)))
        self._blocks[key] = before.refilled(window, quota, leased, granted)
