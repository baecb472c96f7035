"""Signing in with e-mail address and password, and changing one's own password."""

from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from stoa.access.attempts import Attempt, count_attempt, forgive_attempt
from stoa.access.passwords import WeakPassword, checked_password, hashed, verified
from stoa.access.platform_log import note
from stoa.access.principals import Principal
from stoa.access.sessions import close_session, close_sessions_of, open_session, plain
from stoa.db.database import Database
from stoa.db.transactions import Origin, PlatformTx, Row
from stoa.kernel.fold import fold
from stoa.kernel.ids import OperatorId
from stoa.kernel.problems import BadInput

_log = structlog.get_logger()
_LONGEST_EMAIL: Final = 320
_LONGEST_ADDRESS: Final = 100
_LONGEST_AGENT: Final = 400

_ACCOUNT: Final = """
SELECT operator_id, password_hash, access_epoch, disabled_at IS NULL AS enabled FROM operator WHERE email_key = $1"""

# The password that was verified must still be the account's: a new one raises the epoch.
_ADMIT: Final = """
UPDATE operator SET last_sign_in_at = $3, password_hash = coalesce($4, password_hash)
WHERE operator_id = $1 AND access_epoch = $2 AND disabled_at IS NULL RETURNING must_change_password"""

_CHANGE: Final = """
UPDATE operator SET password_hash = $3, must_change_password = false, password_changed_at = $4,
  access_epoch = access_epoch + 1
WHERE operator_id = $1 AND access_epoch = $2 AND disabled_at IS NULL"""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session has been opened.

    Attributes:
        token: for the browser's cookie; it is stored nowhere else.
        must_change_password: whether that comes before anything else.
    """

    token: str = field(repr=False)
    must_change_password: bool


@dataclass(frozen=True, slots=True)
class SignInRefused:
    """Nobody was let in. The texts are for the person who tried, and say nothing about whether the account exists.

    Attributes:
        retry_after_seconds: how long every further attempt is refused unseen; None if one may follow at once.
    """

    detail: str
    hint: str
    retry_after_seconds: int | None


async def sign_in(
    database: Database,
    email: str,
    password: str,
    *,
    address: str,
    user_agent: str,
    replaces: str | None = None,
    request_id: str | None = None,
) -> SignedIn | SignInRefused:
    """Opens a session for whoever knows the password of an enabled account.

    Writes a line of the platform's own log, for an attempt that was looked at too. One that comes too soon is not
    looked at and has none: the line before it tells how long the wait is.

    address, user_agent: of the browser. replaces: the token of the session that the browser had, which ends.
    """
    email = email.strip()[:_LONGEST_EMAIL]
    origin = Origin("anonymous", "console", request_id, address[:_LONGEST_ADDRESS] or None)
    attempt, account = await _begin(database, email, address)
    if not attempt.allowed:
        return _too_soon(attempt)
    verdict = await verified(None if account is None else account["password_hash"], password)
    if account is None or not verdict.right or not account["enabled"]:
        await _tell_failure(database, origin, attempt, account, right=verdict.right)
        return _wrong(attempt)
    renewed = await hashed(password) if verdict.outdated else None
    operator_id = OperatorId(account["operator_id"])
    async with database.platform(replace(origin, actor=f"operator:{operator_id}")) as tx:
        must_change = await tx.fetchval(_ADMIT, operator_id, account["access_epoch"], tx.now, renewed)
        if must_change is None:
            return _wrong(attempt)
        await forgive_attempt(tx, attempt)
        await close_session(tx, replaces)
        token = await open_session(tx, operator_id, user_agent=user_agent, address=address)
        note(tx, "operator.signed_in", f"operator:{operator_id}", {"browser": plain(user_agent, _LONGEST_AGENT)})
    _log.info("signed_in", operator_id=str(operator_id))
    return SignedIn(token, must_change)


async def change_password(
    database: Database,
    principal: Principal,
    current: str,
    new: str,
    *,
    address: str,
    user_agent: str,
    request_id: str | None = None,
) -> SignedIn | SignInRefused:
    """Gives the principal's account another password. Every session ends but the one that did it, which goes on under
    the fresh token.

    Raises:
        BadInput: the new password will not do; nothing was tried.
    """
    checked_password(new, email=principal.email, name=principal.name)
    if new == current:
        raise WeakPassword("The new password is the present one.", hint="Choose another one.")
    attempt, account = await _begin(database, principal.email, address)
    if not attempt.allowed:
        return _too_soon(attempt)
    if account is None or account["operator_id"] != principal.operator_id:
        raise BadInput("The account has another e-mail address now.", hint="Sign in again.")
    origin = Origin(principal.actor, "console", request_id, address[:_LONGEST_ADDRESS] or None)
    if not (await verified(account["password_hash"], current)).right:
        await _tell_failure(database, origin, attempt, account, right=False)
        return _wrong_current(attempt)
    stored = await hashed(new)
    async with database.platform(origin) as tx:
        if not await tx.execute(_CHANGE, principal.operator_id, account["access_epoch"], stored, tx.now):
            raise BadInput("The account was changed by somebody else just now.", hint="Sign in again.")
        await forgive_attempt(tx, attempt)
        note(tx, "operator.password_changed", principal.actor)
        await close_sessions_of(tx, principal.operator_id)
        token = await open_session(tx, principal.operator_id, user_agent=user_agent, address=address)
    _log.info("password_changed", operator_id=str(principal.operator_id))
    return SignedIn(token, must_change_password=False)


async def _begin(database: Database, email: str, address: str) -> tuple[Attempt, Row | None]:
    async with database.platform() as tx:
        attempt = await count_attempt(tx, email, address)
        return attempt, await _account(tx, email) if attempt.allowed else None


async def _account(tx: PlatformTx, email: str) -> Row | None:
    # PostgreSQL's text holds no NUL, so no account has one.
    return None if "\0" in email else await tx.fetchrow(_ACCOUNT, fold(email))


async def _tell_failure(
    database: Database, origin: Origin, attempt: Attempt, account: Row | None, *, right: bool
) -> None:
    """Writes down that a password was not right, or right for a disabled account, and that the account or the address
    has to wait now. What was typed as an address stays out of it: now and then it is a password.
    """
    subject = "" if account is None else f"operator:{account['operator_id']}"
    reason = "unknown_account" if account is None else "disabled_account" if right else "wrong_password"
    async with database.platform(origin) as tx:
        note(tx, "operator.sign_in_failed", subject, {"reason": reason})
        if attempt.wait_seconds:
            note(tx, "operator.locked_out", subject, {"wait_seconds": attempt.wait_seconds})


def _too_soon(attempt: Attempt) -> SignInRefused:
    _log.warning("sign_in_refused", reason="too_soon", retry_after_seconds=attempt.wait_seconds)
    return SignInRefused(
        "There were too many attempts, so this one was not looked at.",
        f"Try again in {_spelt(attempt.wait_seconds)}. An administrator of the platform can give you a new password.",
        attempt.wait_seconds,
    )


def _wrong(attempt: Attempt) -> SignInRefused:
    _log.warning("sign_in_refused", reason="wrong")
    return SignInRefused(
        "The e-mail address or the password is not right, or the account is disabled.", _next(attempt), _wait(attempt)
    )


def _wrong_current(attempt: Attempt) -> SignInRefused:
    _log.warning("sign_in_refused", reason="wrong_current")
    return SignInRefused("The present password is not right.", _next(attempt), _wait(attempt))


def _next(attempt: Attempt) -> str:
    wait = f"Try again in {_spelt(attempt.wait_seconds)}." if attempt.wait_seconds else "Look at both and try again."
    return f"{wait} If you have lost the password, an administrator of the platform can give you a new one."


def _wait(attempt: Attempt) -> int | None:
    return attempt.wait_seconds or None


def _spelt(seconds: int) -> str:
    if seconds == 1:
        return "1 second"
    minutes = -(-seconds // 60)
    return f"{seconds} seconds" if seconds < 120 else f"{minutes} minutes"
