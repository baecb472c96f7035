"""Clients of the API are guarded as identity providers are, and what a source did is undone over the API."""

from datetime import UTC, datetime, timedelta

from stoa.changes.actions import SOURCE_JOB
from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId, new_id
from stoa.outbound.http import HttpClient
from stoa.tenants.sealing import Sealer
from tests.conftest import MakeTenant
from tests.identity.scim.holding import worker_of
from tests.people.api import client_of, created, key, people


async def test_too_many_removals_wait_and_are_undone_with_all_else(
    server: embedded.Server, database: Database, tenant_id: TenantId, sealer: Sealer, make_tenant: MakeTenant
) -> None:
    async with client_of(server, database, tenant_id) as client, HttpClient() as http:
        worker = worker_of(database, sealer, http)
        staff = [await created(client, display_name=f"P{n}", external_id=f"E{n}") for n in range(30)]
        since = datetime.now(UTC)
        items = [{"action": "remove", "external_id": f"E{n}"} for n in range(20)]
        done = await client.post("/v1/bulk/people", json={"items": items}, headers=key())
        assert done.status_code == 207, done.text
        # Ten always pass; the eleventh is more than a tenth of thirty.
        assert len(await people(client, filter="active eq true")) == 20
        held = (await client.get("/v1/runs", params={"filter": 'kind eq "scim_hold"'})).json()["items"]
        assert [(run["state"], run["counts"]) for run in held] == [("held", {"deactivate": 10})]
        again = await client.get(f"/v1/runs/{held[0]['id']}")
        assert again.json()["counts"] == {"deactivate": 10}

        source_id = held[0]["source_id"]
        path = f"/v1/sources/{source_id}/undo"
        for wrong in (since + timedelta(days=1), since - timedelta(days=40)):
            refused = await client.post(path, json={"since": wrong.isoformat()}, headers=key())
            assert (refused.status_code, refused.json()["code"]) == (400, "bad_input")
        asked = await client.post(path, json={"since": since.isoformat()}, headers=key())
        assert asked.status_code == 202, asked.text
        runs = asked.json()["runs"]
        assert [(run["kind"], run["state"], run["plan_only"]) for run in runs] == [("rollback", "queued", True)] * 2
        twice = await client.post(path, json={"since": since.isoformat()}, headers=key())
        assert (twice.status_code, twice.json()["code"]) == (409, "wrong_run_state")
        await worker.claim_one(SOURCE_JOB, source_id, tenant_id)
        approved = await client.post(f"/v1/runs/{runs[0]['id']}/approve", json={"note": "A wrong export."})
        assert approved.status_code == 200, approved.text
        assert approved.json()["counts"] == {"reactivate": 20}
        await worker.claim_one(SOURCE_JOB, source_id, tenant_id)
        assert {one["id"] for one in await people(client, filter="active eq true")} == {one["id"] for one in staff}
        assert (await client.get(f"/v1/runs/{held[0]['id']}")).json()["state"] == "stale"
        missing = await client.post(f"/v1/sources/{new_id()}/undo", json={"since": since.isoformat()}, headers=key())
        assert missing.status_code == 404
    async with client_of(server, database, await make_tenant()) as other:
        assert (await other.post(path, json={"since": since.isoformat()}, headers=key())).status_code == 404
        assert (await other.get(f"/v1/runs/{held[0]['id']}")).status_code == 404
