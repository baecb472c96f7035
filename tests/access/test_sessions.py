import asyncio
from datetime import timedelta
from typing import Any

import pytest

from stoa.access import operators, sessions
from stoa.access.permissions import Role
from stoa.access.sessions import Entry, entry_of, open_session, sessions_of
from stoa.db.database import Database
from stoa.kernel.ids import OperatorId, new_id
from stoa.kernel.problems import NotFound
from tests.access.conftest import Account, MakeAccount, MovingClock
from tests.conftest import MakeTenant


async def begin(database: Database, account: Account, user_agent: str = "Firefox", address: str = "192.0.2.1") -> str:
    async with database.platform() as tx:
        return await open_session(tx, account.operator.operator_id, user_agent=user_agent, address=address)


async def enter(database: Database, token: str | None, slug: str | None = None) -> Entry | None:
    async with database.platform() as tx:
        return await entry_of(tx, token, slug)


async def test_a_session_leads_to_its_operator_roles_and_the_tenant_of_the_address(
    database: Database, make_tenant: MakeTenant, make_account: MakeAccount
) -> None:
    mine, other = await make_tenant(slug="entry-mine", name="Mine"), await make_tenant()
    account = await make_account(None, {mine: Role.TENANT_ADMIN, other: Role.TENANT_VIEWER})
    token = await begin(database, account)
    entry = await enter(database, token, "entry-mine")
    assert entry is not None
    assert entry.tenant is not None
    assert (entry.tenant.tenant_id, entry.tenant.name) == (mine, "Mine")
    principal = entry.principal
    assert principal.operator_id == account.operator.operator_id
    assert (principal.name, principal.email) == (account.operator.name, account.operator.email)
    assert principal.platform_role is None
    assert principal.tenant_roles == {mine: Role.TENANT_ADMIN, other: Role.TENANT_VIEWER}
    assert principal.must_change_password
    assert principal.actor == f"operator:{account.operator.operator_id}"
    for slug in (None, "no-such-tenant", "x\0y", "ENTRY-MINE", "", "a" * 10_000):
        entry = await enter(database, token, slug)
        assert entry is not None
        assert entry.tenant is None


async def test_neither_name_nor_address_nor_token_is_in_a_repr(database: Database, make_account: MakeAccount) -> None:
    account = await make_account(name="Unusual Name")
    token = await begin(database, account)
    shown = repr(await enter(database, token)) + repr(account.operator)
    assert "Unusual" not in shown
    assert account.operator.email not in shown
    assert token not in shown


async def test_only_a_digest_of_the_token_is_stored(database: Database, make_account: MakeAccount) -> None:
    token = await begin(database, await make_account())
    async with database.platform() as tx:
        rows = await tx.fetch("SELECT * FROM operator_session")
    assert sessions.token_hash(token) in {row["token_hash"] for row in rows}
    assert token not in repr(rows)
    assert len(token) == 43


async def test_what_is_no_token_opens_nothing(database: Database, make_account: MakeAccount) -> None:
    token = await begin(database, await make_account())
    wrong = token[:-1] + ("A" if token[-1] != "A" else "E")
    for text in (None, "", "x", wrong, token + "x", token.swapcase(), "é" * 43, "\0" * 43):
        assert await enter(database, text) is None


async def test_a_session_ends_after_two_hours_without_a_page(
    database: Database, make_account: MakeAccount, clock: MovingClock
) -> None:
    token = await begin(database, await make_account())
    for _ in range(3):
        clock.move(hours=1, minutes=58)
        assert await enter(database, token) is not None
    clock.move(hours=2, seconds=1)
    assert await enter(database, token) is None


async def test_a_session_ends_after_twelve_hours_however_busy(
    database: Database, make_account: MakeAccount, clock: MovingClock
) -> None:
    token = await begin(database, await make_account())
    for _ in range(11):
        clock.move(hours=1)
        assert await enter(database, token) is not None
    clock.move(hours=1, seconds=1)
    assert await enter(database, token) is None


async def test_visits_are_noted_once_a_minute(
    database: Database, make_account: MakeAccount, clock: MovingClock
) -> None:
    account = await make_account()
    token = await begin(database, account)

    async def seen() -> Any:
        async with database.platform() as tx:
            return (await sessions_of(tx, account.operator.operator_id))[0].last_seen_at

    first = await seen()
    clock.move(seconds=30)
    await enter(database, token)
    assert await seen() == first
    clock.move(seconds=31)
    await enter(database, token)
    assert await seen() >= first + timedelta(seconds=61)


async def test_noting_a_visit_waits_for_nobody(
    database: Database, make_account: MakeAccount, clock: MovingClock
) -> None:
    token = await begin(database, await make_account())
    clock.move(minutes=5)
    async with database.platform() as holder:
        await holder.execute(
            "SELECT FROM operator_session WHERE token_hash = $1 FOR UPDATE", sessions.token_hash(token)
        )
        assert await asyncio.wait_for(enter(database, token), 5) is not None


ENDS: dict[str, Any] = {
    "disabled": lambda tx, operator_id: operators.disable(tx, operator_id),
    "roles": lambda tx, operator_id: operators.set_roles(tx, operator_id, Role.PLATFORM_ADMIN, {}),
    "password": lambda tx, operator_id: operators.reset_password(tx, operator_id),
}


@pytest.mark.parametrize("how", ENDS)
async def test_what_changes_an_account_ends_its_sessions_at_once(
    database: Database, make_account: MakeAccount, how: str
) -> None:
    account, bystander = await make_account(), await make_account()
    tokens = [await begin(database, account), await begin(database, account)]
    theirs = await begin(database, bystander)
    async with database.platform() as tx:
        await ENDS[how](tx, account.operator.operator_id)
    for token in tokens:
        assert await enter(database, token) is None
    assert await enter(database, theirs) is not None
    async with database.platform() as tx:
        assert await sessions_of(tx, account.operator.operator_id) == []
        # What was ended stays ended, also for an account that is enabled again.
        await operators.enable(tx, account.operator.operator_id)
    assert await enter(database, tokens[0]) is None


async def test_roles_that_stay_as_they_are_end_nothing(database: Database, make_account: MakeAccount) -> None:
    account = await make_account()
    token = await begin(database, account)
    async with database.platform() as tx:
        await operators.set_roles(tx, account.operator.operator_id, Role.PLATFORM_VIEWER, {})
    assert await enter(database, token) is not None


async def test_a_session_can_be_closed_and_all_others_too(database: Database, make_account: MakeAccount) -> None:
    account = await make_account()
    one, two, three = [await begin(database, account) for _ in range(3)]
    kept = await enter(database, two)
    assert kept is not None
    async with database.platform() as tx:
        await sessions.close_session(tx, one)
        await sessions.close_session(tx, "no token")
    assert [bool(await enter(database, token)) for token in (one, two, three)] == [False, True, True]
    async with database.platform() as tx:
        assert await sessions.close_sessions_of(tx, account.operator.operator_id, but=kept.session_id) == 1
    assert [bool(await enter(database, token)) for token in (one, two, three)] == [False, True, False]
    async with database.platform() as tx:
        assert [one.session_id for one in await sessions_of(tx, account.operator.operator_id)] == [kept.session_id]
        assert await sessions.close_sessions_of(tx, account.operator.operator_id) == 1


async def test_sessions_tell_the_browser_in_plain_text(database: Database, make_account: MakeAccount) -> None:
    account = await make_account()
    await begin(database, account, "Evil\r\n\x1b[31m" + "x" * 1000, "192.0.2.1\n")
    async with database.platform() as tx:
        found = (await sessions_of(tx, account.operator.operator_id))[0]
    assert found.user_agent.startswith("Evil[31mxxx")
    assert len(found.user_agent) <= 400
    assert found.address == "192.0.2.1"


async def test_ended_sessions_are_cleared_away_at_the_next_sign_in(
    database: Database, make_account: MakeAccount, clock: MovingClock
) -> None:
    account, bystander = await make_account(), await make_account()
    for one in (account, account, bystander):
        await begin(database, one)
    clock.move(hours=3)
    await begin(database, account)
    async with database.platform() as tx:
        left = await tx.fetch(
            "SELECT operator_id FROM operator_session WHERE operator_id = any($1)",
            [account.operator.operator_id, bystander.operator.operator_id],
        )
    assert sorted(row["operator_id"] for row in left) == sorted(
        [account.operator.operator_id, bystander.operator.operator_id]
    )


async def test_nobody_gets_a_session_for_an_account_that_is_disabled_or_not_there(
    database: Database, make_account: MakeAccount
) -> None:
    account = await make_account()
    async with database.platform() as tx:
        await operators.disable(tx, account.operator.operator_id)
    with pytest.raises(NotFound):
        await begin(database, account)
    async with database.platform() as tx:
        with pytest.raises(NotFound):
            await open_session(tx, OperatorId(new_id()), user_agent="", address="")


async def test_finding_an_entry_reads_indexes_alone(database: Database, make_account: MakeAccount) -> None:
    account = await make_account()
    token = await begin(database, account)
    async with database.platform() as tx:
        # Such small tables would be read whole; at size the planner must have the indexes.
        await tx.execute("SET LOCAL enable_seqscan = off")
        rows = await tx.fetch(
            "EXPLAIN " + sessions.ENTRY, sessions.token_hash(token), tx.now, tx.now - sessions.IDLE, "acme"
        )
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan
    for index in ("operator_session_token_hash_key", "operator_pkey", "tenant_slug_pkey", "tenant_pkey"):
        assert index in plan
    assert "operator_grant_pkey" in plan
