"""Operator accounts: made, given roles, disabled and given first passwords. What ends sessions raises the epoch in the
statement that does it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, Literal
from uuid import UUID

import structlog

from stoa.access.passwords import generated_password, hashed
from stoa.access.permissions import PLATFORM_ROLES, TENANT_ROLES, Role
from stoa.access.platform_log import note
from stoa.db.transactions import PlatformTx, Row
from stoa.kernel.fold import fold
from stoa.kernel.ids import OperatorId, TenantId, new_id
from stoa.kernel.problems import BadInput, Conflict, NotFound
from stoa.tenants.rules import checked_email, checked_name

_log = structlog.get_logger()
MOST_TENANTS: Final = 1_000

_OPERATORS: Final = """
SELECT o.operator_id, o.email, o.email_key, o.name, o.platform_role, o.must_change_password, o.disabled_at,
  o.created_at, o.last_sign_in_at, o.password_changed_at,
  o.name_key,
  (SELECT jsonb_agg(jsonb_build_array(g.tenant_id, t.slug, t.name, g.role) ORDER BY t.slug)
   FROM operator_grant g JOIN tenant t ON t.tenant_id = g.tenant_id WHERE g.operator_id = o.operator_id) AS tenants
FROM operator o"""

Sort = Literal["email", "name"]
# Position of an account in a list: its key and its id.
Position = tuple[str, str]
_KEYS: Final[Mapping[Sort, str]] = {"email": "o.email_key", "name": "o.name_key"}


def _listing(key: str, *, descending: bool) -> str:
    # Accounts are few (hundreds), so looking at each for a part of its name or address costs nothing.
    order, further = ("DESC", "<") if descending else ("ASC", ">")
    return f"""{_OPERATORS}
WHERE ($1 = '' OR strpos(o.email_key, $1) > 0 OR strpos(o.name_key, $1) > 0)
  AND ($2::text IS NULL OR ({key}, o.operator_id) {further} ($2, $3::uuid))
ORDER BY {key} {order}, o.operator_id {order} LIMIT $4"""


LISTINGS: Final = {
    (sort, descending): _listing(key, descending=descending)
    for sort, key in _KEYS.items()
    for descending in (False, True)
}

_INSERT: Final = """
INSERT INTO operator
  (operator_id, email, email_key, name, name_key, password_hash, must_change_password, platform_role, created_at,
   password_changed_at)
VALUES ($1, $2, $3, $4, $5, $6, true, $7, $8, $8)
ON CONFLICT (email_key) DO NOTHING"""

# In order of id, so that two who take roles away at once wait for each other instead of deadlocking; who comes second
# no longer sees whom the first has disabled.
_LOCK_ADMINS: Final = """
SELECT operator_id FROM operator WHERE platform_role = 'platform_admin' AND disabled_at IS NULL
ORDER BY operator_id FOR NO KEY UPDATE"""

_SET_ROLE: Final = """
UPDATE operator SET platform_role = $2, access_epoch = access_epoch + 1 WHERE operator_id = $1"""

_RESET: Final = """
UPDATE operator SET password_hash = $2, must_change_password = true, password_changed_at = $3,
  access_epoch = access_epoch + 1
WHERE operator_id = $1"""

_DISABLE: Final = """
UPDATE operator SET disabled_at = coalesce(disabled_at, $2), access_epoch = access_epoch + 1 WHERE operator_id = $1"""


class LastAdmin(Conflict):
    """Nobody would be left who could administer the platform.

    Make somebody else an administrator of the platform first.
    """

    code = "last_platform_admin"


@dataclass(frozen=True, slots=True)
class TenantGrant:
    """A role within one tenant."""

    tenant_id: TenantId
    slug: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Operator:
    """An account, without its password.

    Attributes:
        tenants: the roles within tenants, by slug.
        must_change_password: the password is one that was made for the operator.
        disabled_at: since when nobody can sign in with it; None while it is enabled.
    """

    operator_id: OperatorId
    email: str = field(repr=False)
    name: str = field(repr=False)
    platform_role: Role | None
    tenants: tuple[TenantGrant, ...]
    must_change_password: bool
    disabled_at: datetime | None
    created_at: datetime
    last_sign_in_at: datetime | None
    password_changed_at: datetime

    @property
    def tenant_roles(self) -> Mapping[TenantId, Role]:
        """The roles within tenants, by tenant."""
        return {grant.tenant_id: grant.role for grant in self.tenants}


@dataclass(frozen=True, slots=True)
class NewOperator:
    """What is needed to make an account."""

    email: str = field(repr=False)
    name: str = field(repr=False)
    platform_role: Role | None = None
    tenant_roles: Mapping[TenantId, Role] = field(default_factory=dict[TenantId, Role])


# ------------------------------------------------------------------ reading


async def operators(
    tx: PlatformTx,
    *,
    search: str = "",
    sort: Sort = "email",
    descending: bool = False,
    after: Position | None = None,
    limit: int = 50,
) -> tuple[list[Operator], Position | None]:
    """Accounts in order, and where the next page begins, or None.

    search: a part of the name or address, without regard to case. after: as a page before gave it, in the same order.
    """
    # PostgreSQL's text holds no NUL, which an address bar may.
    wanted = fold(search.replace("\0", "").strip())
    key, operator_id = after if after is not None else (None, None)
    rows = await tx.fetch(LISTINGS[sort, descending], wanted, key, operator_id, limit + 1)
    shown = rows[:limit]
    further = (str(shown[-1][f"{sort}_key"]), str(shown[-1]["operator_id"])) if len(rows) > limit else None
    return [_operator(row) for row in shown], further


async def operator_by_id(tx: PlatformTx, operator_id: OperatorId) -> Operator:
    """One account. Raises NotFound."""
    row = await tx.fetchrow(_OPERATORS + " WHERE o.operator_id = $1", operator_id)
    if row is None:
        raise NotFound("There is no such operator.")
    return _operator(row)


async def operator_by_email(tx: PlatformTx, email: str) -> Operator:
    """One account by its e-mail address, without regard to case. Raises NotFound."""
    row = await tx.fetchrow(_OPERATORS + " WHERE o.email_key = $1", fold(email.strip()))
    if row is None:
        raise NotFound(
            f"There is no operator {email.strip()[:80]!r}.", hint="`stoa operator list` shows the operators there are."
        )
    return _operator(row)


async def tenant_ids(tx: PlatformTx, slugs: Iterable[str]) -> dict[str, TenantId]:
    """The tenants of some slugs.

    Raises:
        NotFound: naming the first slug that no tenant has.
    """
    wanted = sorted(set(slugs))
    rows = await tx.fetch(
        "SELECT slug, tenant_id FROM tenant_slug WHERE slug = any($1::text[])",
        [slug for slug in wanted if slug.isprintable()],
    )
    found = {str(row["slug"]): TenantId(row["tenant_id"]) for row in rows}
    for slug in wanted:
        if slug not in found:
            raise NotFound(f"There is no tenant {slug[:80]!r}.", hint="`stoa tenant list` shows the tenants there are.")
    return found


def _operator(row: Row) -> Operator:
    grants: list[tuple[str, str, str, str]] = row["tenants"] or []
    return Operator(
        operator_id=row["operator_id"],
        email=row["email"],
        name=row["name"],
        platform_role=None if row["platform_role"] is None else Role(row["platform_role"]),
        tenants=tuple(TenantGrant(TenantId(UUID(id_)), slug, name, Role(role)) for id_, slug, name, role in grants),
        must_change_password=row["must_change_password"],
        disabled_at=row["disabled_at"],
        created_at=row["created_at"],
        last_sign_in_at=row["last_sign_in_at"],
        password_changed_at=row["password_changed_at"],
    )


# ------------------------------------------------------------------ changing


async def create_operator(tx: PlatformTx, new: NewOperator) -> tuple[Operator, str]:
    """Makes an account and gives it with its first password, which is known to nobody else and must be changed at the
    first sign-in.

    Raises:
        BadInput: the address, the name or the roles cannot be accepted.
        NotFound: a tenant does not exist.
        Conflict: an account has the address already.
    """
    email, name = checked_email(new.email.strip()), checked_name(new.name, "operator's name")
    _check_roles(new.platform_role, new.tenant_roles)
    operator_id, password = OperatorId(new_id()), generated_password()
    made = await tx.execute(
        _INSERT,
        *(operator_id, email, fold(email), name, fold(name), await hashed(password), new.platform_role, tx.now),
    )
    if not made:
        raise Conflict(
            "There is an operator with that e-mail address already.",
            hint="Change that account's roles, or give it a new password.",
        )
    await _write_grants(tx, operator_id, new.tenant_roles)
    _tell(tx, "operator.created", operator_id, {"after": _roles(new.platform_role, new.tenant_roles)})
    return await operator_by_id(tx, operator_id), password


async def set_roles(
    tx: PlatformTx, operator_id: OperatorId, platform_role: Role | None, tenant_roles: Mapping[TenantId, Role]
) -> Operator:
    """Gives an account these roles and no others. Its sessions end if that changes anything.

    Raises:
        BadInput: the roles cannot be accepted. NotFound: there is no such operator or tenant.
        LastAdmin: nobody would be left who could administer the platform.
    """
    _check_roles(platform_role, tenant_roles)
    await _keep_an_admin(tx, operator_id, leaves=platform_role is not Role.PLATFORM_ADMIN)
    before = await operator_by_id(tx, operator_id)
    if before.platform_role == platform_role and before.tenant_roles == tenant_roles:
        return before
    await tx.execute(_SET_ROLE, operator_id, platform_role)
    await _write_grants(tx, operator_id, tenant_roles)
    body = {
        "before": _roles(before.platform_role, before.tenant_roles),
        "after": _roles(platform_role, tenant_roles),
    }
    _tell(tx, "operator.roles_changed", operator_id, body)
    return await operator_by_id(tx, operator_id)


async def set_platform_role(tx: PlatformTx, operator_id: OperatorId, role: Role | None) -> Operator:
    """Gives an account this role for the whole platform, or none, and leaves its roles within tenants. As `set_roles`
    raises."""
    before = await _locked(tx, operator_id)
    return await set_roles(tx, operator_id, role, before.tenant_roles)


async def set_tenant_role(tx: PlatformTx, operator_id: OperatorId, tenant_id: TenantId, role: Role | None) -> Operator:
    """Gives an account this role within one tenant, or none, and leaves its other roles. As `set_roles` raises."""
    before = await _locked(tx, operator_id)
    others = {key: value for key, value in before.tenant_roles.items() if key != tenant_id}
    return await set_roles(
        tx, operator_id, before.platform_role, others if role is None else {**others, tenant_id: role}
    )


async def reset_password(tx: PlatformTx, operator_id: OperatorId) -> str:
    """Gives an account a first password again, ends its sessions, and gives the password, which is known to nobody
    else. Raises NotFound."""
    password = generated_password()
    await _touch(tx, _RESET, operator_id, await hashed(password), tx.now)
    _tell(tx, "operator.password_reset", operator_id)
    return password


async def disable(tx: PlatformTx, operator_id: OperatorId) -> None:
    """Ends an account's sessions and lets nobody sign in with it. Disabling it again changes nothing.

    Raises:
        NotFound: there is no such operator. LastAdmin: nobody would be left who could administer the platform.
    """
    await _keep_an_admin(tx, operator_id, leaves=True)
    before = await _locked(tx, operator_id)
    await _touch(tx, _DISABLE, operator_id, tx.now)
    if before.disabled_at is None:
        _tell(tx, "operator.disabled", operator_id, _switch(to_enabled=False))


async def enable(tx: PlatformTx, operator_id: OperatorId) -> None:
    """Lets somebody sign in with the account again, with the password and roles that it had. Raises NotFound."""
    before = await _locked(tx, operator_id)
    await _touch(tx, "UPDATE operator SET disabled_at = NULL WHERE operator_id = $1", operator_id)
    if before.disabled_at is not None:
        _tell(tx, "operator.enabled", operator_id, _switch(to_enabled=True))


async def _locked(tx: PlatformTx, operator_id: OperatorId) -> Operator:
    """An account whose roles nobody else changes until the transaction ends. Administrators are locked before it, as
    everywhere, so that nobody deadlocks. Raises NotFound."""
    await tx.fetch(_LOCK_ADMINS)
    await tx.fetch("SELECT FROM operator WHERE operator_id = $1 FOR NO KEY UPDATE", operator_id)
    return await operator_by_id(tx, operator_id)


async def _touch(tx: PlatformTx, statement: str, operator_id: OperatorId, *params: object) -> None:
    if not await tx.execute(statement, operator_id, *params):
        raise NotFound("There is no such operator.")


def _tell(tx: PlatformTx, event: str, operator_id: OperatorId, body: Mapping[str, object] | None = None) -> None:
    """Writes a line of the platform's own log, and one of the server's once that is certain. Neither names anybody."""
    note(tx, event, f"operator:{operator_id}", body)
    tx.after_commit(partial(_log.info, event.replace(".", "_"), operator_id=str(operator_id)))


def _switch(*, to_enabled: bool) -> dict[str, object]:
    return {"before": {"enabled": not to_enabled}, "after": {"enabled": to_enabled}}


def _roles(platform_role: Role | None, tenant_roles: Mapping[TenantId, Role]) -> dict[str, object]:
    return {"platform_role": platform_role, "tenant_roles": {str(key): role for key, role in tenant_roles.items()}}


async def _keep_an_admin(tx: PlatformTx, operator_id: OperatorId, *, leaves: bool) -> None:
    admins = [row["operator_id"] for row in await tx.fetch(_LOCK_ADMINS)]
    if leaves and admins == [operator_id]:
        raise LastAdmin(
            "This is the last enabled administrator of the platform.",
            hint="Make somebody else a platform administrator first.",
        )


def _check_roles(platform_role: Role | None, tenant_roles: Mapping[TenantId, Role]) -> None:
    if platform_role is None and not tenant_roles:
        raise BadInput("An operator without a role could see nothing.", hint="Give a platform role, or a tenant's.")
    if platform_role is not None and platform_role not in PLATFORM_ROLES:
        raise BadInput(f"{platform_role} is no role for the whole platform.")
    if len(tenant_roles) > MOST_TENANTS:
        raise BadInput(
            f"An operator has roles in at most {MOST_TENANTS} tenants.", hint="A platform role holds in every tenant."
        )
    for role in tenant_roles.values():
        if role not in TENANT_ROLES:
            raise BadInput(f"{role} is no role within a tenant.")


async def _write_grants(tx: PlatformTx, operator_id: OperatorId, tenant_roles: Mapping[TenantId, Role]) -> None:
    await tx.execute("DELETE FROM operator_grant WHERE operator_id = $1", operator_id)
    made = await tx.execute(
        """INSERT INTO operator_grant (operator_id, tenant_id, role)
           SELECT $1, g.tenant_id, g.role FROM unnest($2::uuid[], $3::text[]) AS g (tenant_id, role)
           JOIN tenant_slug n ON n.tenant_id = g.tenant_id""",
        *(operator_id, [*tenant_roles], [*tenant_roles.values()]),
    )
    if made != len(tenant_roles):
        raise NotFound("There is no such tenant.")
