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
from stoa.access.queries import USE_NOTED_EVERY, credential_by_token, tenant_of_token
from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.identity.scim.errors import ScimError, not_found, unauthorised
from stoa.identity.scim.failures import Failures
from stoa.kernel.ids import SourceId, TenantId
from stoa.tenants.model import Phase
from stoa.tenants.queries import tenant_id_of_slug
from stoa.tenants.status import ask_recount, note_contact

SCOPE: Final = "scim"
SLUG_SECONDS: Final = 30.0
_MOST_SLUGS: Final = 10_000
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
            raise not_found("There is no SCIM service at this address.")
        if len(self._known) >= _MOST_SLUGS:
            self._known.clear()
        self._known[slug] = (tenant_id, self.clock() + SLUG_SECONDS)
        return tenant_id


async def sender(
    tx: TenantTx, token: str, request_id: str | None, address: str | None
) -> tuple[Credential, SourceId] | None:
    """The credential and the source in whose name it asserts; None if the token is not this tenant's or no longer good.

    From here on the transaction acts in the credential's name. Raises ScimError 403 for a credential that is not for
    SCIM.
    """
    credential = await credential_by_token(tx, token)
    if credential is None:
        return None
    if credential.kind != "token" or not credential.permits(SCOPE) or credential.source_id is None:
        raise ScimError(HTTPStatus.FORBIDDEN, f"This token is not for SCIM: it lacks the scope {SCOPE} or a source.")
    tx.origin = Origin(f"scim:{credential.credential_id}", "scim", request_id, address)
    if credential.last_used_at is None or credential.last_used_at <= tx.now - USE_NOTED_EVERY:
        await note_contact(tx, Phase.IDENTITY)
        await ask_recount(tx, lasting=USE_NOTED_EVERY)
    return credential, credential.source_id


async def refusal(failures: Failures, tenant_id: TenantId, token: str, trace_id: str | None) -> ScimError:
    """Why a token did not open the tenant: 404 if it opens another one, else 401, of which an alert tells if the token
    once was good here.
    """
    async with failures.database.platform() as tx:
        owner = await tenant_of_token(tx, token)
    if owner is not None and owner != tenant_id:
        return not_found("There is no SCIM service at this address for this token.")
    if owner is not None:
        await failures.token_refused(tenant_id, token, trace_id)
    return unauthorised(
        "The token is unknown, expired or revoked. Make a new one and put it into the connection.", invalid=True
    )
