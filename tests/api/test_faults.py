"""Faults on demand: for sandbox tenants, and nobody else."""

import httpx2
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId

from ..conftest import MakeTenant
from .calling import listening, serving, token_of


@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [("rate_limited", 429, "1"), ("service_unavailable", 503, "1"), ("internal_error", 500, None)],
)
async def test_a_sandbox_fails_as_it_is_asked_to(
    server: embedded.Server, database: Database, make_tenant: MakeTenant, fault: str, status: int, retry_after: str
) -> None:
    tenant_id = await make_tenant(sandbox=True)
    async with serving(server, await token_of(database, tenant_id)) as client:
        answer = await client.get("/v1/me", headers={"Stoa-Fault": fault})
        assert (answer.status_code, answer.headers.get("Retry-After")) == (status, retry_after)
        assert answer.json()["code"] == fault
        assert (await client.get("/v1/me")).status_code == 200


async def test_elsewhere_the_header_is_refused(
    server: embedded.Server, database: Database, tenant_id: TenantId, make_tenant: MakeTenant
) -> None:
    sandbox = await make_tenant(sandbox=True)
    for of, fault in ((tenant_id, "rate_limited"), (sandbox, "nothing")):
        async with serving(server, await token_of(database, of)) as client:
            answer = await client.get("/v1/me", headers={"Stoa-Fault": fault})
        assert (answer.status_code, answer.json()["header"]) == (400, "Stoa-Fault")


async def test_the_work_whose_answer_was_lost_is_done_once(
    server: embedded.Server, database: Database, make_tenant: MakeTenant
) -> None:
    tenant_id = await make_tenant(sandbox=True)
    token = await token_of(database, tenant_id, source="Payroll")
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "the one"}
    body = {"user_name": "ada", "display_name": "Ada"}
    async with listening(server) as base_url, httpx2.AsyncClient(base_url=base_url, headers=headers) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post("/v1/people", json=body, headers={"Stoa-Fault": "lost_answer"})
        again = await client.post("/v1/people", json=body)
        assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
        assert [one["id"] for one in (await client.get("/v1/people")).json()["items"]] == [again.json()["id"]]
