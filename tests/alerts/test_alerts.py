import asyncio
import email
import email.policy
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4

import pytest

from stoa.alerts import actions, handling, queries
from stoa.alerts.jobs import mail_job
from stoa.alerts.model import Alert, AlertId, Severity
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.events.actions import number_entries
from stoa.events.queries import read_events
from stoa.jobs.model import Outcome
from stoa.jobs.worker import Worker
from stoa.kernel.ids import RunId, TenantId, new_id
from stoa.kernel.problems import Conflict, NotFound
from stoa.outbound.mail import FileMailbox
from stoa.outbound.model import Mail, RemoteDown, RemoteRefused

MakeTenant = Callable[..., Awaitable[TenantId]]


async def raised(tx: TenantTx, severity: Severity = "warning", detail: str = "d", run_id: RunId | None = None) -> Alert:
    return await actions.raise_alert(tx, "sync.held", "c1", severity, "Held", detail, "Look.", run_id=run_id)


async def told(database: Database, tenant_id: TenantId) -> list[str]:
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
        events = await read_events(tx, 0, 100)
    return [event.type for event in events if event.type.startswith("alert.")]


async def mail_jobs(database: Database, tenant_id: TenantId) -> list[str]:
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch("SELECT key FROM job WHERE tenant_id = $1 AND kind = $2", tenant_id, actions.MAIL_JOB)
    return [row["key"] for row in rows]


async def test_a_cause_seen_again_is_counted_and_told_once(database: Database, tenant_id: TenantId) -> None:
    run_id = RunId(new_id())
    async with database.tenant(tenant_id) as tx:
        first = await raised(tx, "warning", "first", run_id)
    async with database.tenant(tenant_id) as tx:
        again = await raised(tx, "info", "second")
        assert await queries.current_alerts(tx) == [again]
        assert await queries.current_alert(tx, "sync.held", "c1") == again
    assert (again.alert_id, again.occurrences, again.detail) == (first.alert_id, 2, "second")
    assert (again.severity, again.run_id, again.first_at) == ("warning", run_id, first.first_at)
    assert again.last_at > first.last_at
    assert await mail_jobs(database, tenant_id) == [str(first.alert_id)]
    assert await told(database, tenant_id) == ["alert.opened"]


async def test_the_severity_rises_and_never_falls(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        seen = [
            (await raised(tx, severity)).severity for severity in ("info", "warning", "info", "critical", "warning")
        ]
    assert seen == ["info", "warning", "warning", "critical", "critical"]


async def test_other_causes_have_alerts_of_their_own(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        for kind, key in (("sync.held", "c1"), ("sync.held", "c2"), ("job.dead", "c1")):
            await actions.raise_alert(tx, kind, key, "info", "t", "d", "h")
        assert len(await queries.current_alerts(tx)) == 3


async def test_of_many_who_see_a_cause_at_once_one_opens_the_alert(database: Database, tenant_id: TenantId) -> None:
    async def see() -> AlertId:
        async with database.tenant(tenant_id) as tx:
            return (await raised(tx)).alert_id

    assert len(set(await asyncio.gather(*(see() for _ in range(8))))) == 1
    async with database.tenant(tenant_id) as tx:
        assert [alert.occurrences for alert in await queries.current_alerts(tx)] == [8]
    assert await told(database, tenant_id) == ["alert.opened"]


async def test_resolved_and_seen_again_it_is_a_new_alert(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        first = await raised(tx)
    async with database.tenant(tenant_id) as tx:
        assert await actions.resolve_alerts(tx, "sync.held", "c1") == 1
        assert await actions.resolve_alerts(tx, "sync.held", "c1") == 0
    async with database.tenant(tenant_id) as tx:
        second = await raised(tx)
        assert [alert.state for alert in await queries.recent_alerts(tx)] == ["open", "resolved"]
        closed = await queries.alert(tx, first.alert_id)
    assert closed is not None
    assert closed.resolved_at is not None
    assert (second.alert_id != first.alert_id, second.occurrences) == (True, 1)
    assert sorted(await mail_jobs(database, tenant_id)) == sorted([str(first.alert_id), str(second.alert_id)])
    assert await told(database, tenant_id) == ["alert.opened", "alert.resolved", "alert.opened"]


async def test_an_acknowledged_alert_counts_on_and_stays_acknowledged(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        alert = await raised(tx)
        for _ in range(2):
            assert (await handling.acknowledge(tx, alert.alert_id)).state == "acknowledged"
        again = await raised(tx)
        assert (again.alert_id, again.state, again.occurrences) == (alert.alert_id, "acknowledged", 2)
        await actions.resolve_alerts(tx, "sync.held", "c1")
        with pytest.raises(Conflict):
            await handling.acknowledge(tx, alert.alert_id)
    assert await told(database, tenant_id) == ["alert.opened", "alert.acknowledged", "alert.resolved"]


async def test_another_tenants_alert_is_not_found(database: Database, make_tenant: MakeTenant) -> None:
    mine, theirs = await make_tenant(), await make_tenant()
    async with database.tenant(theirs) as tx:
        alert = await raised(tx)
    async with database.tenant(mine) as tx:
        assert await queries.alert(tx, alert.alert_id) is None
        assert await actions.resolve_alerts(tx, "sync.held", "c1") == 0
        for alert_id in (alert.alert_id, AlertId(uuid4())):
            with pytest.raises(NotFound):
                await handling.acknowledge(tx, alert_id)


async def test_the_owner_is_the_tenants_unless_named(database: Database, make_tenant: MakeTenant) -> None:
    tenant_id, ownerless = await make_tenant(owner_email="owner@example.com"), await make_tenant()
    async with database.tenant(tenant_id) as tx:
        assert (await raised(tx)).owner_email == "owner@example.com"
        named = await actions.raise_alert(tx, "a", "b", "info", "t", "d", "h", "ada@example.com")
        assert named.owner_email == "ada@example.com"
    async with database.tenant(ownerless) as tx:
        assert (await raised(tx)).owner_email is None


async def test_no_wording_keeps_an_alert_from_being_raised(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        alert = await actions.raise_alert(tx, "a", "b", "info", "t" * 9999, "d\x00" * 9999, "h" * 9999)
    assert (len(alert.title), len(alert.detail), len(alert.hint)) == (200, 4000, 4000)


class Refusing:
    """A way for mail that fails with each of these in turn, then works."""

    def __init__(self, mailbox: FileMailbox, *failures: Exception) -> None:
        self.mailbox = mailbox
        self.failures = list(failures)

    async def send(self, mail: Mail) -> None:
        if self.failures:
            raise self.failures.pop(0)
        await self.mailbox.send(mail)


def mails_in(folder: Path) -> list[EmailMessage]:
    return [
        email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in sorted(folder.glob("*"))
    ]


class Told:
    """A tenant with an alert, and the two ways its mail can go."""

    def __init__(self, database: Database, folder: Path, tenant_id: TenantId, *failures: Exception) -> None:
        self.database, self.tenant_id = database, tenant_id
        self.left, self.kept = folder / "left", folder / "kept"
        handler = mail_job(Refusing(FileMailbox(self.left), *failures), FileMailbox(self.kept))
        self.worker = Worker(database, {actions.MAIL_JOB: handler})

    async def opened(self) -> Alert:
        async with self.database.tenant(self.tenant_id) as tx:
            return await raised(tx)

    async def attempt(self, alert: Alert) -> Outcome | None:
        return await self.worker.claim_one(actions.MAIL_JOB, str(alert.alert_id), self.tenant_id)

    async def now(self, alert: Alert) -> Alert | None:
        async with self.database.tenant(self.tenant_id) as tx:
            return await queries.alert(tx, alert.alert_id)


async def test_the_owner_gets_one_mail(database: Database, make_tenant: MakeTenant, tmp_path: Path) -> None:
    case = Told(database, tmp_path, await make_tenant(owner_email="ada@example.com", name="Acme"))
    alert = await case.opened()
    assert await case.attempt(alert) is Outcome.DONE
    (sent,) = mails_in(case.left)
    assert (sent["To"], sent["Subject"]) == ("ada@example.com", "Warning: Held (Acme)")
    after = await case.now(alert)
    assert after is not None
    assert after.mailed_at is not None
    await case.opened()
    assert await mail_jobs(database, case.tenant_id) == []
    assert (len(mails_in(case.left)), case.kept.exists()) == (1, False)


async def test_a_sandbox_tenants_alert_stays_in_the_sink(
    database: Database, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    case = Told(database, tmp_path, await make_tenant(owner_email="ada@example.com", sandbox=True))
    await case.attempt(await case.opened())
    assert (len(mails_in(case.kept)), case.left.exists()) == (1, False)


async def test_nobody_is_told_of_what_has_no_owner_or_is_over(
    database: Database, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    ownerless = Told(database, tmp_path, await make_tenant())
    assert await ownerless.attempt(await ownerless.opened()) is Outcome.DONE
    over = Told(database, tmp_path, await make_tenant(owner_email="ada@example.com"))
    alert = await over.opened()
    async with database.tenant(over.tenant_id) as tx:
        await actions.resolve_alerts(tx, "sync.held", "c1")
    assert await over.attempt(alert) is Outcome.DONE
    assert not over.left.exists()


async def test_a_mail_server_that_is_down_is_tried_again(
    database: Database, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    failure = RemoteDown("down", retry_after=timedelta(0))
    case = Told(database, tmp_path, await make_tenant(owner_email="ada@example.com"), failure)
    alert = await case.opened()
    assert await case.attempt(alert) is Outcome.RETRIED
    before = await case.now(alert)
    assert before is not None
    assert before.mailed_at is None


async def test_an_address_that_no_server_takes_ends_the_job(
    database: Database, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    failure = RemoteRefused("no", remote_status=550)
    case = Told(database, tmp_path, await make_tenant(owner_email="ada@example.com"), failure)
    assert await case.attempt(await case.opened()) is Outcome.DEAD
