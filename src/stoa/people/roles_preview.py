"""What a change of rules would do, told before it is done: the same statement that settles, with other rules."""

# ruff: noqa: S608 - made of constants; every value is a bound parameter

from typing import Any, Final, assert_never
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import GroupId, PersonId
from stoa.kernel.problems import Conflict, NotFound
from stoa.people.queries import NAME
from stoa.people.roles import standing
from stoa.people.roles_model import AddRule, Affected, Counts, Preview, RemoveRule, Role, RuleChange
from stoa.people.roles_queries import rule_by_id

MOST_NAMED: Final = 50
NO_ADMIN_LEFT: Final = "Nobody who is active would be an admin any more."


class NoSuchGroup(NotFound):
    """The tenant has no group with this id. The list of groups shows those that there are."""

    code = "no_such_group"


class GroupIsGone(Conflict):
    """The group was deleted at its source, so nobody is in it and no rule can be made for it.

    Make the rule for another group, or push this one again from the identity provider.
    """

    code = "group_is_gone"


# Everybody of a group ($2), whatever counts of their membership.
MEMBERS: Final = """
SELECT DISTINCT r.person_id FROM group_member m
JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = m.resource_id
WHERE m.tenant_id = $1 AND m.group_id = $2"""

# $3: the rule that goes, or NULL; $4: the role that the group is to give, or NULL.
_RULES: Final = """(
        SELECT o.group_id, o.role FROM role_rule o WHERE o.tenant_id = $1 AND o.rule_id IS DISTINCT FROM $3::uuid
        UNION ALL SELECT $2::uuid, $4::text COLLATE "C" WHERE $4::text IS NOT NULL) AS u"""
_STATES: Final = f"""
WITH member AS MATERIALIZED ({MEMBERS}
), state AS MATERIALIZED (
  SELECT p.person_id, {standing(_RULES, "u.group_id = m.group_id")}
  FROM person p WHERE p.tenant_id = $1 AND p.person_id IN (SELECT person_id FROM member)
), changed AS MATERIALIZED (
  SELECT person_id, had, has, NOT has <@ had AS gains, NOT had <@ has AS loses FROM state WHERE had <> has
)"""
_COUNTS: Final = f"""{_STATES}
SELECT (SELECT count(*) FROM member) AS members, count(*) FILTER (WHERE gains) AS gains,
  count(*) FILTER (WHERE loses) AS loses,
  (SELECT count(*) FROM person_role h JOIN person p ON p.tenant_id = $1 AND p.person_id = h.person_id
    WHERE h.tenant_id = $1 AND h.role = 'admin' AND p.active) AS admins,
  (SELECT count(*) FROM changed c JOIN person p ON p.tenant_id = $1 AND p.person_id = c.person_id
    WHERE p.active AND 'admin' = ANY(c.has) AND 'admin' <> ALL(c.had)) AS new_admins,
  (SELECT count(*) FROM changed c JOIN person p ON p.tenant_id = $1 AND p.person_id = c.person_id
    WHERE p.active AND 'admin' = ANY(c.had) AND 'admin' <> ALL(c.has)) AS former_admins
FROM changed"""
_NAMED: Final = f"""{_STATES}
SELECT p.person_id, {NAME} AS name, p.active FROM changed c
JOIN person p ON p.tenant_id = $1 AND p.person_id = c.person_id
WHERE c.{{what}} ORDER BY p.display_name_key, p.person_id LIMIT {MOST_NAMED}"""
_GROUP: Final = """
SELECT g.group_id, g.display_name, g.present, s.name AS source_name FROM person_group g
JOIN source s ON s.tenant_id = $1 AND s.source_id = g.source_id
WHERE g.tenant_id = $1 AND g.group_id = $2"""


async def group_named(tx: TenantTx, group_id: UUID, *, lock: bool = False) -> Row:
    """A group's id, name, source and presence. lock: keeps its members as they are until the end of the transaction.

    Raises:
        NoSuchGroup.
    """
    row = await tx.fetchrow(_GROUP + (" FOR UPDATE OF g" if lock else ""), tx.tenant_id, group_id)
    if row is None:
        raise NoSuchGroup("This tenant has no such group.", hint="The list of groups shows those that there are.")
    return row


def check_present(group: Row) -> None:
    """Raises GroupIsGone for a group that its source has deleted."""
    if not group["present"]:
        raise GroupIsGone(
            f"The group {group['display_name']!r} was deleted at {group['source_name']}, so nobody is in it.",
            hint="Make the rule for another group, or push this one again from the identity provider.",
        )


async def preview(tx: TenantTx, change: RuleChange) -> Preview:
    """Who would gain and who would lose a role by a change of rules. Nothing is written.

    Raises:
        NoSuchGroup, GroupIsGone: of a rule that is to be made. NoSuchRule: of one that is to go.
    """
    rule_id: UUID | None
    match change:
        case AddRule(group_id, role):
            check_present(await group_named(tx, group_id))
            rule_id, added = None, role
        case RemoveRule(rule_id):
            rule = await rule_by_id(tx, rule_id)
            group_id, role, added = rule.group_id, rule.role, None
        case _:
            assert_never(change)
    return await _previewed(tx, group_id, role, (rule_id, added))


async def _previewed(tx: TenantTx, group_id: GroupId, role: Role, rules: tuple[UUID | None, Role | None]) -> Preview:
    group = await group_named(tx, group_id)
    params: tuple[Any, ...] = (tx.tenant_id, group_id, *rules)
    counted = await tx.fetchrow(_COUNTS, *params)
    assert counted is not None
    counts = Counts(counted["members"], counted["gains"], counted["loses"])
    gains = await _named(tx, "gains", params) if counts.gains else ()
    loses = await _named(tx, "loses", params) if counts.loses else ()
    left = counted["admins"] + counted["new_admins"] - counted["former_admins"]
    refusal = NO_ADMIN_LEFT if counted["admins"] and not left else None
    return Preview(group_id, group["display_name"], group["source_name"], role, gains, loses, counts, refusal)


async def _named(tx: TenantTx, what: str, params: tuple[Any, ...]) -> tuple[Affected, ...]:
    rows = await tx.fetch(_NAMED.format(what=what), *params)
    return tuple(Affected(PersonId(row["person_id"]), row["name"], row["active"]) for row in rows)
