"""An operation that will go says so, and until when it stays."""

from asyncio import Event
from collections.abc import AsyncGenerator
from datetime import date
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette

from stoa.access.budgets import Budgets
from stoa.api.openapi import document
from stoa.api.operations import Answer, Call, Deprecation, Operation
from stoa.api.serving import Service, with_api
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.tenants.sealing import Sealer

from .calling import BASE_URL, token_of


class Old(msgspec.Struct):
    """What an old operation answers."""

    id: str


async def _old(_: Call[Any, None]) -> Answer:
    return Answer(content=Old("x"))


OLD = Operation(
    id="getOld",
    method="GET",
    path="/v1/old",
    tag="Tenant",
    summary="Get what is old",
    scope=None,
    handler=_old,
    answers={200: Old},
    deprecated=Deprecation(date(2026, 11, 23), date(2027, 5, 31), "Use /v1/new."),
)


@pytest.fixture
async def client(database: Database, tenant_id: TenantId, sealer: Sealer) -> AsyncGenerator[httpx2.AsyncClient]:
    """Of an API with one operation."""
    service = Service(database, Budgets(database), BASE_URL, Event(), sealer)
    app = with_api(Starlette(), service, (OLD,))
    headers = {"Authorization": f"Bearer {await token_of(database, tenant_id)}"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE_URL, headers=headers) as opened:
        yield opened


async def test_every_answer_says_since_when_and_until_when(client: httpx2.AsyncClient) -> None:
    for query, status in (("", 200), ("?x=1", 400)):
        answer = await client.get(f"/v1/old{query}")
        assert answer.status_code == status
        # RFC 9745 and RFC 8594.
        assert answer.headers["Deprecation"] == "@1795392000"
        assert answer.headers["Sunset"] == "Mon, 31 May 2027 00:00:00 GMT"


def test_the_document_says_what_to_use_instead() -> None:
    told = document((OLD,), base_url=BASE_URL)["paths"]["/v1/old"]["get"]
    assert told["deprecated"] is True
    assert "Use /v1/new." in told["description"]
