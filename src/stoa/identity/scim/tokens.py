"""The tokens of an identity provider: at most two open at a time, which is what a change of tokens takes."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from stoa.access.actions import issue_token, revoke
from stoa.access.model import Issued
from stoa.access.queries import credential, credentials
from stoa.db.transactions import TenantTx
from stoa.identity.scim.entrance import SCOPE
from stoa.kernel.ids import CredentialId, SourceId
from stoa.kernel.problems import BadInput, Conflict, NotFound
from stoa.sync.overview import is_live
from stoa.tenants import queries
from stoa.tenants.actions import ensure_source
from stoa.tenants.model import Source

MOST_LIVE: Final = 2
LONGEST_DAYS: Final = 3650


class TooManyTokens(Conflict):
    """The source has as many tokens that open as it may have. Revoke one that is no longer used first."""

    code = "too_many_tokens"


class NameTaken(Conflict):
    """There is a source of this name already. Choose another name, or add a token to the source that is there."""

    code = "name_taken"


@dataclass(frozen=True, slots=True)
class Connected:
    """A fresh identity provider, with its first token."""

    source: Source
    issued: Issued


async def connect_provider(tx: TenantTx, name: str, *, days: int | None) -> Connected:
    """Makes the source of an identity provider, and its first token.

    Raises BadInput for a name that cannot be one, NameTaken.
    """
    if await queries.source_by_name(tx, name) is not None:
        raise NameTaken("There is a source of this name already.", hint="Choose another name, or open that source.")
    source = await ensure_source(tx, "idp", name)
    return Connected(source, await issue_for(tx, source.source_id, "", days=days))


async def provider(tx: TenantTx, source_id: SourceId) -> Source:
    """The source, if it is an identity provider. Raises NotFound."""
    found = await queries.source(tx, source_id)
    if found is None or found.kind != "idp":
        raise NotFound("There is no such identity provider.", hint="The list of connections shows those there are.")
    return found


async def issue_for(tx: TenantTx, source_id: SourceId, name: str, *, days: int | None) -> Issued:
    """A new token of an identity provider. Its text is given this once.

    days: after how many days it expires; None for never.

    Raises NotFound, BadInput, or TooManyTokens when two open already.
    """
    # Of two who ask at once, the second counts what the first has made.
    await tx.execute(
        "SELECT FROM source WHERE tenant_id = $1 AND source_id = $2 FOR NO KEY UPDATE", tx.tenant_id, source_id
    )
    source = await provider(tx, source_id)
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise BadInput(f"A token lasts 1 to {LONGEST_DAYS} days, or has no end.")
    live = [
        one
        for one in await credentials(tx)
        if one.source_id == source_id and one.permits(SCOPE) and is_live(one, tx.now)
    ]
    if len(live) >= MOST_LIVE:
        raise TooManyTokens(
            f"{source.name} has {MOST_LIVE} tokens that open.",
            hint="Revoke the one that the provider does not use any more, then issue a new one.",
        )
    expires_at = None if days is None else tx.now + timedelta(days=days)
    return await issue_token(tx, [SCOPE], name or f"{source.name} SCIM", source_id, expires_at)


async def revoke_of(tx: TenantTx, source_id: SourceId, credential_id: CredentialId) -> None:
    """Ends a token of this source at once. Raises NotFound."""
    found = await credential(tx, credential_id)
    if found is None or found.source_id != source_id:
        raise NotFound("This source has no such token.", hint="Its page shows the tokens it has.")
    await revoke(tx, credential_id)
