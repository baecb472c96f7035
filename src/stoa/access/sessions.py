"""Sessions of operators, kept on the server: the browser holds a random token, the table only its digest.

A session ends by signing out, after two hours without a page, after twelve hours in any case, and at once when the
operator's `access_epoch` was raised: by a new password, other roles or a disabled account.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from stoa.access.permissions import Role
from stoa.access.platform_log import note
from stoa.access.principals import Principal
from stoa.db.transactions import PlatformTx, Row
from stoa.kernel.ids import OperatorId, TenantId, new_id
from stoa.kernel.problems import NotFound
from stoa.tenants.model import TenantListing

IDLE: Final = timedelta(hours=2)
LONGEST: Final = timedelta(hours=12)
SEEN_EVERY: Final = timedelta(minutes=1)
_TOKEN_BYTES: Final = 32
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
# What cannot be a slug is not asked for: a path may hold what the database refuses as text.
_SLUG: Final = re.compile(r"[a-z0-9-]{1,63}")
_LONGEST_AGENT: Final = 400
_LONGEST_ADDRESS: Final = 100
_MOST_DELETED: Final = 200
_MOST_LISTED: Final = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """What a request's cookie and address lead to.

    Attributes:
        tenant: the one that the address names, or None. Whether the principal may see it, `permissions.may` says.
    """

    principal: Principal
    tenant: TenantListing | None
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Session:
    """One browser in which an operator is signed in.

    Attributes:
        last_seen_at: to about a minute.
        expires_at: when it ends however busy it is.
        user_agent, address: what the browser said and where it connected from, when it signed in.
    """

    session_id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    user_agent: str
    address: str


ENTRY: Final = """
SELECT s.session_id, s.last_seen_at, o.operator_id, o.name AS operator_name, o.email, o.platform_role,
  o.must_change_password,
  (SELECT jsonb_object_agg(g.tenant_id, g.role) FROM operator_grant g WHERE g.operator_id = o.operator_id) AS roles,
  t.tenant_id, t.slug, t.name, t.time_zone, t.sandbox, t.clock_offset, t.created_at, t.accent
FROM operator_session s
JOIN operator o ON o.operator_id = s.operator_id AND o.access_epoch = s.access_epoch AND o.disabled_at IS NULL
LEFT JOIN tenant_slug n ON n.slug = $4
LEFT JOIN tenant t ON t.tenant_id = n.tenant_id
WHERE s.token_hash = $1 AND s.expires_at > $2 AND s.last_seen_at > $3"""

# Whoever finds the row locked lets it be: the holder notes a page just now, or ends the session.
_NOTE_SEEN: Final = """
UPDATE operator_session SET last_seen_at = $2 WHERE session_id = (
  SELECT session_id FROM operator_session WHERE session_id = $1 AND last_seen_at <= $3
  FOR NO KEY UPDATE SKIP LOCKED)"""

_OPEN: Final = """
INSERT INTO operator_session
  (session_id, token_hash, operator_id, access_epoch, created_at, last_seen_at, expires_at, user_agent, address)
SELECT $1, $2, o.operator_id, o.access_epoch, $4, $4, $5, $6, $7
FROM operator o WHERE o.operator_id = $3 AND o.disabled_at IS NULL"""

_DELETE_ENDED: Final = """
DELETE FROM operator_session WHERE session_id IN (
  SELECT s.session_id FROM operator_session s JOIN operator o ON o.operator_id = s.operator_id
  WHERE s.operator_id = $1
    AND (s.expires_at <= $2 OR s.last_seen_at <= $3 OR s.access_epoch <> o.access_epoch)
  LIMIT $4 FOR UPDATE OF s SKIP LOCKED)"""

_OF_OPERATOR: Final = """
SELECT s.session_id, s.created_at, s.last_seen_at, s.expires_at, s.user_agent, s.address
FROM operator_session s
JOIN operator o ON o.operator_id = s.operator_id AND o.access_epoch = s.access_epoch AND o.disabled_at IS NULL
WHERE s.operator_id = $1 AND s.expires_at > $2 AND s.last_seen_at > $3
ORDER BY s.last_seen_at DESC, s.session_id DESC LIMIT $4"""


async def entry_of(tx: PlatformTx, token: str | None, slug: str | None) -> Entry | None:
    """Whose token this is, and the tenant that a slug names; None when the token opens nothing.

    One query, on the path of every page. At most once a minute the visit is noted too, which never waits for another
    transaction.
    """
    digest = token_hash(token)
    if digest is None:
        return None
    asked = slug if slug is not None and _SLUG.fullmatch(slug) else None
    row = await tx.fetchrow(ENTRY, digest, tx.now, tx.now - IDLE, asked)
    if row is None:
        return None
    if row["last_seen_at"] <= tx.now - SEEN_EVERY:
        await tx.execute(_NOTE_SEEN, row["session_id"], tx.now, tx.now - SEEN_EVERY)
    return Entry(_principal(row), None if row["tenant_id"] is None else _tenant(row), row["session_id"])


async def open_session(tx: PlatformTx, operator_id: OperatorId, *, user_agent: str, address: str) -> str:
    """Opens a session and gives its token, which is stored nowhere. Ended sessions of the operator are cleared away.

    user_agent, address: what the browser says of itself and where it connects from, to tell sessions apart.

    Raises:
        NotFound: there is no such operator, or the account is disabled.
    """
    await tx.execute(_DELETE_ENDED, operator_id, tx.now, tx.now - IDLE, _MOST_DELETED)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    made = await tx.execute(
        _OPEN,
        *(new_id(), token_hash(token), operator_id, tx.now, tx.now + LONGEST),
        *(plain(user_agent, _LONGEST_AGENT), plain(address, _LONGEST_ADDRESS)),
    )
    if not made:
        raise NotFound("There is no such account, or it is disabled.")
    return token


async def close_session(tx: PlatformTx, token: str | None) -> OperatorId | None:
    """Ends the session of this token and gives whose it was; None if there was none."""
    if (digest := token_hash(token)) is None:
        return None
    return await tx.fetchval("DELETE FROM operator_session WHERE token_hash = $1 RETURNING operator_id", digest)


async def sign_out(tx: PlatformTx, token: str | None) -> None:
    """Ends the session of this token, and writes that down."""
    operator_id = await close_session(tx, token)
    if operator_id is not None:
        tx.origin = replace(tx.origin, actor=f"operator:{operator_id}")
        note(tx, "operator.signed_out", f"operator:{operator_id}")


async def close_sessions_of(tx: PlatformTx, operator_id: OperatorId, *, but: UUID | None = None) -> int:
    """Ends an operator's sessions, save one, and gives how many rows went."""
    ended = await tx.execute(
        "DELETE FROM operator_session WHERE operator_id = $1 AND session_id IS DISTINCT FROM $2", operator_id, but
    )
    if ended:
        note(tx, "operator.sessions_closed", f"operator:{operator_id}", {"sessions": ended})
    return ended


async def sessions_of(tx: PlatformTx, operator_id: OperatorId) -> list[Session]:
    """An operator's sessions that are open, the one used last first; at most a hundred."""
    rows = await tx.fetch(_OF_OPERATOR, operator_id, tx.now, tx.now - IDLE, _MOST_LISTED)
    return [
        Session(
            session_id=row["session_id"],
            created_at=row["created_at"],
            last_seen_at=row["last_seen_at"],
            expires_at=row["expires_at"],
            user_agent=row["user_agent"],
            address=row["address"],
        )
        for row in rows
    ]


def token_hash(token: str | None) -> bytes | None:
    """The SHA-256 digest under which a session's token is stored, or None if the text cannot be a token.

    A token has 256 random bits, so an unsalted fast hash cannot be searched, and the index tells nothing by timing.
    """
    return None if token is None or not _TOKEN.fullmatch(token) else hashlib.sha256(token.encode("ascii")).digest()


def plain(text: str, most: int) -> str:
    """A header's text as it may be stored and shown: no control characters, not longer than `most`."""
    return "".join(character for character in text[:most] if character.isprintable())


def _principal(row: Row) -> Principal:
    roles: dict[str, str] = row["roles"] or {}
    return Principal(
        operator_id=row["operator_id"],
        name=row["operator_name"],
        email=row["email"],
        platform_role=None if row["platform_role"] is None else Role(row["platform_role"]),
        tenant_roles={TenantId(UUID(tenant_id)): Role(role) for tenant_id, role in roles.items()},
        must_change_password=row["must_change_password"],
    )


def _tenant(row: Row) -> TenantListing:
    return TenantListing(
        tenant_id=row["tenant_id"],
        slug=row["slug"],
        name=row["name"],
        time_zone=row["time_zone"],
        sandbox=row["sandbox"],
        clock_offset=row["clock_offset"],
        created_at=row["created_at"],
        accent=row["accent"],
    )
