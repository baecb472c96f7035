"""The jobs of this room: they tell an alert's owner by mail, and look again by date."""

from datetime import timedelta
from uuid import UUID

from stoa.alerts import queries, rules
from stoa.alerts.actions import MAIL_JOB, QUIET_JOB, REVIVED_JOB, UNMUTE_JOB, resolve_alerts, resolve_quiet
from stoa.alerts.handling import end_mute
from stoa.alerts.model import AlertId
from stoa.alerts.notes import notes
from stoa.db.transactions import TenantTx
from stoa.jobs.actions import enqueue
from stoa.jobs.model import Fatal, Retriable
from stoa.jobs.queries import job_state
from stoa.jobs.run import Handler, JobRun
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import BadInput
from stoa.outbound.mail import MailSender, route
from stoa.outbound.model import RemoteDown, RemoteRefused
from stoa.tenants import queries as tenants

_REVIVED_EVERY = timedelta(minutes=5)


def alert_jobs(sender: MailSender, sink: MailSender, *, base_url: str | None = None) -> dict[str, Handler]:
    """The handlers of this room by the kind of their jobs. Parameters as those of `mail_job`."""
    return {
        MAIL_JOB: mail_job(sender, sink, base_url=base_url),
        QUIET_JOB: look_whether_quiet,
        UNMUTE_JOB: look_whether_muted,
        REVIVED_JOB: look_whether_revived,
    }


def mail_job(sender: MailSender, sink: MailSender, *, base_url: str | None = None) -> Handler:
    """The handler of jobs of kind `alerts.mail`.

    sender: how mail leaves. sink: where the mail of sandbox tenants stays. base_url: of the console, for the address of
    the alert's page.

    A mail goes out at least once: after a crash between sending and noting it, it goes out again with the same
    Message-ID.
    """

    async def tell_owner(run: JobRun) -> None:
        alert_id = _alert_id(run)
        async with run.database.tenant(run.tenant_id, run.origin) as tx:
            alert = await queries.alert(tx, alert_id)
            tenant = await tenants.tenant(tx)
            history = await notes(tx, alert_id, limit=1)
        # Resolved or muted before anybody was told: no need to wake somebody.
        if alert is None or alert.owner_email is None or alert.mailed_at is not None:
            return
        if alert.state in {"resolved", "muted"}:
            return
        address = None if base_url is None else f"{base_url}/console/t/{tenant.slug}/alerts/{alert_id}"
        because = history[-1] if history else None
        try:
            mail = rules.mail(alert, tenant, alert.owner_email, because=because, address=address)
            await route(tenant, sender, sink).send(mail)
        except RemoteDown as error:
            raise Retriable(error.detail, retry_after=error.retry_after, hint=error.hint) from error
        except (RemoteRefused, BadInput) as error:
            raise Fatal(error.detail, hint=error.hint) from error
        async with run.database.tenant(run.tenant_id, run.origin) as tx:
            await run.fence(tx)
            # Unless another mail was asked for meanwhile.
            await tx.execute(
                "UPDATE alert SET mailed_at = $3 WHERE tenant_id = $1 AND alert_id = $2 AND mails = $4",
                *(tx.tenant_id, alert_id, tx.now, alert.mails),
            )

    return tell_owner


async def look_whether_quiet(run: JobRun) -> None:
    """Resolves the alert if its cause was not seen for the time that the job names, else looks again."""
    quiet_after = timedelta(seconds=int(run.args.get("seconds", 0)))
    async with run.database.tenant(run.tenant_id, run.origin) as tx:
        await run.fence(tx)
        again_at = await resolve_quiet(tx, _alert_id(run), quiet_after)
        if again_at is not None:
            await enqueue(tx, QUIET_JOB, run.key, run.args, due_at=again_at)


async def look_whether_muted(run: JobRun) -> None:
    """Ends the mute of the alert if its time has passed, else looks again."""
    async with run.database.tenant(run.tenant_id, run.origin) as tx:
        await run.fence(tx)
        again_at = await end_mute(tx, _alert_id(run))
        if again_at is not None:
            await enqueue(tx, UNMUTE_JOB, run.key, run.args, due_at=again_at)


async def watch_dead_job(tx: TenantTx, alert_id: AlertId, kind: str, key: str) -> None:
    """Has the alert about a job that gave up resolved once that job was done after all."""
    args = {"alert_id": str(alert_id), "kind": kind, "key": key}
    await enqueue(tx, REVIVED_JOB, str(alert_id), args, due_at=tx.now + _REVIVED_EVERY)


async def look_whether_revived(run: JobRun) -> None:
    """Resolves the alert about a job that gave up if there is no such job left undone, else looks again."""
    kind, key = str(run.args.get("kind")), str(run.args.get("key"))
    async with run.database.tenant(run.tenant_id, run.origin) as tx:
        await run.fence(tx)
        alert = await queries.alert(tx, _alert_id(run))
        if alert is None or alert.state == "resolved":
            return
        if await job_state(tx, kind, key) is None:
            await resolve_alerts(tx, alert.kind, alert.key)
        else:
            await watch_dead_job(tx, alert.alert_id, kind, key)


def _alert_id(run: JobRun) -> AlertId:
    alert_id: UUID | None = parse_id(str(run.args.get("alert_id")))
    if alert_id is None:
        raise Fatal("The job names no alert.")
    return AlertId(alert_id)
