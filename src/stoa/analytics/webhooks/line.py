"""One endpoint's turn: its events are read after its cursor, filtered, and sent one at a time, in order.

What was delivered is written down a little later, together: at the latest half a second after it was sent, and at once
when something fails. A worker that is killed in between has not told anybody, so its successor sends these messages
once more, under the same webhook-id: receivers get each message at least once.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from stoa.analytics.webhooks import failing, metrics, queries, rules
from stoa.analytics.webhooks.leasing import Claim
from stoa.analytics.webhooks.messages import body_of, event_body
from stoa.analytics.webhooks.model import Attempt, Delivery, DeliveryId, DeliveryKind, DeliveryState, Endpoint
from stoa.analytics.webhooks.reading import read_page
from stoa.analytics.webhooks.recording import Done, LineLost, Place, record, recount_wake
from stoa.analytics.webhooks.sending import Message, Way, send
from stoa.analytics.webhooks.slots import Slots
from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.events.model import Renderer, StoredEvent
from stoa.kernel.filters import Typed
from stoa.kernel.ids import new_id
from stoa.tenants import queries as tenants
from stoa.tenants.sealing import Sealer

LEASE: Final = timedelta(seconds=45)
LINGER: Final = 0.5
# A lease that is older than this is lengthened before the next request, which may take 15 seconds.
_LENGTHEN_AFTER: Final = 20.0
_WRITE_AT: Final = 100
_READ_AT_ONCE: Final = 200
_BY_HAND_AT_ONCE: Final = 20
# Settings and secrets are read anew after this long.
_LONGEST_TURN: Final = 60.0
_ORIGIN: Final = Origin(actor="system", via="worker")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every line needs.

    Attributes:
        base_url: of this Stoa, without a slash at the end.
        chance: from 0 to 1, for jitter.
        linger: seconds for which a line waits for more, and after which what was delivered is written down.
    """

    database: Database
    sealer: Sealer
    way: Way
    slots: Slots
    base_url: str
    render: Renderer | None = None
    chance: Callable[[], float] = random.random
    linger: float = LINGER


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The endpoint as it was when the turn began. secrets: with their ends."""

    endpoint: Endpoint
    typed: Typed | None
    secrets: tuple[tuple[str, datetime | None], ...]
    slug: str
    stays_here: bool


@dataclass(slots=True, eq=False)
class Line:
    """A leased endpoint.

    Attributes:
        head: the number of the last event that is known of.
        asked: whether a delivery that was asked for by hand is due.
        again: set when there may be more to do.
    """

    desk: Desk
    claim: Claim
    head: int
    asked: bool
    again: asyncio.Event = field(default_factory=asyncio.Event)
    _place: Place | None = None
    _done: list[Done] = field(default_factory=list[Done])
    # Of the monotonic clock: since when something is not written, and when the lease was last lengthened.
    _unwritten_since: float | None = None
    _leased_at: float = field(default_factory=time.monotonic)
    # What the tenant's clock is ahead of the server's.
    _ahead: timedelta = timedelta(0)

    def tell(self, head: int, *, asked: bool) -> None:
        """There may be more to do."""
        if head > self.head or asked:
            self.head, self.asked = max(head, self.head), self.asked or asked
            self.again.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Does what there is to do, lingers a little for more, and gives the lease back.

        Raises:
            LineLost: the endpoint is another worker's, or was changed by a person.
        """
        loaded = await self._load()
        if loaded is None:
            return
        began = time.monotonic()
        try:
            while True:
                self.again.clear()
                if self.asked:
                    self.asked = False
                    await self._by_hand(loaded)
                await self._in_order(loaded, stop)
                over = stop.is_set() or time.monotonic() - began > _LONGEST_TURN
                if over or not await self._more():
                    break
        except asyncio.CancelledError:
            # What was delivered should not be sent again only because this worker stops.
            with contextlib.suppress(LineLost):
                await asyncio.shield(self._write(release=True))
            raise
        await self._write(release=True)

    async def _more(self) -> bool:
        """Whether there is a reason to go on. What was done is written down meanwhile, when it is time for that."""
        if self.asked:
            return True
        if self._is_blocked():
            return False
        quiet_at = time.monotonic() + 2 * self.desk.linger
        while not self.again.is_set():
            since = self._unwritten_since
            until = quiet_at if since is None else since + self.desk.linger
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.again.wait(), max(0.0, until - time.monotonic()))
                return True
            if since is None:
                return False
            await self._write()
        return True

    # ------------------------------------------------------------------ reading

    async def _load(self) -> _Loaded | None:
        desk, endpoint_id = self.desk, self.claim.endpoint_id
        async with desk.database.tenant(self.claim.tenant_id, _ORIGIN, read_only=True) as tx:
            self._read_at(tx)
            epoch = await tx.fetchval(
                "SELECT lease_epoch FROM webhook_endpoint WHERE tenant_id = $1 AND endpoint_id = $2",
                *(tx.tenant_id, endpoint_id),
            )
            one = await queries.endpoint(tx, endpoint_id)
            if one is None or epoch != self.claim.epoch:
                return None
            opened = await queries.opened_secrets(tx, desk.sealer, endpoint_id)
            tenant = await tenants.tenant(tx)
            blocked = None if one.blocked_by is None else await queries.delivery(tx, one.blocked_by)
        self._place = Place(
            *(one.cursor, blocked, one.blocked_until, one.success_at, one.failing_since, one.given_up),
            *(one.state, one.disabled_reason, one.disabled_at),
        )
        stays = rules.stays_here(tenant.sandbox, one.url, desk.way.allow)
        return _Loaded(one, rules.typed_of(one.filter), tuple(opened), tenant.slug, stays)

    def _now(self) -> datetime:
        """The tenant's clock."""
        return self.desk.database.clock() + self._ahead

    def _read_at(self, tx: TenantTx) -> None:
        self._ahead = tx.now - self.desk.database.clock()

    def _is_blocked(self) -> bool:
        place = self._place
        assert place is not None
        return place.state != "active" or place.blocked_until is not None

    # ------------------------------------------------------------------ in order

    async def _in_order(self, loaded: _Loaded, stop: asyncio.Event) -> None:
        place = self._place
        assert place is not None
        while place.state == "active" and place.cursor < self.head and not stop.is_set():
            async with self.desk.database.tenant(self.claim.tenant_id, _ORIGIN, read_only=True) as tx:
                self._read_at(tx)
                if place.blocked_until is not None and place.blocked_until > tx.now:
                    return
                events = await read_page(tx, place.cursor, _READ_AT_ONCE, self.desk.render)
            place.blocked_until = None
            if not events:
                return
            for event in events:
                if stop.is_set() or not await self._pass(loaded, event):
                    return
            # Where nothing is sent, nothing else writes down how far it is, or lengthens the lease.
            if self._is_time():
                await self._write()

    async def _pass(self, loaded: _Loaded, event: StoredEvent) -> bool:
        """Moves past one event, after it was sent if it is asked for. False: it did not arrive."""
        place, now = self._place, self._now()
        assert place is not None
        waiting = place.blocked_by
        if waiting is not None and waiting.seq != event.seq:
            waiting = None
        if not rules.matches(loaded.typed, event, now):
            if waiting is not None:
                self._keep(Done(_ended(waiting, "skipped", now), None))
            self._moved(place, event.seq)
            return True
        delivery = waiting or self._fresh(loaded.endpoint, event, now)
        if loaded.stays_here:
            self._keep(Done(_ended(delivery, "kept", now), None))
            self._moved(place, event.seq)
            return True
        body = event_body(event, self.claim.tenant_id, loaded.slug, self.desk.base_url)
        attempt = await self._send(loaded, delivery, body)
        if not attempt.delivered:
            await self._failed(loaded, delivery, attempt)
            return False
        self._keep(Done(_after(delivery, attempt, "delivered"), attempt))
        place.success_at = attempt.at
        self._moved(place, event.seq)
        if place.failing_since is not None or self._is_time():
            await self._write(recovered=place.failing_since is not None)
        return True

    def _fresh(self, endpoint: Endpoint, event: StoredEvent, now: datetime) -> Delivery:
        kind: DeliveryKind = "replayed" if event.seq <= endpoint.replayed_to else "event"
        message = rules.message_id(self.claim.tenant_id, event.seq)
        return Delivery(
            *(DeliveryId(new_id()), endpoint.endpoint_id, kind, message, event.seq, event.type),
            *("waiting", 0, None, None, now, None, None),
        )

    def _moved(self, place: Place, seq: int) -> None:
        place.cursor, place.blocked_by = seq, None
        if self._unwritten_since is None:
            self._unwritten_since = time.monotonic()

    async def _send(self, loaded: _Loaded, delivery: Delivery, body: bytes) -> Attempt:
        desk = self.desk
        async with desk.slots.taken(self.claim.tenant_id):
            if time.monotonic() - self._leased_at > _LENGTHEN_AFTER:
                await self._write()
            now = self._now()
            live = tuple(secret for secret, expires_at in loaded.secrets if expires_at is None or expires_at > now)
            message = Message(loaded.endpoint.url, delivery.message_id, body, live, self.claim.endpoint_id.hex)
            attempt = await send(desk.way, message, delivery.attempts + 1, now, desk.database.clock())
        metrics.ATTEMPTS.labels("delivered" if attempt.delivered else "failed").inc()
        return attempt

    # ------------------------------------------------------------------ by hand

    async def _by_hand(self, loaded: _Loaded) -> None:
        """Tests, and what somebody wants sent once more. They hold up nothing, and nothing holds them up."""
        place = self._place
        assert place is not None
        blocked = None if place.blocked_by is None else place.blocked_by.delivery_id
        async with self.desk.database.tenant(self.claim.tenant_id, _ORIGIN, read_only=True) as tx:
            self._read_at(tx)
            now = tx.now
            due = await queries.waiting(tx, self.claim.endpoint_id, blocked, _BY_HAND_AT_ONCE)
            bodies = [await body_of(tx, one, loaded.slug, self.desk.base_url, self.desk.render) for one in due]
        for one, body in zip(due, bodies, strict=True):
            if body is None:
                self._keep(Done(_ended(replace(one, error="erased"), "failed", now), None))
            elif loaded.stays_here:
                self._keep(Done(_ended(one, "kept", now), None))
            else:
                attempt = await self._send(loaded, one, body)
                self._keep(Done(self._after_hand(one, attempt), attempt))
                if attempt.delivered:
                    # The receiver is there: what waits for it is tried at once.
                    place.success_at, place.blocked_until = attempt.at, None
            await self._write(recount=True)
        self.asked = self.asked or len(due) == _BY_HAND_AT_ONCE

    def _after_hand(self, one: Delivery, attempt: Attempt) -> Delivery:
        if attempt.delivered:
            return _after(one, attempt, "delivered")
        next_ = rules.after_failure(attempt, attempt.at, self.desk.chance())
        # A test answers a question of now: later it is of no use.
        if one.kind == "test" or not isinstance(next_, rules.Again):
            return _after(one, attempt, "failed")
        return replace(_after(one, attempt, "waiting"), next_at=next_.at, ended_at=None)

    # ------------------------------------------------------------------ writing

    def _keep(self, done: Done) -> None:
        self._done.append(done)
        if self._unwritten_since is None:
            self._unwritten_since = time.monotonic()

    def _is_time(self) -> bool:
        since = self._unwritten_since
        return len(self._done) >= _WRITE_AT or (since is not None and time.monotonic() - since >= self.desk.linger)

    async def _failed(self, loaded: _Loaded, delivery: Delivery, attempt: Attempt) -> None:
        """Writes down a failure, with all that was delivered before it, and what follows from it."""
        place = self._place
        assert place is not None
        next_ = rules.after_failure(attempt, attempt.at, self.desk.chance(), given_up=place.given_up)
        fallen = _after(delivery, attempt, "waiting")
        match next_:
            case rules.Again(at):
                fallen = replace(fallen, next_at=at, ended_at=None)
                place.blocked_by, place.blocked_until = fallen, at
            case rules.GivenUp():
                fallen = replace(fallen, state="failed")
                place.cursor, place.blocked_by, place.blocked_until = delivery.seq or place.cursor, None, None
                place.given_up += 1
            case rules.Disabled(reason):
                fallen = replace(fallen, next_at=attempt.at, ended_at=None)
                place.blocked_by, place.blocked_until = fallen, None
                place.state, place.disabled_reason, place.disabled_at = "disabled", reason, attempt.at
        place.failing_since = place.failing_since or attempt.at
        self._keep(Done(fallen, attempt))
        since = place.failing_since

        async def tell(tx: TenantTx) -> None:
            await failing.tell_failure(tx, loaded.endpoint, fallen, attempt, next_, since)

        await self._write(then=tell)
        # Given up: the next event is tried now.
        if isinstance(next_, rules.GivenUp):
            self.again.set()

    async def _write(
        self,
        *,
        release: bool = False,
        recovered: bool = False,
        recount: bool = False,
        then: Callable[[TenantTx], Awaitable[None]] | None = None,
    ) -> None:
        place, done = self._place, self._done
        if place is None:
            return
        if recovered:
            place.failing_since, place.given_up = None, 0
        until = None if release else self.desk.database.clock() + LEASE
        async with self.desk.database.tenant(self.claim.tenant_id, _ORIGIN) as tx:
            await record(tx, self.claim, place, done, until)
            if recount:
                await recount_wake(tx, self.claim.endpoint_id)
            if recovered:
                await failing.tell_recovery(tx, self.claim.endpoint_id)
            if then is not None:
                await then(tx)
        self._done, self._unwritten_since, self._leased_at = [], None, time.monotonic()


def _ended(delivery: Delivery, state: DeliveryState, at: datetime) -> Delivery:
    return replace(delivery, state=state, next_at=None, ended_at=at)


def _after(delivery: Delivery, attempt: Attempt, state: DeliveryState) -> Delivery:
    return replace(
        _ended(delivery, state, attempt.at), attempts=attempt.number, status=attempt.status, error=attempt.error
    )
