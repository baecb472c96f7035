"""`stoa sync undo-since`, as it is typed: shown with --plan-only, then done."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from stoa.db.database import Database
from stoa.people import actions
from stoa.people.model import Asserted, Changed, Provisioned
from tests.commands import run_command
from tests.conftest import MakeTenant
from tests.people.making import source


@pytest.mark.all
async def test_it_puts_back_what_a_source_said_since(
    database: Database, make_tenant: MakeTenant, process_env: dict[str, str]
) -> None:
    slug = f"undo-{uuid4().hex[:8]}"
    tenant_id = await make_tenant(slug=slug, time_zone="Asia/Tokyo")
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        made = await actions.provision(tx, okta, Asserted({"user_name": "ada", "title": "Before"}, True, None, {}))
        assert isinstance(made, Provisioned)
    since = datetime.now(UTC)
    async with database.tenant(tenant_id) as tx:
        said = Asserted({**made.record.values, "title": "After"}, True, None, {})
        assert isinstance(await actions.assert_record(tx, made.record, said), Changed)

    async def stoa(*words: str) -> tuple[int, str, str]:
        ran = await asyncio.to_thread(run_command, ("sync", *words), {**process_env, "COLUMNS": "300"})
        return ran.code, ran.out, ran.err

    code, _, err = await stoa("undo-since", slug, "Entra", since.isoformat())
    assert code == 1
    assert "Sources of this tenant: console, Okta." in err
    code, out, err = await stoa("undo-since", slug, "okta", since.isoformat(), "--plan-only")
    assert code == 0, err
    assert "update" in out
    # Only the run of people has something to do.
    runs = json.loads((await stoa("list", slug, "--json"))[1])
    waiting = [run for run in runs if run["state"] == "planned"]
    assert [run["counts"]["update"] for run in waiting] == [1]
    code, _, err = await stoa("undo-since", slug, "okta", since.isoformat())
    assert code == 1
    assert "under way already" in err
    assert (await stoa("approve", slug, waiting[0]["id"]))[0] == 0
    code, out, err = await stoa("undo-since", slug, "okta", since.isoformat(), "--json")
    assert code == 0, err
    assert [(run["state"], any(run["counts"].values())) for run in json.loads(out)] == [("applied", False)] * 2
    async with database.tenant(tenant_id) as tx:
        assert await tx.fetchval("SELECT title FROM person WHERE tenant_id = $1", tx.tenant_id) == "Before"
