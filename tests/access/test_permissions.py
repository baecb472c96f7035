"""Who may do what, in full: a permission or a role that is added must be decided here."""

from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from stoa.access.permissions import PERMITTED, PLATFORM_WIDE, WITHIN_TENANT, Permission, Role, may
from stoa.kernel.ids import TenantId

MINE, OTHER = TenantId(uuid4()), TenantId(uuid4())
ALL = "board_view mailbox_view operators_change tenant_view people_view tenant_change connection_change run_start"
EXPECTED = {
    Role.PLATFORM_ADMIN: {
        *(*ALL.split(), "run_decide", "alert_change", "api_change", "audit_view"),
        *("limits_change", "platform_audit_view"),
    },
    Role.PLATFORM_VIEWER: {"board_view", "mailbox_view", "tenant_view", "people_view", "audit_view"},
    Role.TENANT_ADMIN: {
        *("tenant_view", "people_view", "tenant_change", "connection_change"),
        *("run_start", "run_decide", "alert_change", "api_change", "audit_view"),
    },
    Role.TENANT_VIEWER: {"tenant_view", "people_view"},
}


@dataclass
class Holder:
    platform_role: Role | None = None
    tenant_roles: dict[TenantId, Role] = field(default_factory=dict)


def test_every_role_and_permission_is_decided() -> None:
    assert {role: {str(one) for one in permitted} for role, permitted in PERMITTED.items()} == EXPECTED
    assert set(PERMITTED) == set(Role)
    assert EXPECTED[Role.PLATFORM_ADMIN] == set(Permission)
    wide = {"board_view", "mailbox_view", "operators_change", "limits_change", "platform_audit_view"}
    assert wide == PLATFORM_WIDE
    assert set(Permission) == PLATFORM_WIDE | WITHIN_TENANT


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("role", [Role.PLATFORM_ADMIN, Role.PLATFORM_VIEWER])
def test_a_platform_role_holds_everywhere(role: Role, permission: Permission) -> None:
    expected = permission in EXPECTED[role]
    assert may(Holder(role), permission) is expected
    assert may(Holder(role), permission, OTHER) is expected


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("role", [Role.TENANT_ADMIN, Role.TENANT_VIEWER])
def test_a_tenant_role_holds_in_its_tenant_alone(role: Role, permission: Permission) -> None:
    holder = Holder(tenant_roles={MINE: role})
    assert may(holder, permission, MINE) is (permission in EXPECTED[role])
    assert not may(holder, permission, OTHER)
    assert not may(holder, permission)


@pytest.mark.parametrize("permission", Permission)
def test_nobody_without_a_role_may_anything(permission: Permission) -> None:
    assert not may(Holder(), permission)
    assert not may(Holder(), permission, MINE)


def test_a_viewer_of_the_platform_who_administers_one_tenant_may_both() -> None:
    holder = Holder(Role.PLATFORM_VIEWER, {MINE: Role.TENANT_ADMIN})
    assert may(holder, Permission.RUN_DECIDE, MINE)
    assert not may(holder, Permission.RUN_DECIDE, OTHER)
    assert may(holder, Permission.PEOPLE_VIEW, OTHER)
    assert not may(holder, Permission.OPERATORS_CHANGE, MINE)
