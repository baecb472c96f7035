"""Alerts about SCIM: what raises one, what never does, and how often it is told."""

from datetime import timedelta

import pytest

from stoa.access.actions import revoke
from stoa.alerts.actions import QUIET_JOB
from stoa.alerts.jobs import look_whether_quiet
from stoa.alerts.model import Alert
from stoa.alerts.queries import recent_alerts
from stoa.db.database import Database
from stoa.identity.scim import failures
from stoa.identity.scim.failures import Failures
from stoa.jobs.model import Outcome
from stoa.jobs.worker import Worker
from stoa.kernel.ids import SourceId, TenantId, new_id
from stoa.people.model import Refused
from tests.identity.conftest import MakeScim, Scim


async def alerts(database: Database, tenant_id: TenantId) -> list[Alert]:
    async with database.tenant(tenant_id) as tx:
        return await recent_alerts(tx)


async def test_a_revoked_token_that_is_still_sent_raises_one_alert(scim: Scim, database: Database) -> None:
    async with database.tenant(scim.tenant_id) as tx:
        await revoke(tx, scim.issued.credential_id)
    for _ in range(5):
        assert (await scim("GET", "/Users")).status_code == 401
    (alert,) = await alerts(database, scim.tenant_id)
    assert (alert.kind, alert.key) == (failures.TOKEN_ALERT, str(scim.issued.credential_id))
    assert (alert.severity, alert.occurrences) == ("warning", 1)
    assert "was revoked" in alert.title
    assert scim.issued.token not in alert.title + alert.detail + alert.hint


async def test_an_expired_token_is_told_apart_from_a_revoked_one(make_scim: MakeScim, database: Database) -> None:
    scim = await make_scim()
    async with database.tenant(scim.tenant_id) as tx:
        await tx.execute(
            "UPDATE credential SET expires_at = $3 WHERE tenant_id = $1 AND credential_id = $2",
            *(tx.tenant_id, scim.issued.credential_id, tx.now - timedelta(seconds=1)),
        )
    assert (await scim("GET", "/Users")).status_code == 401
    (alert,) = await alerts(database, scim.tenant_id)
    assert "has expired" in alert.title


async def test_strangers_raise_no_alert(scim: Scim, make_scim: MakeScim, database: Database) -> None:
    other = await make_scim()
    async with database.tenant(other.tenant_id) as tx:
        await revoke(tx, other.issued.credential_id)
    tokens = ["stoa_scim_" + "x" * 43, "x", other.issued.token]
    for token in tokens:
        answer = await scim.http.get(f"{scim.base}/Users", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code in {401, 404}
    assert (await scim.http.get(f"{scim.base}/Users")).status_code == 401
    assert await alerts(database, scim.tenant_id) == []
    assert await alerts(database, other.tenant_id) == []


async def test_users_that_are_refused_raise_one_alert_for_their_source(scim: Scim, database: Database) -> None:
    await scim.make("ada")
    for _ in range(3):
        assert (await scim("POST", "/Users", {"schemas": [USER], "userName": "ada"})).status_code == 409
    (alert,) = await alerts(database, scim.tenant_id)
    assert (alert.kind, alert.key) == (failures.REFUSED_ALERT, str(scim.issued.source_id))
    assert alert.title == "Users from Okta are refused"
    assert "user_name_taken" in alert.detail
    assert "ada" not in alert.detail


USER = "urn:ietf:params:scim:schemas:core:2.0:User"


async def test_a_good_request_and_a_bad_one_raise_none(scim: Scim, database: Database) -> None:
    await scim.make("ada")
    assert (await scim("POST", "/Users", {"schemas": [USER]})).status_code == 400
    assert (await scim("GET", "/Users/nobody")).status_code == 404
    assert await alerts(database, scim.tenant_id) == []


async def test_a_request_that_fails_on_our_side_is_critical(scim: Scim, database: Database) -> None:
    # A record that no version of ours could have written.
    made = await scim.make("ada")
    async with database.tenant(scim.tenant_id) as tx:
        await tx.execute("UPDATE source_record SET raw = '[1]' WHERE tenant_id = $1", tx.tenant_id)
    assert (await scim("GET", f"/Users/{made['id']}")).status_code == 500
    (alert,) = await alerts(database, scim.tenant_id)
    assert (alert.kind, alert.severity) == (failures.FAILED_ALERT, "critical")
    assert "trace id" in alert.detail


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_process_tells_at_most_once_a_minute_and_counts_the_rest(
    database: Database, tenant_id: TenantId
) -> None:
    clock = Clock()
    told = Failures(database, clock)
    source_id = SourceId(new_id())

    async def refuse(times: int) -> None:
        for _ in range(times):
            await told.user_refused(tenant_id, source_id, Refused("user_name_taken", "Taken."), None)

    await refuse(10)
    clock.now = 59.0
    await refuse(10)
    (alert,) = await alerts(database, tenant_id)
    assert alert.occurrences == 1
    clock.now = 61.0
    await refuse(1)
    (alert,) = await alerts(database, tenant_id)
    assert alert.occurrences == 21


async def test_causes_are_counted_apart(database: Database, tenant_id: TenantId) -> None:
    told = Failures(database, Clock())
    for source_id in (SourceId(new_id()), SourceId(new_id())):
        await told.user_refused(tenant_id, source_id, Refused("user_name_taken", "Taken."), None)
    await told.request_failed(tenant_id, KeyError("x"), "t")
    await told.request_failed(tenant_id, ValueError("x"), "t")
    assert sorted(one.kind for one in await alerts(database, tenant_id)) == [
        failures.FAILED_ALERT, failures.FAILED_ALERT, failures.REFUSED_ALERT, failures.REFUSED_ALERT,
    ]  # fmt: skip


async def test_a_day_without_a_refusal_resolves_it(scim: Scim, database: Database) -> None:
    await scim.make("ada")
    await scim("POST", "/Users", {"schemas": [USER], "userName": "ada"})
    (alert,) = await alerts(database, scim.tenant_id)
    worker = Worker(database, {QUIET_JOB: look_whether_quiet})
    assert await worker.claim_one(QUIET_JOB, str(alert.alert_id), scim.tenant_id) is Outcome.AGAIN

    async def tomorrow(_: TenantId) -> timedelta:
        return timedelta(hours=25)

    database.use_clock_offset(tomorrow)
    assert await worker.claim_one(QUIET_JOB, str(alert.alert_id), scim.tenant_id) is Outcome.DONE
    assert [one.state for one in await alerts(database, scim.tenant_id)] == ["resolved"]


async def test_an_answer_is_given_though_the_alert_cannot_be_raised(database: Database, tenant_id: TenantId) -> None:
    told = Failures(database, Clock())
    await database.close()
    await told.user_refused(tenant_id, SourceId(new_id()), Refused("user_name_taken", "Taken."), None)
    await told.token_refused(tenant_id, "stoa_scim_" + "x" * 43, None)
    with pytest.raises(ConnectionError):
        await alerts(database, tenant_id)
