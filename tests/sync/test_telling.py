"""What is done to a connection, in the event log: before and after, and no secret."""

from typing import Any

from stoa.sync import changing
from stoa.sync.actions import schedule
from stoa.sync.changing import reconfigure, set_schedule
from tests.sync.conftest import Office

DAILY = {"cron": "0 3 * * *", "time_zone": "UTC", "paused_reason": None}


async def told(office: Office, type_: str) -> list[dict[str, Any]]:
    rows = await office.fetch(f"SELECT body FROM event WHERE tenant_id = $1 AND type = '{type_}' ORDER BY entry_no")
    return [row["body"] for row in rows]


async def test_a_schedule_is_told_as_it_is_set_paused_resumed_and_ended(office: Office) -> None:
    async with office.database.tenant(office.tenant_id) as tx:
        await schedule(tx, office.connection, "0 3 * * *")
    async with office.database.tenant(office.tenant_id) as tx:
        await schedule(tx, office.connection, "0 3 * * *")
    run = await office.sync()
    office.a_day_passes()
    await office.roll_back(run)
    async with office.database.tenant(office.tenant_id) as tx:
        await changing.resume(tx, office.connection.connection_id)
    async with office.database.tenant(office.tenant_id) as tx:
        await set_schedule(tx, office.connection, None)
    paused = {**DAILY, "paused_reason": f"The run {run.run_id} was rolled back."}
    zone = (await office.fetch("SELECT time_zone FROM tenant WHERE tenant_id = $1"))[0]["time_zone"]
    steps = [(None, DAILY), (DAILY, paused), (paused, DAILY), (DAILY, None)]
    assert await told(office, "connection.schedule_changed") == [
        {"before": before and {**before, "time_zone": zone}, "after": after and {**after, "time_zone": zone}}
        for before, after in steps
    ]


async def test_settings_are_told_with_what_they_were(office: Office) -> None:
    before = dict(office.connection.config)
    changed = {**before, "guards": {"deactivate": {"percent": 5.0}}}
    async with office.database.tenant(office.tenant_id) as tx:
        await reconfigure(tx, office.source_worker.planner.opener, office.connection.connection_id, changed)
    [body] = await told(office, "connection.reconfigured")
    assert body["fields"] == ["guards"]
    assert (body["before"], body["after"]) == (
        {"guards": before.get("guards")},
        {"guards": {"deactivate": {"percent": 5.0}}},
    )
