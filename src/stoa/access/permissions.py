"""The one place that decides what an operator may do: a table from role to permissions."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Protocol

from stoa.kernel.ids import TenantId


class Role(StrEnum):
    """What an operator is: platform roles hold in every tenant, tenant roles in the one they are given for."""

    PLATFORM_ADMIN = "platform_admin"
    PLATFORM_VIEWER = "platform_viewer"
    TENANT_ADMIN = "tenant_admin"
    TENANT_VIEWER = "tenant_viewer"


class Permission(StrEnum):
    """What a page or an action asks for."""

    # Platform-wide.
    BOARD_VIEW = "board_view"
    MAILBOX_VIEW = "mailbox_view"
    OPERATORS_CHANGE = "operators_change"
    LIMITS_CHANGE = "limits_change"
    PLATFORM_AUDIT_VIEW = "platform_audit_view"
    # Within a tenant.
    TENANT_VIEW = "tenant_view"
    PEOPLE_VIEW = "people_view"
    TENANT_CHANGE = "tenant_change"
    CONNECTION_CHANGE = "connection_change"
    RUN_START = "run_start"
    RUN_DECIDE = "run_decide"
    ALERT_CHANGE = "alert_change"
    API_CHANGE = "api_change"
    AUDIT_VIEW = "audit_view"


PLATFORM_ROLES: Final = frozenset({Role.PLATFORM_ADMIN, Role.PLATFORM_VIEWER})
TENANT_ROLES: Final = frozenset({Role.TENANT_ADMIN, Role.TENANT_VIEWER})
PLATFORM_WIDE: Final = frozenset(
    {
        *(Permission.BOARD_VIEW, Permission.MAILBOX_VIEW, Permission.OPERATORS_CHANGE),
        *(Permission.LIMITS_CHANGE, Permission.PLATFORM_AUDIT_VIEW),
    }
)
WITHIN_TENANT: Final = frozenset(Permission) - PLATFORM_WIDE
_VIEWING: Final = frozenset({Permission.TENANT_VIEW, Permission.PEOPLE_VIEW})

PERMITTED: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.PLATFORM_ADMIN: frozenset(Permission),
    Role.PLATFORM_VIEWER: _VIEWING | {Permission.BOARD_VIEW, Permission.MAILBOX_VIEW, Permission.AUDIT_VIEW},
    Role.TENANT_ADMIN: WITHIN_TENANT,
    Role.TENANT_VIEWER: _VIEWING,
}


class Holder(Protocol):
    """Whoever holds roles."""

    @property
    def platform_role(self) -> Role | None:
        """The role that holds everywhere, or None."""
        ...

    @property
    def tenant_roles(self) -> Mapping[TenantId, Role]:
        """The roles that hold within one tenant."""
        ...


def may(principal: Holder, permission: Permission, tenant_id: TenantId | None = None) -> bool:
    """Whether one of the holder's roles permits it.

    tenant_id: where. Without it only a platform role can permit anything; with it a platform-wide permission is still
        a matter of the platform role alone.
    """
    if principal.platform_role is not None and permission in PERMITTED[principal.platform_role]:
        return True
    if tenant_id is None or permission in PLATFORM_WIDE:
        return False
    role = principal.tenant_roles.get(tenant_id)
    return role is not None and permission in PERMITTED[role]
