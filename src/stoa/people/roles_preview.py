"""What a change of rules would do, told before it is done: the same statement that settles, with other rules."""

# ruff: noqa: S608 - made of constants; every value is a bound parameter

from typing import Final, assert_never
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import GroupId
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


# Everybody of a group ($2), whatever counts of their membership. An array and no join: see `roles`.
MEMBERS: Final = """
SELECT DISTINCT r.person_id FROM source_record r
WHERE r.tenant_id = $1 AND r.resource_id = ANY(ARRAY(
  SELECT m.resource_id FROM group_member m WHERE m.tenant_id = $1 AND m.group_id = $2))"""

# $3: the rule that goes, or NULL; $4: the role that the group is to give, or NULL.
_RULES: Final = """(
        SELECT o.group_id, o.role FROM role_rule o WHERE o.tenant_id = $1 AND o.rule_id IS DISTINCT FROM $3::uuid
        UNION ALL SELECT $2::uuid, $4::text COLLATE "C" WHERE $4::text IS NOT NULL) AS u"""
_NAMED: Final = f"""SELECT (person_id, name, active) FROM changed WHERE {{what}}
    ORDER BY display_name_key, person_id LIMIT {MOST_NAMED}"""
# Ids are compared with an array, never joined: see `roles`.
_PREVIEW: Final = f"""
WITH member AS MATERIALIZED ({MEMBERS}
), state AS MATERIALIZED (
  SELECT p.person_id, {NAME} AS name, p.display_name_key, p.active, {standing(_RULES, "u.group_id = m.group_id")}
  FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY(ARRAY(SELECT person_id FROM member))
), changed AS MATERIALIZED (
  SELECT *, NOT has <@ had AS gains, NOT had <@ has AS loses FROM state WHERE had <> has
)
SELECT (SELECT count(*) FROM member) AS members, count(*) FILTER (WHERE gains) AS gains,
  count(*) FILTER (WHERE loses) AS loses,
  (SELECT count(*) FROM person_role h JOIN person p ON p.tenant_id = $1 AND p.person_id = h.person_id
    WHERE h.tenant_id = $1 AND h.role = 'admin' AND p.active) AS admins,
  count(*) FILTER (WHERE active AND 'admin' = ANY(has) AND 'admin' <> ALL(had)) AS new_admins,
  count(*) FILTER (WHERE active AND 'admin' = ANY(had) AND 'admin' <> ALL(has)) AS former_admins,
  ARRAY({_NAMED.format(what="gains")}) AS gaining, ARRAY({_NAMED.format(what="loses")}) AS losing
FROM changed"""
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
    row = await tx.fetchrow(_PREVIEW, tx.tenant_id, group_id, *rules)
    assert row is not None
    counts = Counts(row["members"], row["gains"], row["loses"])
    left = row["admins"] + row["new_admins"] - row["former_admins"]
    refusal = NO_ADMIN_LEFT if row["admins"] and not left else None
    gaining, losing = (tuple(Affected(*one) for one in row[which]) for which in ("gaining", "losing"))
    return Preview(group_id, group["display_name"], group["source_name"], role, gaining, losing, counts, refusal)
