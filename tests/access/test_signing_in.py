import asyncio
from collections.abc import MutableMapping
from time import perf_counter
from typing import Any

import pytest
from argon2 import PasswordHasher
from structlog.testing import capture_logs

from stoa.access import operators
from stoa.access.attempts import FREE_OF_ACCOUNT
from stoa.access.passwords import WeakPassword
from stoa.access.principals import Principal
from stoa.access.sessions import entry_of
from stoa.access.signing_in import SignedIn, SignInRefused, change_password, sign_in
from stoa.db.database import Database
from tests.access.conftest import Account, MakeAccount, MovingClock

NEW = "seven llamas upstairs"
Answer = SignedIn | SignInRefused


@pytest.fixture(autouse=True)
async def nothing_counted(database: Database) -> None:
    async with database.platform() as tx:
        await tx.execute("DELETE FROM sign_in_attempt")


async def try_it(database: Database, email: str, password: str, **given: Any) -> Answer:
    return await sign_in(database, email, password, **({"address": "192.0.2.1", "user_agent": "Firefox"} | given))


async def let_in(database: Database, account: Account, password: str | None = None, **given: Any) -> SignedIn:
    answer = await try_it(database, account.operator.email, password or account.password, **given)
    assert isinstance(answer, SignedIn)
    return answer


async def principal_of(database: Database, token: str) -> Principal | None:
    async with database.platform() as tx:
        entry = await entry_of(tx, token, None)
    return None if entry is None else entry.principal


async def change(database: Database, token: str, current: str, new: str = NEW) -> Answer:
    principal = await principal_of(database, token)
    assert principal is not None
    return await change_password(database, principal, current, new, address="192.0.2.1", user_agent="Firefox")


async def test_the_right_password_opens_a_session(database: Database, make_account: MakeAccount) -> None:
    account = await make_account()
    answer = await try_it(database, f" {account.operator.email.upper()} ", account.password)
    assert isinstance(answer, SignedIn)
    assert answer.must_change_password
    principal = await principal_of(database, answer.token)
    assert principal is not None
    assert principal.operator_id == account.operator.operator_id
    async with database.platform() as tx:
        assert (await operators.operator_by_id(tx, principal.operator_id)).last_sign_in_at is not None


async def test_signing_in_ends_the_session_that_the_browser_had(database: Database, make_account: MakeAccount) -> None:
    account = await make_account()
    before = await let_in(database, account)
    elsewhere = await let_in(database, account)
    after = await let_in(database, account, replaces=before.token)
    assert len({before.token, elsewhere.token, after.token}) == 3
    assert await principal_of(database, before.token) is None
    assert await principal_of(database, elsewhere.token) is not None


async def test_a_token_that_was_planted_does_not_become_a_session(
    database: Database, make_account: MakeAccount
) -> None:
    planted = "A" * 43
    answer = await let_in(database, await make_account(), replaces=planted)
    assert answer.token != planted
    assert await principal_of(database, planted) is None


async def test_unknown_disabled_and_wrong_are_told_alike(database: Database, make_account: MakeAccount) -> None:
    known, disabled = await make_account(), await make_account()
    async with database.platform() as tx:
        await operators.disable(tx, disabled.operator.operator_id)
    answers = [
        await try_it(database, known.operator.email, "wrong password"),
        await try_it(database, "nobody@example.com", "wrong password"),
        await try_it(database, disabled.operator.email, disabled.password),
        await try_it(database, "x\0y", "wrong password"),
        await try_it(database, "", ""),
        await try_it(database, "x" * 100_000, "y" * 100_000),
    ]
    assert all(isinstance(one, SignInRefused) for one in answers)
    assert len({str(one) for one in answers}) == 1


async def test_an_unknown_account_costs_as_much_time_as_a_known_one(
    database: Database, make_account: MakeAccount
) -> None:
    account = await make_account()

    async def quickest(email: str) -> float:
        took: list[float] = []
        for number in range(4):
            began = perf_counter()
            assert isinstance(await try_it(database, email, "wrong", address=f"192.0.2.{number}"), SignInRefused)
            took.append(perf_counter() - began)
        return min(took)

    known, unknown = await quickest(account.operator.email), await quickest("nobody@example.com")
    assert unknown > 0.4 * known


@pytest.mark.parametrize("exists", [True, False])
async def test_during_the_wait_the_right_password_is_refused_too_and_the_wait_is_told(
    database: Database, make_account: MakeAccount, clock: MovingClock, exists: bool
) -> None:
    account = await make_account()
    email = account.operator.email if exists else "nobody@example.com"
    for _ in range(FREE_OF_ACCOUNT):
        answer = await try_it(database, email, "wrong")
    assert isinstance(answer, SignInRefused)
    assert answer.retry_after_seconds == 1
    clock.move(seconds=1)
    await try_it(database, email, "wrong")
    answer = await try_it(database, email, account.password)
    assert isinstance(answer, SignInRefused)
    assert answer.retry_after_seconds == 2
    assert "too many attempts" in answer.detail
    assert "Try again in 2 seconds" in answer.hint


async def test_after_the_wait_the_right_password_clears_the_count(
    database: Database, make_account: MakeAccount, clock: MovingClock
) -> None:
    account = await make_account()
    for _ in range(FREE_OF_ACCOUNT):
        await try_it(database, account.operator.email, "wrong")
    clock.move(seconds=1)
    await let_in(database, account)
    for _ in range(FREE_OF_ACCOUNT - 1):
        answer = await try_it(database, account.operator.email, "wrong")
        assert isinstance(answer, SignInRefused)
        assert answer.retry_after_seconds is None


async def test_signing_in_often_is_no_reason_to_wait(database: Database, make_account: MakeAccount) -> None:
    account = await make_account()
    for _ in range(25):
        await let_in(database, account)


async def test_guesses_that_race_are_not_looked_at_beyond_the_fifth(
    database: Database, make_account: MakeAccount
) -> None:
    account = await make_account()
    guesses = ["wrong"] * 30 + [account.password]
    answers = await asyncio.gather(*(try_it(database, account.operator.email, one) for one in guesses))
    looked_at = [one for one in answers if not (isinstance(one, SignInRefused) and "too many" in one.detail)]
    assert len(looked_at) == FREE_OF_ACCOUNT


async def test_a_password_that_was_changed_meanwhile_lets_nobody_in(
    database: Database, make_account: MakeAccount
) -> None:
    account = await make_account()
    token = (await let_in(database, account)).token
    answers = await asyncio.gather(
        change(database, token, account.password),
        *(try_it(database, account.operator.email, account.password) for _ in range(3)),
    )
    assert isinstance(answers[0], SignedIn)
    for answer in answers[1:]:
        if isinstance(answer, SignedIn):
            assert await principal_of(database, answer.token) is None, "a session of the old password lives on"


async def test_a_changed_password_ends_every_session_but_the_one_that_did_it(
    database: Database, make_account: MakeAccount
) -> None:
    account = await make_account()
    here, elsewhere = await let_in(database, account), await let_in(database, account)
    answer = await change(database, here.token, account.password)
    assert isinstance(answer, SignedIn)
    assert answer.token not in {here.token, elsewhere.token}
    principal = await principal_of(database, answer.token)
    assert principal is not None
    assert not principal.must_change_password
    for token in (here.token, elsewhere.token):
        assert await principal_of(database, token) is None
    assert isinstance(await try_it(database, account.operator.email, account.password), SignInRefused)
    assert not (await let_in(database, account, NEW)).must_change_password


async def test_changing_the_password_needs_the_present_one_and_counts_wrong_ones(
    database: Database, make_account: MakeAccount
) -> None:
    account = await make_account()
    token = (await let_in(database, account)).token
    for number in range(FREE_OF_ACCOUNT):
        answer = await change(database, token, "not the present one")
        assert isinstance(answer, SignInRefused)
        assert "present password" in answer.detail
        assert answer.retry_after_seconds == (1 if number == FREE_OF_ACCOUNT - 1 else None)
    answer = await change(database, token, account.password)
    assert isinstance(answer, SignInRefused)
    assert "too many" in answer.detail
    assert await principal_of(database, token) is not None


async def test_the_new_password_must_be_another_and_a_strong_one(database: Database, make_account: MakeAccount) -> None:
    account = await make_account()
    token = (await let_in(database, account)).token
    for new in (account.password, "short", "password1234", account.operator.email):
        with pytest.raises(WeakPassword):
            await change(database, token, account.password, new)
    assert await principal_of(database, token) is not None


async def test_a_password_that_was_reset_must_be_changed_again(database: Database, make_account: MakeAccount) -> None:
    account = await make_account()
    await change(database, (await let_in(database, account)).token, account.password)
    async with database.platform() as tx:
        fresh = await operators.reset_password(tx, account.operator.operator_id)
    assert isinstance(await try_it(database, account.operator.email, NEW), SignInRefused)
    assert (await let_in(database, account, fresh)).must_change_password


async def test_a_hash_of_weaker_parameters_is_renewed_at_the_next_sign_in(
    database: Database, make_account: MakeAccount
) -> None:
    account = await make_account()
    weak = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(account.password)
    asked = "SELECT password_hash FROM operator WHERE operator_id = $1"
    async with database.platform() as tx:
        await tx.execute(
            "UPDATE operator SET password_hash = $2 WHERE operator_id = $1", account.operator.operator_id, weak
        )
    first = await let_in(database, account)
    async with database.platform() as tx:
        renewed = await tx.fetchval(asked, account.operator.operator_id)
    assert "m=19456,t=2" in renewed
    await let_in(database, account)
    assert await principal_of(database, first.token) is not None
    async with database.platform() as tx:
        assert await tx.fetchval(asked, account.operator.operator_id) == renewed


async def test_no_password_token_or_address_is_logged_or_in_a_repr(
    database: Database, make_account: MakeAccount
) -> None:
    lines: list[MutableMapping[str, Any]]
    with capture_logs() as lines:
        account = await make_account()
        answers = [await try_it(database, account.operator.email, "a wrong password") for _ in range(6)]
        async with database.platform() as tx:
            await tx.execute("DELETE FROM sign_in_attempt")
        token = (await let_in(database, account)).token
        changed = await change(database, token, account.password)
        async with database.platform() as tx:
            fresh = await operators.reset_password(tx, account.operator.operator_id)
    assert isinstance(changed, SignedIn)
    assert {"operator_created", "sign_in_refused", "signed_in", "password_changed", "operator_password_reset"} <= {
        line["event"] for line in lines
    }
    told = repr(lines) + repr(answers) + repr(changed)
    for secret in (account.password, "a wrong password", NEW, fresh, token, changed.token, account.operator.email):
        assert secret not in told
