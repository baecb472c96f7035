"""Who is calling: the tenant from the path, the sender from the bearer token. A token opens its own tenant and no
other.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from typing import Final

from stoa.access.model import Credential
from stoa.access.queries import USE_NOTED_EVERY, credential_by_token, tenant_of_token, unchanged_query
from stoa.access.rules import token_hash
from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.identity.scim.errors import ScimError, not_found, unauthorised
from stoa.identity.scim.failures import Failures
from stoa.identity.scim.log.model import Arrival
from stoa.kernel.ids import SourceId, TenantId
from stoa.tenants.model import Phase
from stoa.tenants.queries import tenant_id_of_slug
from stoa.tenants.status import ask_recount, note_contact

SCOPE: Final = "scim"
SLUG_SECONDS: Final = 30.0
_MOST_SLUGS: Final = 10_000
_MOST_SENDERS: Final = 20_000
_LONGEST_TOKEN: Final = 300
_SLUG: Final = re.compile("[a-z0-9-]{1,63}")


def bearer_token(headers: Mapping[str, str]) -> str:
    """The token of the Authorization header (RFC 6750, 2.1). Raises ScimError 401."""
    given = headers.get("authorization")
    if given is None:
        raise unauthorised("Send the token of this SCIM connection as Authorization: Bearer TOKEN.")
    scheme, _, token = given.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN:
        raise unauthorised("The Authorization header must be: Bearer TOKEN.", invalid=True)
    return token


@dataclass(slots=True)
class Slugs:
    """Which tenant a slug names, remembered for a short time. A slug that names none is looked up each time, for it
    may come to.
    """

    database: Database
    clock: Callable[[], float] = monotonic
    _known: dict[str, tuple[TenantId, float]] = field(default_factory=dict[str, tuple[TenantId, float]])

    async def tenant_of(self, slug: str) -> TenantId:
        """Raises ScimError 404."""
        known = self._known.get(slug)
        if known is not None and known[1] > self.clock():
            return known[0]
        tenant_id = None
        if _SLUG.fullmatch(slug) is not None:
            async with self.database.platform() as tx:
                tenant_id = await tenant_id_of_slug(tx, slug)
        if tenant_id is None:
            self._known.pop(slug, None)
            raise not_found("There is no SCIM service at this address. Copy it from the connection's page in Stoa.")
        if len(self._known) >= _MOST_SLUGS:
            self._known.clear()
        self._known[slug] = (tenant_id, self.clock() + SLUG_SECONDS)
        return tenant_id


@dataclass(slots=True)
class Senders:
    """Credentials as they were when they were last read, for a minute. Whether one still is so is asked in the round
    trip that begins a request's transaction: what was revoked is refused at once.
    """

    clock: Callable[[], float] = monotonic
    _known: dict[tuple[TenantId, bytes], tuple[float, Credential, str]] = field(
        default_factory=dict[tuple[TenantId, bytes], tuple[float, Credential, str]], repr=False
    )

    def known(self, tenant_id: TenantId, token: str) -> tuple[Credential | None, str]:
        """The credential, and what asks the database whether it is still as it was (`Database.tenant`, `also`)."""
        digest = token_hash(token)
        found = None if digest is None else self._known.get((tenant_id, digest))
        return (None, "") if found is None or found[0] <= self.clock() else found[1:]

    def has_seen(self, tenant_id: TenantId, token: str) -> bool:
        """Whether the token has opened the tenant since the process began, as far as is remembered: it is no guess."""
        digest = token_hash(token)
        return digest is not None and (tenant_id, digest) in self._known

    def note(self, tenant_id: TenantId, token: str, credential: Credential) -> None:
        """Remembers a credential that was just read."""
        digest = token_hash(token)
        if digest is not None:
            if len(self._known) >= _MOST_SENDERS:
                self._known.clear()
            unchanged = unchanged_query(tenant_id, token, credential)
            self._known[tenant_id, digest] = (self.clock() + USE_NOTED_EVERY.total_seconds(), credential, unchanged)


async def sender(
    tx: TenantTx, senders: Senders, token: str, request_id: str | None, address: str | None
) -> tuple[Credential, SourceId] | None:
    """The credential and the source in whose name it asserts; None if the token is not this tenant's or no longer good.

    From here on the transaction acts in the credential's name. Raises ScimError 403 for a credential that is not for
    SCIM.
    """
    credential, _ = senders.known(tx.tenant_id, token)
    if tx.found and credential is not None and credential.source_id is not None and credential.opens_at(tx.now):
        tx.origin = Origin(f"scim:{credential.credential_id}", "scim", request_id, address)
        return credential, credential.source_id
    credential = await credential_by_token(tx, token)
    if credential is None:
        return None
    if credential.kind != "token" or not credential.permits(SCOPE) or credential.source_id is None:
        raise ScimError(HTTPStatus.FORBIDDEN, f"This token is not for SCIM: it lacks the scope {SCOPE} or a source.")
    tx.origin = Origin(f"scim:{credential.credential_id}", "scim", request_id, address)
    if credential.last_used_at is None or credential.last_used_at <= tx.now - USE_NOTED_EVERY:
        await note_contact(tx, Phase.IDENTITY)
        await ask_recount(tx, lasting=USE_NOTED_EVERY)
    senders.note(tx.tenant_id, token, credential)
    return credential, credential.source_id


async def refusal(failures: Failures, tenant_id: TenantId, token: str, arrival: Arrival) -> ScimError:
    """Why a token did not open the tenant: 404 if it opens another one, else 401, of which an alert and the log of
    requests tell if the token once was good here.
    """
    async with failures.database.platform() as tx:
        owner = await tenant_of_token(tx, token)
    if owner is not None and owner != tenant_id:
        return not_found("This token is for another address. Copy both from the same connection's page in Stoa.")
    if owner is not None:
        ended = await failures.token_refused(tenant_id, token, arrival.trace_id)
        if ended is not None:
            arrival.source_id, arrival.credential_id = ended.source_id, ended.credential_id
    return unauthorised(
        "The token is unknown, expired or revoked. Make a new one and put it into the connection.", invalid=True
    )
