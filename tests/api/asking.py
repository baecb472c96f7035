"""Asking for access tokens, and what they open."""

from dataclasses import dataclass
from typing import Any

import httpx2

from stoa.access import clients, queries
from stoa.access.model import Credential, Issued
from stoa.db.database import Database
from stoa.events.actions import number_entries
from stoa.events.queries import read_events
from stoa.kernel.ids import ClientId, TenantId
from tests.access.signing import claims_of, jwt, key_for, set_of
from tests.api.calling import BASE_URL

TOKEN = "/oauth/token"
GRANT = {"grant_type": "client_credentials"}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class Made:
    """A client with a secret, in a tenant of its own."""

    tenant_id: TenantId
    client_id: ClientId
    secret: Issued

    @property
    def auth(self) -> tuple[str, str]:
        return str(self.client_id), self.secret.token


async def ask(http: httpx2.AsyncClient, made: Made, **more: str) -> httpx2.Response:
    return await http.post(TOKEN, data=GRANT | more, auth=made.auth)


async def shown(database: Database, made: Made, token: str) -> Credential | None:
    """What a token opens now."""
    async with database.tenant(made.tenant_id) as tx:
        return await queries.credential_by_token(tx, token)


async def register(database: Database, made: Made, *keys: dict[str, Any]) -> None:
    async with database.tenant(made.tenant_id) as tx:
        await clients.set_keys(tx, made.client_id, set_of(*keys) if keys else "")


def signed(made: Made, alg: str = "ES256", **claims: Any) -> dict[str, str]:
    """A request that shows an assertion."""
    said = claims_of(str(made.client_id), BASE_URL + TOKEN, **claims)
    return {**GRANT, "client_assertion_type": ASSERTION_TYPE, "client_assertion": jwt(key_for(alg), {"alg": alg}, said)}


async def events_of(database: Database, made: Made) -> list[tuple[str, dict[str, Any]]]:
    async with database.tenant(made.tenant_id) as tx:
        await number_entries(tx)
        return [(one.type, one.body) for one in await read_events(tx, 0, 200)]


def assert_refused(answer: httpx2.Response, status: int, error: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert answer.headers["content-type"] == "application/json"
    assert ("www-authenticate" in answer.headers) == (status == 401)
