"""Users made, changed and read together: what several requests of one sender ask, in one transaction.

A request whose answer needs more than the plain way (somebody of that name is known, an effect must wait, what was
remembered of the sender has changed) is given back, with nothing of it done, and is then done by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, TypeAlias

import structlog

from stoa.access.model import Credential
from stoa.db.database import Database
from stoa.db.errors import COLLISION, UNAVAILABLE, UniqueViolation
from stoa.db.transactions import Origin, TenantTx
from stoa.identity.scim import users
from stoa.identity.scim.effort import Effort
from stoa.identity.scim.entrance import Senders, sender
from stoa.identity.scim.errors import ScimError
from stoa.identity.scim.http import Answer, Call, Request, error_answer, json_of, names_version, query_of
from stoa.identity.scim.joining.lanes import Lanes
from stoa.identity.scim.lists.searching import compiled
from stoa.identity.scim.log.model import Arrival
from stoa.identity.scim.own.offered import Offered
from stoa.identity.scim.own.offers import Offers
from stoa.identity.scim.turns import Crowded, Turns
from stoa.identity.scim.wire import version_of
from stoa.kernel.ids import SourceId, TenantId, parse_id
from stoa.people.groups_queries import groups_of
from stoa.people.joined_changes import Said, Standing, assert_together, lock_together
from stoa.people.joined_newcomers import Newcomer, locking, make_newcomers
from stoa.people.model import Asserted

# Longer ones are done by themselves: others would wait for their reading.
_LONGEST_BODY: Final = 32_768
# Whoever holds what one of them needs keeps that one waiting, and not the others.
_LOCKS_WAIT: Final = "SET LOCAL lock_timeout = 300"
_READING_WAYS: Final = 2
_log: Final[Any] = structlog.get_logger("stoa.scim")
_Does: TypeAlias = Asserted | users.Edit
# What a search may ask besides, to be quick.
_QUICK: Final = frozenset({"filter", "count", "startIndex", "attributes", "excludedAttributes"})


class _Kind(Enum):
    """What requests do that are done together."""

    MAKE = "make"
    CHANGE = "change"
    READ = "read"


_KINDS: Final = {"POST": _Kind.MAKE, "PUT": _Kind.CHANGE, "PATCH": _Kind.CHANGE, "GET": _Kind.READ}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be done together with others.

    Attributes:
        request: with its query; base_url, resource_id: as of `Call`.
        does: the user whom it makes, or what it has a user say; None of one that reads.
        offered: the schemas by which it was read.
    """

    arrival: Arrival
    tenant_id: TenantId
    token: str
    request: Request
    base_url: str
    resource_id: str
    does: _Does | None
    offered: Offered

    @property
    def kind(self) -> _Kind:
        """What it does."""
        return _KINDS[self.request.method]


@dataclass(frozen=True, slots=True)
class _Doing:
    """Some requests of one sender, in their transaction."""

    tx: TenantTx
    credential: Credential
    source_id: SourceId

    def call(self, one: Asked) -> Call:
        """One of the requests as if it were alone."""
        return Call(self.tx, self.credential, self.source_id, one.request, one.resource_id, one.base_url, one.offered)

    def origin(self, one: Asked) -> Origin:
        """Who acts in one of the requests."""
        return replace(self.tx.origin, request_id=one.arrival.trace_id, address=one.arrival.address)


@dataclass(slots=True)
class Together:
    """What joins the requests of one process."""

    database: Database
    senders: Senders
    offers: Offers
    turns: Turns
    _lanes: Lanes[Asked, Answer | None] = field(init=False)
    _turn: int = 0

    def __post_init__(self) -> None:
        self._lanes = Lanes(self._work)

    async def answered(
        self, arrival: Arrival, tenant_id: TenantId, token: str, request: Request, query: str, base_url: str
    ) -> Answer | None:
        """The answer; None where the request is to be done by itself, and nothing of it was done.

        query: the request's, as it was sent. Raises what the database raises when it is away.
        """
        asked = self._asked(arrival, tenant_id, token, request, query, base_url)
        if asked is None:
            return None
        lane = self._lane(asked)
        return None if self._lanes.is_full(lane) else await self._lanes.done(lane, asked)

    def _lane(self, asked: Asked) -> tuple[TenantId, str, _Kind, int]:
        """With which others it may be done. Reads go by two ways in turn: while the database reads for the one, the
        other's answers are written.
        """
        way = 0
        if asked.kind is _Kind.READ:
            way = self._turn = (self._turn + 1) % _READING_WAYS
        return asked.tenant_id, asked.token, asked.kind, way

    def _asked(
        self, arrival: Arrival, tenant_id: TenantId, token: str, request: Request, query: str, base_url: str
    ) -> Asked | None:
        if len(request.body) > _LONGEST_BODY or request.path[:1] != ("Users",):
            return None
        credential, unchanged = self.senders.known(tenant_id, token)
        _, offered = self.offers.unchanged(tenant_id, unchanged)
        if offered is None or credential is None or credential.source_id is None:
            return None
        if offered.answering_of(credential.source_id).awaits:
            # Whoever comes may be awaited in groups, which are locked before users are.
            return None
        try:
            request = replace(request, query=query_of(query))
            users.wanted_of(offered, request)
            does = _read(offered, request)
            reads = does is None and _is_quick(offered, request)
        except ScimError:
            # Who may not come in is not told what is wrong with the request.
            return None
        if does is None and not reads:
            return None
        resource_id = "" if len(request.path) == 1 else request.path[1]
        return Asked(arrival, tenant_id, token, request, base_url, resource_id, does, offered)

    async def _work(self, asked: Sequence[Asked]) -> Sequence[Answer | None]:
        first = asked[0]
        _, unchanged = self.senders.known(first.tenant_id, first.token)
        also, offered = self.offers.unchanged(first.tenant_id, unchanged)
        if not also or any(one.offered is not offered for one in asked):
            return [None] * len(asked)
        reads = first.kind is _Kind.READ
        begin = "" if reads else _LOCKS_WAIT
        if first.kind is _Kind.MAKE:
            said = (one.does for one in asked if isinstance(one.does, Asserted))
            begin += f"; {locking(first.tenant_id, said)}"
        try:
            async with (
                self.turns.taken(first.tenant_id, 0, known=True),
                self.database.tenant(
                    first.tenant_id, first=begin, also=also, read_only=reads, one_plan=not reads
                ) as tx,
            ):
                known = await sender(tx, self.senders, first.token, None, None) if tx.found else None
                return [None] * len(asked) if known is None else await _done(_Doing(tx, *known), asked)
        except UNAVAILABLE:
            # Whether they were done, nobody knows: to do them once more may be to do them twice.
            raise
        except (Crowded, UniqueViolation, *COLLISION):
            return [None] * len(asked)
        except Exception as error:
            _log.error("scim_together_failed", requests=len(asked), error=type(error).__name__)
            return [None] * len(asked)


def _read(offered: Offered, request: Request) -> _Does | None:
    """What a request does, if it is one of those that can be joined. Raises ScimError."""
    match request.method, len(request.path):
        case "POST", 1:
            return users.asserted_by(offered, json_of(request))
        case "PUT", 2:
            return users.replacing(offered, request)
        case "PATCH", 2:
            return users.patching(offered, request)
        case _:
            return None


def _is_quick(offered: Offered, request: Request) -> bool:
    """Whether a request reads one user, or finds a few by an index: others wait for it. Raises ScimError."""
    if request.method != "GET" or len(request.path) > 2:
        return False
    if len(request.path) == 2:
        return parse_id(request.path[1]) is not None
    text = request.query.get("filter", "").strip()
    if not text or not request.query.keys() <= _QUICK:
        return False
    return not compiled(users.listed(offered).catalogue, text).needs_scan


async def _done(doing: _Doing, asked: Sequence[Asked]) -> list[Answer | None]:
    for one in asked:
        one.arrival.source_id, one.arrival.credential_id = doing.source_id, doing.credential.credential_id
    match asked[0].kind:
        case _Kind.MAKE:
            return await _made(doing, asked)
        case _Kind.CHANGE:
            return await _changed(doing, asked)
        case _Kind.READ:
            return [await _told(doing, one) for one in asked]


async def _made(doing: _Doing, asked: Sequence[Asked]) -> list[Answer | None]:
    newcomers = [Newcomer(one.does, doing.origin(one)) for one in asked if isinstance(one.does, Asserted)]
    made = await make_newcomers(doing.tx, doing.source_id, newcomers)
    return [
        None if one is None else await users.provisioned(doing.call(question), one)
        for question, one in zip(asked, made, strict=True)
    ]


async def _told(doing: _Doing, one: Asked) -> Answer:
    try:
        return await (users.read if one.resource_id else users.search)(doing.call(one))
    except ScimError as error:
        return error_answer(error)


async def _changed(doing: _Doing, asked: Sequence[Asked]) -> list[Answer | None]:
    ids = {resource_id for one in asked if (resource_id := parse_id(one.resource_id)) is not None}
    there = await lock_together(doing.tx, doing.source_id, ids)
    # Of two that change one user, the second is done by itself, after the first.
    told: dict[int, Said] = {}
    for nth, one in enumerate(asked):
        resource_id = parse_id(one.resource_id)
        standing = None if resource_id is None else there.pop(resource_id, None)
        asserted = None if standing is None else _asserted(one, standing)
        if standing is not None and asserted is not None:
            told[nth] = Said(standing, asserted, doing.origin(one))
    done = dict(zip(told, await assert_together(doing.tx, doing.source_id, list(told.values())), strict=True))
    wanted = [
        told[nth].standing.record.resource_id
        for nth, outcome in done.items()
        if outcome is not None
        and told[nth].standing.grouped
        and users.wanted_of(asked[nth].offered, asked[nth].request).includes("groups")
    ]
    groups = await groups_of(doing.tx, wanted) if wanted else {}
    return [
        None if (outcome := done.get(nth)) is None else users.changed(doing.call(one), outcome, groups)
        for nth, one in enumerate(asked)
    ]


def _asserted(one: Asked, standing: Standing) -> Asserted | None:
    """What a request has the record say; None where it is refused, which it is by itself."""
    condition = one.request.headers.get("if-match")
    if (
        one.does is None
        or isinstance(one.does, Asserted)
        or (condition is not None and not names_version(condition, version_of(standing.record)))
    ):
        return None
    try:
        return one.does(standing.record, Effort())
    except ScimError:
        return None
