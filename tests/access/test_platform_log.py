"""The platform's own log: what it tells, that it is whole, and that whoever serves can only add to it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import uuid4

import asyncpg
import pytest

from stoa.access import operators
from stoa.access.operators import NewOperator, create_operator
from stoa.access.permissions import Role
from stoa.access.platform_log import PlatformEntry, check_platform_log, last_platform_check, note
from stoa.access.principals import Principal
from stoa.access.sessions import sign_out
from stoa.access.signing_in import SignedIn, change_password, sign_in
from stoa.db import embedded
from stoa.db.database import Database
from stoa.db.transactions import Origin
from stoa.kernel.ids import TenantId
from tests.access.conftest import MakeAccount
from tests.conftest import ConnectArgs

ADMIN = Origin("operator:admin", "console", "trace", "192.0.2.9")
Step = Callable[..., Awaitable[object]]
# A browser of its own for each test: the throttle counts by address.
BROWSER = {"user_agent": "Firefox\0/140"}


async def lines(database: Database, subject: str) -> list[PlatformEntry]:
    async with database.platform() as tx:
        rows = await tx.fetch(
            """SELECT entry_no, at, actor, via, request_id, address, type, subject, body FROM platform_entry
               WHERE subject = $1 ORDER BY entry_no""",
            subject,
        )
    return [PlatformEntry(**dict(row)) for row in rows]


async def test_what_is_done_to_an_account_is_told_with_who_and_from_where(
    database: Database, tenant_id: TenantId
) -> None:
    async with database.platform(ADMIN) as tx:
        made, _ = await create_operator(
            tx, NewOperator(f"{uuid4()}@example.com", "Ada", None, {tenant_id: Role.TENANT_VIEWER})
        )
    steps: list[Step] = [
        partial(operators.set_tenant_role, tenant_id=tenant_id, role=Role.TENANT_ADMIN),
        operators.reset_password,
        *(operators.disable, operators.disable),
        *(operators.enable, operators.enable),
    ]
    for step in steps:
        async with database.platform(ADMIN) as tx:
            await step(tx, operator_id=made.operator_id)
    told = await lines(database, f"operator:{made.operator_id}")
    assert [one.type for one in told] == [
        "operator.created",
        "operator.roles_changed",
        "operator.password_reset",
        "operator.disabled",
        "operator.enabled",
    ]
    assert {(one.actor, one.via, one.request_id, one.address) for one in told} == {
        ("operator:admin", "console", "trace", "192.0.2.9")
    }
    assert told[1].body == {
        "before": {"platform_role": None, "tenant_roles": {str(tenant_id): "tenant_viewer"}},
        "after": {"platform_role": None, "tenant_roles": {str(tenant_id): "tenant_admin"}},
    }
    assert told[3].body == {"before": {"enabled": True}, "after": {"enabled": False}}
    # Nobody is named in what can never be changed.
    assert "Ada" not in str(told)
    assert "example.com" not in str(told)


async def test_signing_in_and_out_is_told(database: Database, make_account: MakeAccount) -> None:
    account = await make_account(Role.PLATFORM_VIEWER)
    address = f"2001:db8::{uuid4().hex[:4]}"
    answer = await sign_in(
        database, account.operator.email, account.password, address=address, request_id="r1", **BROWSER
    )
    assert isinstance(answer, SignedIn)
    async with database.platform(Origin("anonymous", "console", "r2", address)) as tx:
        await sign_out(tx, answer.token)
        await sign_out(tx, answer.token)
    subject = f"operator:{account.operator.operator_id}"
    told = [one for one in await lines(database, subject) if one.type != "operator.created"]
    assert [(one.type, one.actor, one.request_id, one.address) for one in told] == [
        ("operator.signed_in", subject, "r1", address),
        ("operator.signed_out", subject, "r2", address),
    ]
    assert told[0].body == {"browser": "Firefox/140"}


async def test_failures_and_the_wait_that_they_begin_are_told_and_waiting_is_not(
    database: Database, make_account: MakeAccount
) -> None:
    account = await make_account()
    address = f"198.51.100.{uuid4().int % 250}-{uuid4().hex[:6]}"
    for _ in range(8):
        await sign_in(database, account.operator.email, "wrong", address=address, **BROWSER)
    told = await lines(database, f"operator:{account.operator.operator_id}")
    assert [one.type for one in told[-6:]] == ["operator.sign_in_failed"] * 5 + ["operator.locked_out"]
    assert told[-2].body == {"reason": "wrong_password"}
    assert told[-1].body == {"wait_seconds": 1}
    assert {(one.actor, one.address) for one in told[-6:]} == {("anonymous", address)}


@pytest.mark.parametrize("known", [True, False])
async def test_a_failure_says_why_to_auditors_alone(database: Database, make_account: MakeAccount, known: bool) -> None:
    account = await make_account()
    async with database.platform() as tx:
        await operators.disable(tx, account.operator.operator_id)
    email = account.operator.email if known else f"{uuid4()}@example.com"
    await sign_in(database, email, account.password, address=f"a-{uuid4()}", request_id=f"r-{email}", **BROWSER)
    async with database.platform() as tx:
        row = await tx.fetchrow("SELECT subject, body FROM platform_entry WHERE request_id = $1", f"r-{email}")
    assert row is not None
    expected = (f"operator:{account.operator.operator_id}", "disabled_account") if known else ("", "unknown_account")
    assert (row["subject"], row["body"]["reason"]) == expected


async def test_what_is_undone_is_not_told(database: Database, make_account: MakeAccount) -> None:
    account = await make_account()
    subject = f"operator:{account.operator.operator_id}"
    before = await lines(database, subject)
    with contextlib.suppress(LookupError):
        async with database.platform() as tx:
            await operators.reset_password(tx, account.operator.operator_id)
            raise LookupError
    async with database.platform() as tx:
        with contextlib.suppress(LookupError):
            async with tx.savepoint():
                note(tx, "operator.disabled", subject)
                raise LookupError
        note(tx, "operator.enabled", subject)
    assert [one.type for one in await lines(database, subject)][len(before) :] == ["operator.enabled"]


async def test_without_a_transaction_nothing_can_be_told(database: Database) -> None:
    with pytest.raises(RuntimeError, match="takes a transaction"):
        async with database.platform_at_once() as tx:
            note(tx, "operator.disabled", "")


async def test_whoever_serves_can_add_to_the_log_and_change_nothing_of_it(
    connect_args: ConnectArgs, database: Database, make_account: MakeAccount
) -> None:
    await make_account()
    for role in ("stoa_platform", "stoa_app", "stoa_sync", "stoa_backup"):
        connection = await asyncpg.connect(**connect_args(role))
        for statement in (
            "UPDATE platform_entry SET actor = 'nobody'",
            "DELETE FROM platform_entry",
            "TRUNCATE platform_entry",
            "DELETE FROM platform_head",
        ):
            # What backs up is read-only besides.
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
                await connection.execute(statement)
        await connection.close()


async def tampered(server: embedded.Server, sql: str) -> None:
    connection = await asyncpg.connect(server.admin_dsn.replace("/postgres?", "/stoa?"))
    await connection.execute(sql)
    await connection.close()


@pytest.mark.parametrize(
    ("harm", "mend", "reason", "place"),
    [
        ("SET actor = actor || '!'", "SET actor = left(actor, -1)", "digest", 0),
        ("SET address = coalesce(address, '') || '1'", "SET address = nullif(left(address, -1), '')", "digest", 0),
        ("SET digest = digest || '\\x00'", "SET digest = substring(digest, 1, 32)", "chain", 0),
        ("SET entry_no = entry_no + 1000000", "SET entry_no = entry_no - 1000000", "head", 0),
    ],
)
async def test_a_line_that_was_touched_is_found_and_noted(
    database: Database, make_account: MakeAccount, server: embedded.Server,
    harm: str, mend: str, reason: str, place: int,
) -> None:  # fmt: skip
    await make_account()
    async with database.platform() as tx:
        sound = await check_platform_log(tx)
        last = await tx.fetchval("SELECT max(entry_no) FROM platform_entry")
    assert (sound.up_to, sound.broken) == (last, None)
    await tampered(server, f"UPDATE platform_entry {harm} WHERE entry_no = {last}")
    try:
        async with database.platform() as tx:
            found = await check_platform_log(tx)
            assert await last_platform_check(tx) == found
        assert found.broken is not None
        assert (found.up_to, found.broken.seq, found.broken.reason) == (last - 1, last + place, reason)
    finally:
        number = "entry_no > 1000000" if "entry_no +" in harm else f"entry_no = {last}"
        await tampered(server, f"UPDATE platform_entry {mend} WHERE {number}")
    async with database.platform() as tx:
        assert (await check_platform_log(tx)).broken is None


async def test_an_erased_line_keeps_its_place(
    database: Database, make_account: MakeAccount, server: embedded.Server
) -> None:
    account = await make_account()
    await tampered(
        server,
        f"""UPDATE platform_entry SET salt = '', body = '{{}}', address = NULL
            WHERE subject = 'operator:{account.operator.operator_id}'""",
    )
    async with database.platform() as tx:
        assert (await check_platform_log(tx)).broken is None


async def test_a_changed_password_is_told(database: Database, make_account: MakeAccount) -> None:
    account = await make_account()
    operator = account.operator
    answer = await sign_in(database, operator.email, account.password, address=f"a-{uuid4()}", **BROWSER)
    assert isinstance(answer, SignedIn)
    principal = Principal(operator.operator_id, operator.name, operator.email, operator.platform_role, {}, True)
    new = f"A rather long one {uuid4()}"
    await change_password(
        database, principal, account.password, new, address="192.0.2.77", request_id="r9", user_agent=""
    )
    told = await lines(database, principal.actor)
    assert [one.type for one in told[-2:]] == ["operator.password_changed", "operator.sessions_closed"]
    assert (told[-2].request_id, told[-2].address) == ("r9", "192.0.2.77")
    assert new not in str(told)


async def test_many_who_write_at_once_leave_one_whole_chain(database: Database, make_account: MakeAccount) -> None:
    accounts = [await make_account() for _ in range(6)]

    async def act(number: int) -> None:
        # Two accounts in one transaction, in either order: nobody may wait for another in a ring.
        pair = (accounts[number % 6], accounts[(number + 1) % 6]) if number % 2 else (accounts[0], accounts[5])
        async with database.platform(Origin(f"operator:{number}", "console")) as tx:
            for account in sorted(pair, key=lambda one: one.operator.operator_id):
                await operators.enable(tx, account.operator.operator_id)
                note(tx, "operator.signed_out", f"operator:{account.operator.operator_id}")

    await asyncio.gather(*(act(number) for number in range(24)))
    async with database.platform() as tx:
        numbers = [row["entry_no"] for row in await tx.fetch("SELECT entry_no FROM platform_entry ORDER BY entry_no")]
        assert (await check_platform_log(tx)).broken is None
    assert numbers == list(range(1, len(numbers) + 1))
