"""Requests sent at the same moment, from several servers, by several providers of one tenant."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from stoa.db.database import Database
from stoa.kernel.ids import SourceId, TenantId
from stoa.people.arriving import Arriving, arrive
from tests.api.calling import token_of
from tests.identity.conftest import Issued, Scim, issue

# Whatever is sent at once: done, or not done with a reason, or to be sent again.
SOUND = frozenset({200, 201, 204, 400, 404, 409, 412, 503})


@dataclass(frozen=True)
class Field:
    """A tenant with two identity providers and an API client, each spoken to at every server by turns."""

    database: Database
    tenant_id: TenantId
    okta: Sequence[Scim]
    entra: Sequence[Scim]
    api: Sequence[httpx2.AsyncClient]
    api_token: str
    sign_in: SourceId

    async def post_people(self, turn: int, external_id: str, **person: Any) -> httpx2.Response:
        """A person over the public API."""
        headers = {"Authorization": f"Bearer {self.api_token}", "Idempotency-Key": f"{external_id}-{turn}"}
        body = person | {"external_id": external_id}
        return await self.api[turn % len(self.api)].post("/v1/people", json=body, headers=headers)

    async def signs_in(self, subject: str, email: str, **values: Any) -> object:
        """Somebody signs in whom the provider has verified."""
        arriving = Arriving("https://id.acme.example", subject, email, email, email_verified=True, values=values)
        async with self.database.tenant(self.tenant_id) as tx:
            return await arrive(tx, self.sign_in, arriving)

    async def people(self) -> int:
        """How many people there are."""
        async with self.database.tenant(self.tenant_id) as tx:
            counted = "SELECT count(*) FROM person WHERE tenant_id = $1 AND merged_into IS NULL"
            return await tx.fetchval(counted, self.tenant_id)


async def field_of(database: Database, tenant_id: TenantId, slug: str, clients: Sequence[httpx2.AsyncClient]) -> Field:
    """The tenant's tokens, and each provider at each server."""
    okta, entra = [await issue(database, tenant_id, source=name) for name in ("Okta", "Entra")]
    sign_in = await issue(database, tenant_id, source="Sign-in")

    def sides(issued: Issued) -> list[Scim]:
        return [Scim(client, slug, tenant_id, issued) for client in clients]

    token = await token_of(database, tenant_id, source="Portal")
    return Field(database, tenant_id, sides(okta), sides(entra), clients, token, sign_in.source_id)


async def at_once(asked: Iterable[Awaitable[httpx2.Response]]) -> list[int]:
    """The statuses of requests that were all under way together. Whoever is told to come again is told when."""
    answers = await asyncio.gather(*asked)
    for answer in answers:
        assert answer.status_code in SOUND, answer.text
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
    return [answer.status_code for answer in answers]
