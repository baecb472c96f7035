"""Tokens that come to an end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stoa.access.actions import EXPIRY_JOB, issue_token, revoke
from stoa.access.client_credentials import Shown, issue
from stoa.access.clients import create_client, delete_client
from stoa.access.clients_rules import Terms
from stoa.alerts import queries, rules
from stoa.alerts.expiry import EXPIRING_ALERT, expiry_job
from stoa.alerts.model import Alert
from stoa.composition import expiring_credential
from stoa.db.database import Database
from stoa.jobs.model import Outcome
from stoa.jobs.queries import job_state
from stoa.jobs.worker import Worker
from stoa.kernel.ids import CredentialId, TenantId
from tests.conftest import MakeTenant

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

# How long it lives, how long before its end it is looked at (negative: after it); how grave it is, and how long before
# its end to look again.
STEPS = [
    (90 * DAY, 90 * DAY, None, 30 * DAY),
    (90 * DAY, 30 * DAY + HOUR, None, 30 * DAY),
    (90 * DAY, 30 * DAY, "info", 7 * DAY),
    (90 * DAY, 7 * DAY, "warning", DAY),
    (90 * DAY, DAY, "critical", timedelta(0)),
    (90 * DAY, timedelta(0), "critical", -30 * DAY),
    (90 * DAY, -29 * DAY, "critical", -30 * DAY),
    (90 * DAY, -30 * DAY, None, None),
    (60 * DAY, 30 * DAY, "info", 7 * DAY),
    (59 * DAY, 30 * DAY, None, 7 * DAY),
    (13 * DAY, 7 * DAY, None, DAY),
    (HOUR, HOUR, None, timedelta(0)),
    (HOUR, timedelta(0), "critical", -30 * DAY),
]


@pytest.mark.parametrize(("life", "left", "severity", "again"), STEPS)
def test_how_grave_it_is_that_a_secret_expires(
    life: timedelta, left: timedelta, severity: str | None, again: timedelta | None
) -> None:
    found = rules.expiry(NOW - life, NOW, NOW - left)
    assert found == (severity, None if again is None else NOW - again)


class Token:
    """A token of a sandbox tenant with a clock that can be moved."""

    def __init__(self, database: Database, tenant_id: TenantId) -> None:
        self.database, self.tenant_id = database, tenant_id
        self.ahead = timedelta()
        self.worker = Worker(database, {EXPIRY_JOB: expiry_job(expiring_credential)})

        async def offset(_: TenantId) -> timedelta:
            return self.ahead

        database.use_clock_offset(offset)

    async def issue(self, life: timedelta | None, name: str = "Okta") -> CredentialId:
        async with self.database.tenant(self.tenant_id) as tx:
            expires_at = None if life is None else tx.now + life
            return (await issue_token(tx, ["scim"], name, expires_at=expires_at)).credential_id

    async def look(self, credential_id: CredentialId) -> Outcome | None:
        return await self.worker.claim_one(EXPIRY_JOB, str(credential_id), self.tenant_id)

    async def alert(self, credential_id: CredentialId) -> Alert | None:
        async with self.database.tenant(self.tenant_id) as tx:
            return await queries.current_alert(tx, EXPIRING_ALERT, str(credential_id))

    async def severity(self, credential_id: CredentialId) -> str | None:
        found = await self.alert(credential_id)
        return None if found is None else found.severity

    async def due_in(self, credential_id: CredentialId) -> timedelta | None:
        async with self.database.tenant(self.tenant_id) as tx:
            state = await job_state(tx, EXPIRY_JOB, str(credential_id))
            return None if state is None else state.due_at - tx.now


@pytest.fixture
async def token(database: Database, make_tenant: MakeTenant) -> Token:
    return Token(database, await make_tenant(owner_email="ada@example.com", sandbox=True, time_zone="Europe/Berlin"))


async def test_one_alert_gets_graver_as_the_end_draws_near(token: Token) -> None:
    made = await token.issue(90 * DAY)
    seen: list[Any] = []
    for days in (0, 60, 83, 89, 90):
        token.ahead = timedelta(days=days, minutes=1)
        assert await token.look(made) is Outcome.AGAIN
        found = await token.alert(made)
        seen.append(None if found is None else (found.severity, found.title))
    assert seen == [
        None,
        ("info", "The token “Okta” expires soon"),
        ("warning", "The token “Okta” expires soon"),
        ("critical", "The token “Okta” expires soon"),
        ("critical", "The token “Okta” has expired"),
    ]
    last = await token.alert(made)
    assert last is not None
    # Three mails were asked for: the last two looks were as grave as each other.
    assert (last.occurrences, last.mails) == (4, 3)
    assert "(Europe/Berlin)" in last.detail
    token.ahead = timedelta(days=120, minutes=1)
    assert await token.look(made) is Outcome.DONE
    assert await token.alert(made) is None


async def test_it_is_looked_at_when_the_next_step_comes(token: Token) -> None:
    made = await token.issue(90 * DAY)
    await token.look(made)
    due = await token.due_in(made)
    assert due is not None
    assert timedelta(days=59, hours=23) < due < timedelta(days=60)


async def test_revoking_the_token_resolves_the_alert_at_once(token: Token) -> None:
    made = await token.issue(90 * DAY)
    token.ahead = 85 * DAY
    await token.look(made)
    assert await token.severity(made) == "warning"
    async with token.database.tenant(token.tenant_id) as tx:
        await revoke(tx, made)
    due = await token.due_in(made)
    assert due is not None
    assert due <= timedelta(0)
    assert await token.look(made) is Outcome.DONE
    assert await token.alert(made) is None


async def test_a_token_without_an_end_is_never_looked_at(token: Token) -> None:
    made = await token.issue(None)
    assert await token.look(made) is None


@pytest.mark.parametrize("name", ["<b>x</b>", "x" * 200, "“evil”", "🙂"])
async def test_any_name_of_a_token_fits_into_its_alert(token: Token, name: str) -> None:
    made = await token.issue(HOUR, name)
    token.ahead = HOUR
    await token.look(made)
    found = await token.alert(made)
    assert found is not None
    assert len(found.title) <= rules.LONGEST_TITLE


@pytest.mark.parametrize(("kind", "name"), [("api_key", "The API key"), ("client_secret", "The client secret")])
async def test_what_a_client_shows_is_warned_of_in_its_own_words(token: Token, kind: Shown, name: str) -> None:
    async with token.database.tenant(token.tenant_id) as tx:
        client = await create_client(tx, Terms("Portal", ["people:read"]))
        made = (await issue(tx, client.client_id, kind, "Production", days=90)).credential_id
    token.ahead = 84 * DAY
    assert await token.look(made) is Outcome.AGAIN
    found = await token.alert(made)
    assert found is not None
    assert (found.severity, found.title) == ("warning", f"{name} “Production” expires soon")
    assert "API clients" in (found.hint or "")
    async with token.database.tenant(token.tenant_id) as tx:
        await delete_client(tx, client.client_id)
    assert await token.look(made) is Outcome.DONE
    assert await token.alert(made) is None
