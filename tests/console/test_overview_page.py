"""The overview of a tenant over HTTP: its phases, what waits, what to do next."""

import pytest

from stoa.access.actions import issue_token
from stoa.access.permissions import Role
from stoa.alerts.actions import raise_alert
from stoa.changes import queries
from stoa.changes.model import NewRun, Run, RunKind, RunState
from stoa.db.database import Database
from stoa.kernel.ids import ConnectionId, SourceId
from stoa.tenants import status
from stoa.tenants.actions import create_connection, ensure_source, pause_connection
from stoa.tenants.model import NewConnection, Phase
from stoa.tenants.sealing import Sealer
from tests.conftest import MakeTenant
from tests.console.conftest import MakePlace, Place
from tests.web.signed_in import Browsers, text_of

HOSTILE = "<script>alert(1)</script> \u202egnp.exe محمد 🙂 " + "x" * 3000


@pytest.fixture
async def acme(make_place: MakePlace) -> Place:
    return await make_place(name="Acme <b>")


@pytest.fixture
async def workday(database: Database, acme: Place, sealer: Sealer) -> tuple[ConnectionId, SourceId]:
    async with database.tenant(acme.tenant_id) as tx:
        source = await ensure_source(tx, "hris", "Workday")
        made = await create_connection(tx, sealer, NewConnection(source.source_id, "workday", "Workday", {}))
    return made.connection_id, source.source_id


async def run(
    database: Database, acme: Place, workday: tuple[ConnectionId, SourceId], state: RunState, detail: str
) -> Run:
    async with database.tenant(acme.tenant_id) as tx:
        new = NewRun(RunKind.SYNC, "person", workday[1], workday[0], plan_only=True)
        planning = await queries.enter(tx, await queries.insert_run(tx, new), RunState.PLANNING)
        reasons = [{"code": "bad", "detail": detail, "hint": "Mend it."}]
        return await queries.enter(tx, planning, state, reasons=reasons, counts={"deactivate": 120}, planned_at=tx.now)


async def overview(people: Browsers, acme: Place, role: Role = Role.TENANT_ADMIN) -> str:
    page = await (await people.of(role, acme.tenant_id)).get(acme.base)
    assert page.status_code == 200, page.text[-800:]
    assert "<script>alert" not in page.text
    return text_of(page)


async def test_a_fresh_tenant_is_told_what_to_connect(people: Browsers, acme: Place) -> None:
    text = await overview(people, acme)
    assert "Make a token, and put it into Okta or Entra." in text
    assert "Connect Workday" in text
    assert text.count("This version of Stoa cannot connect it yet.") == 4
    assert "Nothing has run yet." in text
    assert "Acme <b>" in text


async def test_a_viewer_is_told_who_can(people: Browsers, acme: Place) -> None:
    text = await overview(people, acme, Role.TENANT_VIEWER)
    assert "an administrator of the tenant connects it" in text


async def test_a_held_run_stands_first_with_its_reason(
    people: Browsers, database: Database, acme: Place, workday: tuple[ConnectionId, SourceId]
) -> None:
    held = await run(database, acme, workday, RunState.HELD, f"It would deactivate 120 people. {HOSTILE}")
    text = await overview(people, acme)
    assert text.index("It would deactivate 120 people.") < text.index("Phases")
    assert "A run of Workday waits for a decision" in text
    assert "120 to deactivate" in text
    page = await (await people.of(Role.TENANT_VIEWER, acme.tenant_id)).get(acme.base)
    assert f"{acme.base}/runs/{held.run_id}" in page.text
    assert "an administrator of the tenant decides" in text_of(page)


async def test_a_failing_phase_says_why_and_leads_to_its_connection(
    people: Browsers, database: Database, acme: Place, workday: tuple[ConnectionId, SourceId]
) -> None:
    await run(database, acme, workday, RunState.ERRORED, f"The report did not come. {HOSTILE}")
    page = await (await people.of(Role.TENANT_ADMIN, acme.tenant_id)).get(acme.base)
    text = text_of(page)
    assert "The report did not come." in text
    assert "Mend it." in text
    assert f"{acme.base}/connections/{workday[0]}" in page.text


async def test_every_state_has_its_words(
    people: Browsers, database: Database, acme: Place, workday: tuple[ConnectionId, SourceId]
) -> None:
    assert "nothing has arrived yet" in await overview(people, acme)
    async with database.tenant(acme.tenant_id) as tx:
        await status.note_connection(tx, workday[0], success_at=tx.now, expected_by=tx.now)
    assert "A success was due" in await overview(people, acme)
    async with database.tenant(acme.tenant_id) as tx:
        await pause_connection(tx, workday[0], "The HR team moves house")
    assert "The HR team moves house" in await overview(people, acme)
    async with database.tenant(acme.tenant_id) as tx:
        source = await ensure_source(tx, "idp", "Okta")
        await issue_token(tx, ["scim"], "t", source.source_id)
        await status.note_phase(tx, Phase.IDENTITY, failing="refused", success_at=tx.now)
    assert "The last attempt failed: refused" in await overview(people, acme)


async def test_alerts_and_figures_are_shown_with_their_age(people: Browsers, database: Database, acme: Place) -> None:
    async with database.tenant(acme.tenant_id) as tx:
        await raise_alert(tx, "k", "1", "critical", f"Something is wrong {HOSTILE[:100]}", "d", "h", "ops@acme.example")
        await status.note_people(tx, 1500, 1400)
    text = await overview(people, acme)
    for word in ("Something is wrong", "Critical", "ops@acme.example", "1,500", "1,400", "As of just now"):
        assert word in text, word


async def test_another_tenants_people_find_nothing_here(people: Browsers, acme: Place, make_tenant: MakeTenant) -> None:
    other = await people.of(Role.TENANT_ADMIN, await make_tenant())
    for path in ("", "/settings", "/settings/preview", "/settings/preview.css", "/brand.css"):
        assert (await other.get(f"{acme.base}{path}")).status_code == 404, path
    assert (await other.post(f"{acme.base}/settings", data={"name": "Mine"})).status_code == 404
    assert (await other.get("/console/t/no-such-tenant")).status_code == 404
