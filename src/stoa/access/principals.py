"""Who is signed in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stoa.access.permissions import Role
from stoa.kernel.ids import OperatorId, TenantId


@dataclass(frozen=True, slots=True)
class Principal:
    """An operator who has signed in, with the roles that hold at this moment.

    Attributes:
        platform_role: holds in every tenant; None for somebody who has tenant roles alone.
        tenant_roles: hold within one tenant each.
        must_change_password: the password was made by somebody else; until it is changed, nothing else is open.
    """

    operator_id: OperatorId
    name: str = field(repr=False)
    email: str = field(repr=False)
    platform_role: Role | None
    tenant_roles: Mapping[TenantId, Role]
    must_change_password: bool

    @property
    def actor(self) -> str:
        """How the event log names this operator: by id, never by name or address."""
        return f"operator:{self.operator_id}"
