"""Groups as tests make them, straight in their tables."""

from collections.abc import Collection
from typing import Any
from uuid import UUID, uuid4

from stoa.db.transactions import TenantTx
from stoa.kernel.fold import fold
from stoa.kernel.ids import GroupId, PersonId, ResourceId, SourceId, new_id
from stoa.people.actions import provision
from stoa.people.model import Asserted, Provisioned


async def make_person(
    tx: TenantTx, source_id: SourceId, name: str, *, active: bool = True
) -> tuple[ResourceId, PersonId]:
    """A record of a source, of a new person."""
    made = await provision(tx, source_id, Asserted({"user_name": f"{name}@acme.example", "display_name": name}, active))
    assert isinstance(made, Provisioned)
    return made.record.resource_id, made.record.person_id


async def make_group(
    tx: TenantTx, source_id: SourceId, name: str, members: Collection[UUID] = (), *, present: bool = True
) -> GroupId:
    """A group of a source with these records in it, asserted and in force."""
    group_id = GroupId(new_id())
    await tx.execute(
        """INSERT INTO person_group (tenant_id, group_id, source_id, display_name, display_name_key, present,
          member_count, last_run, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)""",
        *(tx.tenant_id, group_id, source_id, name, fold(name), present, len(members), uuid4(), tx.now),
    )
    await put_in(tx, group_id, members)
    return group_id


async def put_in(
    tx: TenantTx, group_id: GroupId, members: Collection[UUID], *, asserted: bool = True, in_force: bool = True
) -> None:
    """Records put into a group, or what is said of them there changed."""
    await tx.execute(
        """INSERT INTO group_member (tenant_id, group_id, resource_id, asserted, in_force, since)
        SELECT $1, $2, one, $4, $5, $6 FROM unnest($3::uuid[]) AS one
        ON CONFLICT (tenant_id, group_id, resource_id) DO UPDATE SET asserted = $4, in_force = $5""",
        *(tx.tenant_id, group_id, list(members), asserted, in_force, tx.now),
    )


async def take_out(tx: TenantTx, group_id: GroupId, members: Collection[UUID]) -> None:
    """Records taken out of a group."""
    await tx.execute(
        "DELETE FROM group_member WHERE tenant_id = $1 AND group_id = $2 AND resource_id = ANY($3)",
        *(tx.tenant_id, group_id, list(members)),
    )


async def roles_in(tx: TenantTx) -> dict[Any, set[str]]:
    """Everybody's roles."""
    found: dict[Any, set[str]] = {}
    for row in await tx.fetch("SELECT person_id, role FROM person_role WHERE tenant_id = $1", tx.tenant_id):
        found.setdefault(row["person_id"], set()).add(row["role"])
    return found
