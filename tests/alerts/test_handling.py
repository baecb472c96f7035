"""What people do about alerts, what the jobs do by date, and what the tenant's standing says of it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stoa.alerts import handling, queries
from stoa.alerts.actions import (
    MAIL_JOB,
    QUIET_JOB,
    REVIVED_JOB,
    UNMUTE_JOB,
    count_alerts,
    raise_alert,
    resolve_alerts,
)
from stoa.alerts.jobs import alert_jobs
from stoa.alerts.model import Alert, AlertId, Severity
from stoa.alerts.notes import notes
from stoa.composition import tell_of_dead_job
from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.events.actions import number_entries
from stoa.events.queries import read_events
from stoa.jobs.actions import enqueue, revive
from stoa.jobs.model import Fatal, Outcome
from stoa.jobs.queries import job_state
from stoa.jobs.run import JobRun
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId, new_id
from stoa.kernel.problems import BadInput, Conflict, NotFound
from stoa.outbound.mail import FileMailbox
from stoa.tenants.status import recount, status
from tests.alerts.test_alerts import mails_in
from tests.conftest import MakeTenant

ADA = Origin(actor="operator:ada", via="console")
HOSTILE = ("<script>alert(1)</script>", "'; DROP TABLE alert; --", "\u202e\u0627\u0644\u0639\u0631", "🙂" * 100)


class Desk:
    """A sandbox tenant with one cause, whose clock can be moved, and a worker of this room's jobs."""

    def __init__(self, database: Database, tenant_id: TenantId, folder: Path) -> None:
        self.database, self.tenant_id, self.folder = database, tenant_id, folder
        self.ahead = timedelta()
        sink = FileMailbox(folder)
        self.worker = Worker(database, alert_jobs(sink, sink, base_url="http://127.0.0.1:8000"))

        async def offset(_: TenantId) -> timedelta:
            return self.ahead

        database.use_clock_offset(offset)

    async def do(self, act: Callable[[TenantTx], Awaitable[Any]]) -> Any:
        async with self.database.tenant(self.tenant_id, ADA) as tx:
            return await act(tx)

    async def raised(self, severity: Severity = "warning", **more: Any) -> Alert:
        return await self.do(lambda tx: raise_alert(tx, "run_held", "s1", severity, "Held", "d", "h", **more))

    async def now(self, alert: Alert) -> Alert:
        found = await self.do(lambda tx: queries.alert(tx, alert.alert_id))
        assert found is not None
        return found

    async def muted(self, alert: Alert, days: int = 7) -> Alert:
        return await self.do(lambda tx: handling.mute(tx, alert.alert_id, "They know.", tx.now + timedelta(days=days)))

    async def work(self, kind: str, alert: Alert) -> Outcome | None:
        return await self.worker.claim_one(kind, str(alert.alert_id), self.tenant_id)

    async def due(self, kind: str, alert: Alert) -> bool:
        """Whether such a job is due now."""

        async def look(tx: TenantTx) -> bool:
            state = await job_state(tx, kind, str(alert.alert_id))
            return state is not None and state.due_at <= tx.now

        return await self.do(look)

    async def mailed(self, alert: Alert) -> list[str]:
        """Sends what is to be sent, and gives the subjects of all mails so far."""
        await self.work(MAIL_JOB, alert)
        return [str(mail["Subject"]) for mail in mails_in(self.folder)] if self.folder.exists() else []

    async def standing(self) -> tuple[int, int]:
        found = await self.do(status)
        return found.open_alerts, found.critical_alerts

    async def history(self, alert: Alert) -> list[str]:
        return [one.what for one in await self.do(lambda tx: notes(tx, alert.alert_id))]


@pytest.fixture
async def desk(database: Database, make_tenant: MakeTenant, tmp_path: Path) -> Desk:
    return Desk(database, await make_tenant(owner_email="ada@example.com", sandbox=True), tmp_path / "mail")


async def test_an_acknowledged_alert_says_who_and_when_and_still_counts(desk: Desk) -> None:
    alert = await desk.raised("critical")
    assert await desk.standing() == (1, 1)
    taken = await desk.do(lambda tx: handling.acknowledge(tx, alert.alert_id))
    assert (taken.state, taken.acknowledged_by) == ("acknowledged", "operator:ada")
    assert taken.acknowledged_at is not None
    assert await desk.standing() == (1, 1)
    await desk.do(lambda tx: resolve_alerts(tx, "run_held", "s1"))
    assert await desk.standing() == (0, 0)
    assert await desk.history(alert) == ["opened", "acknowledged", "resolved"]


async def test_a_graver_cause_is_told_once_more(desk: Desk) -> None:
    alert = await desk.raised("warning")
    assert len(await desk.mailed(alert)) == 1
    await desk.raised("warning")
    assert not await desk.due(MAIL_JOB, alert)
    assert await desk.standing() == (1, 0)
    await desk.raised("critical")
    first, second = await desk.mailed(alert)
    assert first.startswith("Warning: Held")
    assert second.startswith("Critical: Held")
    one, two = mails_in(desk.folder)
    assert one["Message-ID"] != two["Message-ID"]
    assert "It is graver now." in two.get_content()
    assert f"/alerts/{alert.alert_id}" in two.get_content()
    assert await desk.standing() == (1, 1)
    assert await desk.history(alert) == ["opened", "escalated"]
    assert (await desk.now(alert)).mailed_at is not None


async def test_a_mail_that_was_asked_for_while_another_was_sent_goes_out_too(desk: Desk) -> None:
    alert = await desk.raised("info")

    class Slow:
        async def send(self, mail: Any) -> None:
            # Meanwhile it gets worse.
            await desk.raised("warning")
            await FileMailbox(desk.folder).send(mail)

    slow = Worker(desk.database, alert_jobs(Slow(), Slow()))
    assert await slow.claim_one(MAIL_JOB, str(alert.alert_id), desk.tenant_id) is Outcome.AGAIN
    assert (await desk.now(alert)).mailed_at is None
    assert [subject.split(":")[0] for subject in await desk.mailed(alert)] == ["For your information", "Warning"]


# What happens to a muted alert: the act, the state after it, whether a mail is to go out.
MUTED = [
    ("the cause is seen again", "muted", False),
    ("the cause gets worse", "open", True),
    ("the time passes", "open", True),
    ("the cause is seen after the time", "open", True),
    ("somebody unmutes it", "open", False),
    ("somebody acknowledges it", "acknowledged", False),
    ("somebody hands it over", "muted", False),
    ("somebody mutes it for longer", "muted", False),
    ("the cause is gone", "resolved", False),
    ("somebody resolves it", "resolved", False),
]


@pytest.mark.parametrize(("act", "state", "told"), MUTED)
async def test_a_muted_alert(desk: Desk, act: str, state: str, told: bool) -> None:
    alert = await desk.raised("warning")
    await desk.mailed(alert)
    muted = await desk.muted(alert)
    assert (muted.state, muted.muted_reason) == ("muted", "They know.")
    assert await desk.standing() == (0, 0)
    match act:
        case "the cause is seen again":
            await desk.raised("info")
        case "the cause gets worse":
            await desk.raised("critical")
        case "the time passes":
            desk.ahead = timedelta(days=7)
            assert await desk.work(UNMUTE_JOB, alert) is Outcome.DONE
        case "the cause is seen after the time":
            desk.ahead = timedelta(days=7)
            await desk.raised("warning")
        case "somebody unmutes it":
            await desk.do(lambda tx: handling.unmute(tx, alert.alert_id))
        case "somebody acknowledges it":
            await desk.do(lambda tx: handling.acknowledge(tx, alert.alert_id))
        case "somebody hands it over":
            await desk.do(lambda tx: handling.assign(tx, alert.alert_id, "bo@example.com"))
        case "somebody mutes it for longer":
            await desk.muted(alert, 90)
        case "the cause is gone":
            await desk.do(lambda tx: resolve_alerts(tx, "run_held", "s1"))
        case _:
            await desk.do(lambda tx: handling.resolve(tx, alert.alert_id, "It is over."))
    after = await desk.now(alert)
    assert after.state == state
    assert (after.muted_until is None) == (state != "muted")
    assert (len(await desk.mailed(alert)) == 2) == told
    assert (await desk.standing())[0] == (1 if state in {"open", "acknowledged"} else 0)


async def test_a_mute_that_was_made_longer_ends_at_the_later_time(desk: Desk) -> None:
    alert = await desk.raised()
    await desk.muted(alert, 1)
    await desk.muted(alert, 3)
    desk.ahead = timedelta(days=1)
    assert await desk.work(UNMUTE_JOB, alert) is Outcome.AGAIN
    assert (await desk.now(alert)).state == "muted"
    desk.ahead = timedelta(days=3)
    assert await desk.due(UNMUTE_JOB, alert)
    assert await desk.work(UNMUTE_JOB, alert) is Outcome.DONE
    assert (await desk.now(alert)).state == "open"
    assert await desk.history(alert) == ["opened", "muted", "muted", "mute_ended"]


async def test_the_mail_that_a_mute_kept_back_goes_out_when_somebody_ends_it(desk: Desk) -> None:
    alert = await desk.raised()
    await desk.muted(alert)
    assert await desk.mailed(alert) == []
    await desk.do(lambda tx: handling.unmute(tx, alert.alert_id))
    assert len(await desk.mailed(alert)) == 1


async def test_what_cannot_be_a_mute_is_refused(desk: Desk) -> None:
    alert = await desk.raised()
    for reason, ahead in (("ab", 1), ("  a ", 1), ("x" * 501, 1), ("fine", 0), ("fine", -1), ("fine", 90.01)):
        with pytest.raises(BadInput):
            await desk.do(
                lambda tx, reason=reason, ahead=ahead: handling.mute(
                    tx, alert.alert_id, reason, tx.now + timedelta(days=ahead)
                )
            )
    assert (await desk.now(alert)).state == "open"


async def test_a_new_owner_is_told_and_stays_when_the_cause_is_seen_again(desk: Desk) -> None:
    alert = await desk.raised()
    await desk.mailed(alert)
    handed = await desk.do(lambda tx: handling.assign(tx, alert.alert_id, " bo@example.com "))
    assert handed.owner_email == "bo@example.com"
    assert len(await desk.mailed(alert)) == 2
    last = mails_in(desk.folder)[-1]
    assert (last["To"], "handed over to you" in last.get_content()) == ("bo@example.com", True)
    assert (await desk.raised(owner_email="cy@example.com")).owner_email == "bo@example.com"
    await desk.do(lambda tx: handling.assign(tx, alert.alert_id, "bo@example.com"))
    assert await desk.history(alert) == ["opened", "assigned"]
    for email in ("", "bo", "bo@example.com, cy@example.com", "Bo <bo@example.com>", "bo@example.com\nBcc: x@y.z"):
        with pytest.raises(BadInput):
            await desk.do(lambda tx, email=email: handling.assign(tx, alert.alert_id, email))


async def test_the_event_log_says_what_was_done_and_names_no_address(desk: Desk) -> None:
    alert = await desk.raised()
    await desk.do(lambda tx: handling.assign(tx, alert.alert_id, "bo@example.com"))
    await desk.muted(alert)
    await desk.raised("critical")
    await desk.do(lambda tx: handling.resolve(tx, alert.alert_id, "Ada says so."))

    async def read(tx: TenantTx) -> list[Any]:
        await number_entries(tx)
        return [one for one in await read_events(tx, 0, 100) if one.type.startswith("alert.")]

    events = await desk.do(read)
    assert [one.type.removeprefix("alert.") for one in events] == [
        "opened", "assigned", "muted", "escalated", "resolved",
    ]  # fmt: skip
    assert "example.com" not in str([one.body for one in events])
    assert "Ada" not in str([one.body for one in events])


async def test_a_resolved_alert_is_left_as_it_is(desk: Desk) -> None:
    alert = await desk.raised()
    await desk.do(lambda tx: handling.resolve(tx, alert.alert_id, "It is over."))
    acts: list[Callable[[TenantTx], Awaitable[Any]]] = [
        lambda tx: handling.acknowledge(tx, alert.alert_id),
        lambda tx: handling.assign(tx, alert.alert_id, "bo@example.com"),
        lambda tx: handling.mute(tx, alert.alert_id, "They know.", tx.now + timedelta(days=1)),
        lambda tx: handling.unmute(tx, alert.alert_id),
        lambda tx: handling.resolve(tx, alert.alert_id, "It is over."),
    ]
    for act in acts:
        with pytest.raises(Conflict):
            await desk.do(act)
    assert (await desk.raised()).alert_id != alert.alert_id


async def test_another_tenants_alert_cannot_be_touched(desk: Desk, make_tenant: MakeTenant) -> None:
    alert = await desk.raised()
    other = await make_tenant()
    async with desk.database.tenant(other) as tx:
        for alert_id in (alert.alert_id, AlertId(new_id())):
            for act in (
                handling.acknowledge(tx, alert_id),
                handling.assign(tx, alert_id, "bo@example.com"),
                handling.mute(tx, alert_id, "They know.", tx.now + timedelta(days=1)),
                handling.unmute(tx, alert_id),
                handling.resolve(tx, alert_id, "It is over."),
            ):
                with pytest.raises(NotFound):
                    await act
            assert await notes(tx, alert_id) == []
    assert await desk.history(alert) == ["opened"]


async def test_of_many_who_act_at_once_none_is_lost(desk: Desk) -> None:
    alert = await desk.raised("info")
    severities: list[Severity] = ["info", "warning", "critical", "warning"]
    await asyncio.gather(
        *(desk.raised(severity) for severity in severities * 3),
        *(desk.do(lambda tx: handling.acknowledge(tx, alert.alert_id)) for _ in range(4)),
    )
    after = await desk.now(alert)
    assert (after.occurrences, after.severity, after.state) == (13, "critical", "acknowledged")
    assert (await desk.history(alert)).count("acknowledged") == 1
    assert await desk.standing() == (1, 1)


async def test_an_alert_of_a_cause_that_went_quiet_is_resolved(desk: Desk) -> None:
    alert = await desk.raised(quiet_after=timedelta(hours=24))
    desk.ahead = timedelta(hours=23)
    await desk.raised(quiet_after=timedelta(hours=24), times=5)
    desk.ahead = timedelta(hours=24, minutes=1)
    assert await desk.work(QUIET_JOB, alert) is Outcome.AGAIN
    assert ((await desk.now(alert)).state, (await desk.now(alert)).occurrences) == ("open", 6)
    assert not await desk.due(QUIET_JOB, alert)
    desk.ahead = timedelta(hours=47)
    assert await desk.work(QUIET_JOB, alert) is Outcome.DONE
    assert (await desk.now(alert)).state == "resolved"


async def test_the_alert_of_a_dead_job_is_resolved_once_the_job_was_done(desk: Desk) -> None:
    fails = True

    async def fail(_: JobRun) -> None:
        if fails:
            raise Fatal("no")

    worker = Worker(desk.database, {"test.job": fail}, on_dead=tell_of_dead_job)
    await desk.do(lambda tx: enqueue(tx, "test.job", "k"))
    assert await worker.claim_one("test.job", "k", desk.tenant_id) is Outcome.DEAD
    alert = await desk.do(lambda tx: queries.current_alert(tx, "job_dead", "test.job:k"))
    assert alert is not None
    assert await desk.work(REVIVED_JOB, alert) is Outcome.AGAIN
    fails = False

    async def again(tx: TenantTx) -> None:
        state = await job_state(tx, "test.job", "k")
        assert state is not None
        assert await revive(tx, state.job_id)

    await desk.do(again)
    assert await worker.claim_one("test.job", "k", desk.tenant_id) is Outcome.DONE
    assert await desk.work(REVIVED_JOB, alert) is Outcome.DONE
    assert (await desk.now(alert)).state == "resolved"


async def test_this_rooms_own_jobs_raise_no_alert_when_they_die(desk: Desk) -> None:
    async def fail(_: JobRun) -> None:
        raise Fatal("no")

    kinds = (MAIL_JOB, QUIET_JOB, UNMUTE_JOB, REVIVED_JOB)
    worker = Worker(desk.database, dict.fromkeys(kinds, fail), on_dead=tell_of_dead_job)
    for kind in kinds:
        await desk.do(lambda tx, kind=kind: enqueue(tx, kind, "k"))
        assert await worker.claim_one(kind, "k", desk.tenant_id) is Outcome.DEAD
    assert await desk.do(queries.recent_alerts) == []


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_texts_are_kept_as_they_are(desk: Desk, text: str) -> None:
    alert = await desk.do(lambda tx: raise_alert(tx, "k", "k", "info", text, text, text))
    await desk.do(lambda tx: handling.mute(tx, alert.alert_id, text, tx.now + timedelta(days=1)))
    after = await desk.now(alert)
    assert (after.title, after.detail, after.muted_reason) == (text, text, text)
    assert [one.text for one in await desk.do(lambda tx: notes(tx, alert.alert_id))] == ["info", text]
    assert len(await desk.mailed(alert)) == 0
    await desk.do(lambda tx: handling.unmute(tx, alert.alert_id))
    await desk.do(lambda tx: handling.assign(tx, alert.alert_id, "bo@example.com"))
    (subject,) = await desk.mailed(alert)
    assert "\n" not in subject


async def test_counting_anew_says_the_same(desk: Desk) -> None:
    await desk.raised("critical")
    await desk.do(lambda tx: raise_alert(tx, "other", "k", "info", "t", "d", "h"))
    muted = await desk.do(lambda tx: raise_alert(tx, "third", "k", "critical", "t", "d", "h"))
    await desk.muted(muted)

    async def anew(tx: TenantTx) -> None:
        recount(tx, "alerts", count_alerts)

    assert await desk.standing() == (2, 1)
    await desk.do(anew)
    assert await desk.standing() == (2, 1)
