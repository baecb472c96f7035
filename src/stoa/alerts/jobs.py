"""The job that tells an alert's owner by mail."""

from stoa.alerts import queries, rules
from stoa.alerts.model import AlertId
from stoa.jobs.model import Fatal, Retriable
from stoa.jobs.run import Handler, JobRun
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import BadInput
from stoa.outbound.mail import MailSender, route
from stoa.outbound.model import RemoteDown, RemoteRefused
from stoa.tenants import queries as tenants


def mail_job(sender: MailSender, sink: MailSender) -> Handler:
    """The handler of jobs of kind `alerts.mail`.

    sender: how mail leaves. sink: where the mail of sandbox tenants stays.

    A mail goes out at least once: after a crash between sending and noting it, it goes out again with the same
    Message-ID.
    """

    async def tell_owner(run: JobRun) -> None:
        alert_id = parse_id(str(run.args.get("alert_id")))
        if alert_id is None:
            raise Fatal("The job names no alert.")
        async with run.database.tenant(run.tenant_id, run.origin) as tx:
            alert = await queries.alert(tx, AlertId(alert_id))
            tenant = await tenants.tenant(tx)
        # Resolved before anybody was told: no need to wake somebody.
        if alert is None or alert.owner_email is None or alert.mailed_at is not None or alert.state == "resolved":
            return
        try:
            await route(tenant, sender, sink).send(rules.mail(alert, tenant, alert.owner_email))
        except RemoteDown as error:
            raise Retriable(error.detail, retry_after=error.retry_after, hint=error.hint) from error
        except (RemoteRefused, BadInput) as error:
            raise Fatal(error.detail, hint=error.hint) from error
        async with run.database.tenant(run.tenant_id, run.origin) as tx:
            await run.fence(tx)
            await tx.execute(
                "UPDATE alert SET mailed_at = $3 WHERE tenant_id = $1 AND alert_id = $2", tx.tenant_id, alert_id, tx.now
            )

    return tell_owner
