"""Tokens of the API that no client has: made in the terminal, shown beside the clients, and revoked like them."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.actions import revoke
from stoa.access.model import Credential
from stoa.access.permissions import Permission
from stoa.access.queries import credentials
from stoa.access.scopes import SCOPES
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import CredentialId
from stoa.kernel.problems import NotFound
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_LIST: Final = "/api-clients"
_REVOKE: Final = f"{_LIST}/tokens/{{token_id}}/revoke"


def api_token_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    change = Permission.API_CHANGE
    return [
        tenant_page(shell, _REVOKE, _ask, needs=change),
        tenant_action(shell, _REVOKE, _revoke, needs=change),
    ]


async def api_tokens(tx: TenantTx) -> Sequence[Credential]:
    """The tenant's tokens that open the API now, newest first."""
    return [one for one in await credentials(tx) if one.opens_at(tx.now) and one.scopes & SCOPES.keys()]


async def _found(visit: Visit, tx: TenantTx) -> Credential:
    token_id = visit.id("token_id")
    found = next((one for one in await credentials(tx) if one.credential_id == token_id), None)
    if found is None or not found.scopes & SCOPES.keys():
        raise NotFound("There is no such token of the API.", hint="The list of API clients shows those there are.")
    return found


async def _ask(visit: Visit) -> Response:
    async with visit.tx() as tx:
        one = await _found(visit, tx)
    return visit.page("api_clients/revoke_token.html", one=one, address=f"{visit.base}{_LIST}")


async def _revoke(visit: Visit) -> Response:
    async with visit.writing() as tx:
        one = await _found(visit, tx)
        await revoke(tx, CredentialId(one.credential_id))
    return visit.see(_LIST, said=visit.gettext("The token is revoked. It opens nothing any more."))
