"""Changing a tenant: name, time zone, owner, accent colour."""

from dataclasses import replace
from typing import Any

import pytest

from stoa.db.database import Database
from stoa.jobs.schedules import put_schedule, schedules
from stoa.kernel.ids import TenantId
from stoa.tenants import actions, queries
from stoa.tenants.model import Tenant, TenantChange
from stoa.tenants.rules import BadFields

CHANGE = TenantChange("Acme", "Europe/Berlin", "Ada Lovelace", "ada@acme.example", "#AB12cd")


async def change(database: Database, tenant_id: TenantId, wanted: TenantChange = CHANGE) -> Tenant:
    async with database.tenant(tenant_id) as tx:
        return await actions.change_tenant(tx, wanted)


async def events(database: Database, tenant_id: TenantId) -> list[dict[str, Any]]:
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch("SELECT body FROM event WHERE tenant_id = $1 AND type = 'tenant.changed'", tenant_id)
    return [row["body"] for row in rows]


async def test_everything_is_changed_in_its_stored_form(database: Database, tenant_id: TenantId) -> None:
    changed = await change(database, tenant_id, replace(CHANGE, name="  Straße AG ", accent="abc"))
    assert (changed.name, changed.time_zone, changed.accent) == ("Straße AG", "Europe/Berlin", "#aabbcc")
    assert (changed.owner_name, changed.owner_email) == ("Ada Lovelace", "ada@acme.example")
    async with database.platform() as tx:
        key = await tx.fetchval("SELECT name_key FROM tenant WHERE tenant_id = $1", tenant_id)
        (listing,) = [found for found in await queries.list_tenants(tx) if found.tenant_id == tenant_id]
    assert key == "strasse ag"
    assert listing.accent == "#aabbcc"


async def test_owner_and_accent_can_be_taken_away(database: Database, tenant_id: TenantId) -> None:
    await change(database, tenant_id)
    cleared = await change(database, tenant_id, replace(CHANGE, owner_name=None, owner_email=None, accent=None))
    assert (cleared.owner_name, cleared.owner_email, cleared.accent) == (None, None, None)


async def test_the_event_names_what_changed_and_nobody(database: Database, tenant_id: TenantId) -> None:
    await change(database, tenant_id)
    await change(database, tenant_id)
    await change(database, tenant_id, replace(CHANGE, owner_email="grace@acme.example"))
    first, second = await events(database, tenant_id)
    assert first == {
        "fields": ["name", "time_zone", "owner_name", "owner_email", "accent"],
        "name": "Acme",
        "time_zone": "Europe/Berlin",
        "accent": "#ab12cd",
        "before": {"name": first["before"]["name"], "time_zone": "UTC", "accent": None},
        "after": {"name": "Acme", "time_zone": "Europe/Berlin", "accent": "#ab12cd"},
    }
    assert first["before"]["name"].startswith("Tenant ")
    assert second == {"fields": ["owner_email"], "before": {}, "after": {}}


async def test_every_wrong_field_is_told_and_nothing_is_changed(database: Database, tenant_id: TenantId) -> None:
    wrong = TenantChange("", "Mars/Olympus", "a\nb", "no address", "red")
    with pytest.raises(BadFields) as told:
        await change(database, tenant_id, wrong)
    assert list(told.value.by_field) == ["name", "time_zone", "owner_name", "owner_email", "accent"]
    assert "'red' is not a colour" in told.value.detail
    assert await events(database, tenant_id) == []


async def test_schedules_in_the_old_zone_move_and_others_stay(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        await put_schedule(tx, "sync", "own", "30 2 * * *", "UTC", {"a": 1})
        before = await put_schedule(tx, "sync", "other", "30 2 * * *", "Asia/Tokyo")
    await change(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        after = {one.key: one for one in await schedules(tx)}
    assert (after["own"].time_zone, after["own"].args) == ("Europe/Berlin", {"a": 1})
    assert after["own"].next_at.hour in {0, 1}
    assert after["other"] == before


async def test_another_tenant_stays_as_it_is(database: Database, make_tenant: Any) -> None:
    mine, theirs = await make_tenant(), await make_tenant()
    await change(database, mine)
    async with database.tenant(theirs) as tx:
        assert (await queries.tenant(tx)).accent is None
