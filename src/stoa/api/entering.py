"""Who calls: from the bearer token to the tenant and the credential, in every process and on every request.

Which tenant a token belongs to never changes, so that is remembered for a minute. Whether the token is still good is
asked anew in each request's transaction: what was revoked is refused at once.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final
from weakref import WeakValueDictionary

from stoa.access.clients_rules import may_call_from
from stoa.access.model import Credential
from stoa.access.queries import credential_by_token, tenant_of_token, unchanged_query
from stoa.access.rules import token_hash
from stoa.access.scopes import granted
from stoa.api.errors import AddressNotAllowed, InsufficientScope, NotAuthenticated
from stoa.api.operations import Operation
from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.kernel.ids import TenantId

REMEMBERED_SECONDS: Final = 60.0
_MOST_REMEMBERED: Final = 20_000
_LONGEST_TOKEN: Final = 300
# Requests of one tenant that a process works on at once; further ones wait, and leave the pool's connections to others.
WORKED_ON_AT_ONCE: Final = 8
# What opens the API; a client secret does not, it is exchanged at /oauth/token.
OPENING: Final = frozenset({"token", "api_key", "access_token"})

_TENANT: Final = "SELECT slug, sandbox FROM tenant WHERE tenant_id = $1"


@dataclass(frozen=True, slots=True)
class Known:
    """A token that belongs to somebody, and what it was good for when it was last seen.

    Attributes:
        unchanged: what asks the database whether the credential is still as it was (`Database.tenant`).
        holder: whose budget and idempotency keys they are: the client's, or the credential's own.
    """

    token: str = field(repr=False)
    tenant_id: TenantId
    tenant: str
    credential: Credential
    sandbox: bool
    unchanged: str = field(repr=False)
    holder: str

    @classmethod
    def of(cls, token: str, tenant_id: TenantId, tenant: str, credential: Credential, *, sandbox: bool) -> "Known":
        """Put together once, for many requests."""
        unchanged = unchanged_query(tenant_id, token, credential)
        return cls(token, tenant_id, tenant, credential, sandbox, unchanged, holder_of(credential))


def bearer_token(headers: Mapping[str, str]) -> str:
    """The token of the Authorization header (RFC 6750, 2.1). Raises NotAuthenticated."""
    given = headers.get("authorization")
    if given is None:
        raise NotAuthenticated(
            "The request shows no token.", hint="Send Authorization: Bearer TOKEN, with an API key or an access token."
        )
    scheme, _, token = given.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN or not token.isascii():
        raise NotAuthenticated("The Authorization header must be: Bearer TOKEN.")
    return token


def refused() -> NotAuthenticated:
    """What is said of a token that opens nothing, whatever the reason: strangers learn nothing by it."""
    return NotAuthenticated(
        "The token is unknown, expired or revoked.",
        hint="An admin of the tenant makes a new one on the page “API clients” of the console.",
    )


@dataclass(slots=True)
class Entrance:
    """Lets callers in. One for each process."""

    database: Database
    clock: Callable[[], float] = monotonic
    _known: dict[bytes, tuple[float, Known]] = field(default_factory=dict[bytes, tuple[float, Known]])
    _turns: WeakValueDictionary[TenantId, asyncio.Semaphore] = field(
        default_factory=WeakValueDictionary[TenantId, asyncio.Semaphore]
    )

    def turn(self, tenant_id: TenantId) -> asyncio.Semaphore:
        """What a request of the tenant holds while it is worked on."""
        found = self._turns.get(tenant_id)
        if found is None:
            found = self._turns[tenant_id] = asyncio.Semaphore(WORKED_ON_AT_ONCE)
        return found

    async def known(self, token: str) -> Known:
        """Whose token this is. Raises NotAuthenticated for one that opens nothing."""
        digest = token_hash(token)
        if digest is None:
            raise refused()
        remembered = self._known.get(digest)
        if remembered is not None and remembered[0] > self.clock():
            return remembered[1]
        found = await self._look_up(token)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = (self.clock() + REMEMBERED_SECONDS, found)
        return found

    async def _look_up(self, token: str) -> Known:
        # Statement by statement: whoever tries what is nobody's token costs one round trip.
        async with self.database.platform_at_once() as tx:
            tenant_id = await tenant_of_token(tx, token)
            tenant = None if tenant_id is None else await tx.fetchrow(_TENANT, tenant_id)
        if tenant_id is None or tenant is None:
            raise refused()
        # Writable, so that the use is noted: at most once a minute, which is as often as this is asked.
        async with self.database.tenant(tenant_id) as tx:
            credential = await credential_by_token(tx, token)
        if credential is None or credential.kind not in OPENING:
            raise refused()
        return Known.of(token, tenant_id, tenant["slug"], credential, sandbox=tenant["sandbox"])

    def note(self, known: Known, credential: Credential) -> None:
        """Remembers what the credential is now."""
        digest = token_hash(known.token)
        remembered = None if digest is None else self._known.get(digest)
        if digest is not None and remembered is not None:
            self._known[digest] = (
                remembered[0],
                Known.of(known.token, known.tenant_id, known.tenant, credential, sandbox=known.sandbox),
            )

    def forget(self, known: Known) -> None:
        """Looks the token up anew next time."""
        digest = token_hash(known.token)
        if digest is not None:
            self._known.pop(digest, None)


async def let_in(tx: TenantTx, known: Known, operation: Operation, address: str | None) -> Credential:
    """The credential, if it opens this operation now. One that is as it was when it was last seen is not read again.

    Raises:
        NotAuthenticated, InsufficientScope, AddressNotAllowed.
    """
    credential = known.credential
    if not tx.found or not credential.opens_at(tx.now):
        fresh = await credential_by_token(tx, known.token)
        if fresh is None or fresh.kind not in OPENING:
            raise refused()
        credential = fresh
    if operation.scope is not None and not granted(credential.scopes, operation.scope):
        raise InsufficientScope(
            f"This takes the scope {operation.scope}; the credential has {', '.join(sorted(credential.scopes))}.",
            hint="An admin of the tenant can give the client that scope.",
            scope=operation.scope,
        )
    if not may_call_from(credential.allowed_addresses, address):
        raise AddressNotAllowed(
            f"The credential may not be used from {address or 'an unknown address'}.",
            hint="An admin of the tenant can add the address on the client's page.",
        )
    return credential


def origin_of(credential: Credential, trace_id: str | None, address: str | None) -> Origin:
    """Who acts, for the event log."""
    actor = (
        f"credential:{credential.credential_id}" if credential.client_id is None else f"client:{credential.client_id}"
    )
    return Origin(actor, "api", trace_id, address)


def holder_of(credential: Credential) -> str:
    """Whose budget and idempotency keys they are: the client's, or the credential's own."""
    return str(credential.client_id or credential.credential_id)
