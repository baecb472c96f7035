"""Reading rules, and who has which role."""

# ruff: noqa: S608 - made of constants; every value is a bound parameter

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import GroupId, PersonId, RunId, SourceId
from stoa.kernel.problems import NotFound
from stoa.people.identity_locks import lock_admins
from stoa.people.roles_model import Role, Rule, RuleId

_ACTIVE_ADMINS: Final = """
  SELECT FROM person_role h JOIN person p ON p.tenant_id = $1 AND p.person_id = h.person_id
  WHERE h.tenant_id = $1 AND h.role = 'admin' AND p.active"""


class NoSuchRule(NotFound):
    """The tenant has no rule with this id. The role map shows those that there are; somebody may have removed it."""

    code = "no_such_role_rule"


# ------------------------------------------------------------------ admins


async def other_admins(tx: TenantTx, person_id: PersonId) -> bool:
    """Whether there is another active person with the role admin.

    Waits for whoever else asks in this tenant, until the end of the transaction: of two admins who are taken away at
    the same moment, one stays. So ask only about somebody who is an admin (`is_admin`).
    """
    await lock_admins(tx)
    return await tx.fetchval(f"SELECT EXISTS ({_ACTIVE_ADMINS} AND h.person_id <> $2)", tx.tenant_id, person_id)


async def is_admin(tx: TenantTx, person_id: PersonId) -> bool:
    """Whether this is an active person with the role admin."""
    return await tx.fetchval(f"SELECT EXISTS ({_ACTIVE_ADMINS} AND h.person_id = $2)", tx.tenant_id, person_id)


async def has_admins(tx: TenantTx) -> bool:
    """Whether any active person has the role admin."""
    return await tx.fetchval(f"SELECT EXISTS ({_ACTIVE_ADMINS})", tx.tenant_id)


# ------------------------------------------------------------------ rules


RULE: Final = """u.rule_id, u.group_id, g.source_id, g.display_name AS group_name, s.name AS source_name,
  g.present AS group_present, u.role, u.made_by, u.made_at"""
RULES: Final = """role_rule u JOIN person_group g ON g.tenant_id = $1 AND g.group_id = u.group_id
  JOIN source s ON s.tenant_id = $1 AND s.source_id = g.source_id"""


def rule_of(row: Row | Mapping[str, Any]) -> Rule:
    """The rule of a row that has the columns of RULE."""
    return Rule(
        RuleId(row["rule_id"]), GroupId(row["group_id"]), SourceId(row["source_id"]), row["group_name"],
        row["source_name"], row["group_present"], Role(row["role"]), row["made_by"], row["made_at"],
    )  # fmt: skip


async def rule_by_id(tx: TenantTx, rule_id: UUID) -> Rule:
    """A rule. Raises NoSuchRule."""
    row = await tx.fetchrow(
        f"SELECT {RULE} FROM {RULES} WHERE u.tenant_id = $1 AND u.rule_id = $2", tx.tenant_id, rule_id
    )
    if row is None:
        raise NoSuchRule("This tenant has no such rule.", hint="The role map shows those that there are.")
    return rule_of(row)


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule of the role map. members: of its group, as far as they count."""

    rule: Rule
    members: int


async def role_map(tx: TenantTx, *, group_id: GroupId | None = None) -> list[RuleLine]:
    """Every rule, or those of one group, by role and then by the group's name."""
    rows = await tx.fetch(
        f"""SELECT {RULE}, (SELECT count(*) FROM group_member m
          WHERE m.tenant_id = $1 AND m.group_id = u.group_id AND m.in_force) AS members
        FROM {RULES} WHERE u.tenant_id = $1 AND ($2::uuid IS NULL OR u.group_id = $2)
        ORDER BY u.role, g.display_name_key, u.rule_id""",
        *(tx.tenant_id, group_id),
    )
    return [RuleLine(rule_of(row), row["members"]) for row in rows]


async def holders(tx: TenantTx) -> dict[Role, tuple[int, int]]:
    """How many people have each role, and how many of them are active."""
    rows = await tx.fetch(
        """SELECT h.role, count(*) AS people, count(*) FILTER (WHERE p.active) AS active
        FROM person_role h JOIN person p ON p.tenant_id = $1 AND p.person_id = h.person_id
        WHERE h.tenant_id = $1 GROUP BY h.role""",
        tx.tenant_id,
    )
    return {Role(row["role"]): (row["people"], row["active"]) for row in rows}


# ------------------------------------------------------------------ one person


@dataclass(frozen=True, slots=True)
class GroupOf:
    """A group that a person is in.

    Attributes:
        asserted: what the source says. in_force: what counts; the two differ while a change waits in `held_run`.
        gives: the roles that its rules give.
    """

    group_id: GroupId
    name: str
    source_id: SourceId
    source_name: str
    asserted: bool
    in_force: bool
    held_run: RunId | None
    since: datetime
    gives: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class RoleOf:
    """A role that a person has, and the groups that give it."""

    role: Role
    since: datetime
    groups: tuple[GroupOf, ...]


@dataclass(frozen=True, slots=True)
class Belonging:
    """A person's groups, by name, at most MOST_GROUPS of them, and roles."""

    groups: Sequence[GroupOf]
    roles: Sequence[RoleOf]

    @property
    def more_groups(self) -> bool:
        """Whether there may be more than are told."""
        return len(self.groups) == MOST_GROUPS


MOST_GROUPS: Final = 500
# What is told of a group `g` of a membership `m`, by the names of GroupOf.
_OF_GROUP: Final[Mapping[str, str]] = {
    "group_id": "g.group_id",
    "name": "g.display_name",
    "source_id": "g.source_id",
    "source_name": "s.name",
    **{name: f"m.{name}" for name in ("asserted", "in_force", "held_run", "since")},
    "gives": "ARRAY(SELECT u.role FROM role_rule u WHERE u.tenant_id = $1 AND u.group_id = g.group_id ORDER BY u.role)",
}
GROUP_TOLD: Final = tuple(_OF_GROUP)
# The groups of the records `r`.
_JOINED: Final = f"""JOIN group_member m ON m.tenant_id = $1 AND m.resource_id = r.resource_id
  JOIN person_group g ON g.tenant_id = $1 AND g.group_id = m.group_id
  JOIN source s ON s.tenant_id = $1 AND s.source_id = g.source_id
  {{where}} ORDER BY g.display_name_key, g.group_id LIMIT {MOST_GROUPS}"""
GROUPS_OF_MINE: Final = f"SELECT ROW({', '.join(_OF_GROUP.values())}) FROM mine r {_JOINED.format(where='')}"
_GROUPS_OF: Final = f"""SELECT {", ".join(f"{told} AS {name}" for name, told in _OF_GROUP.items())} FROM source_record r
  {_JOINED.format(where="WHERE r.tenant_id = $1 AND r.person_id = $2")}"""
ROLE_TOLD: Final = ("role", "since")
ROLES_OF: Final = (
    "SELECT (h.role, h.since) FROM person_role h WHERE h.tenant_id = $1 AND h.person_id = $2 ORDER BY h.role"
)


async def belonging(tx: TenantTx, person_id: UUID) -> Belonging:
    """The groups and roles of a person, by indexes alone."""
    groups = await tx.fetch(_GROUPS_OF, tx.tenant_id, person_id)
    held = await tx.fetchval(f"SELECT ARRAY({ROLES_OF})", tx.tenant_id, person_id)
    return belonging_of(groups, [dict(zip(ROLE_TOLD, one, strict=True)) for one in held])


def belonging_of(groups: Sequence[Row | Mapping[str, Any]], held: Sequence[Mapping[str, Any]]) -> Belonging:
    """What rows say that have what GROUP_TOLD and ROLE_TOLD name."""
    found = [_group_of(row) for row in groups]
    return Belonging(found, [_role_of(row, found) for row in held])


def _group_of(row: Row | Mapping[str, Any]) -> GroupOf:
    values: dict[str, Any] = {**dict(row.items()), "gives": tuple(Role(role) for role in row["gives"])}
    return GroupOf(**values)


def _role_of(row: Mapping[str, Any], groups: Sequence[GroupOf]) -> RoleOf:
    role = Role(row["role"])
    return RoleOf(role, row["since"], tuple(one for one in groups if one.in_force and role in one.gives))
