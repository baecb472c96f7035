"""Changing which group gives which role. Everybody of the group is settled in the same transaction."""

from typing import Final
from uuid import UUID

from stoa.db.errors import UniqueViolation
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import GroupId, PersonId, new_id
from stoa.kernel.problems import Conflict
from stoa.people import roles
from stoa.people.identity_locks import lock_admins
from stoa.people.roles_model import Role, Rule
from stoa.people.roles_preview import MEMBERS, NO_ADMIN_LEFT, check_present, group_named
from stoa.people.roles_queries import has_admins, rule_by_id

_INSERT: Final = """
INSERT INTO role_rule (tenant_id, rule_id, group_id, role, made_by, made_at) VALUES ($1, $2, $3, $4, $5, $6)"""


class RuleExists(Conflict):
    """The group gives this role already. Nothing was changed."""

    code = "role_rule_exists"


class NoAdminLeft(Conflict):
    """Without this rule nobody who is active would be an admin any more, so it was refused.

    Have another group that active people are in give the role admin first.
    """

    code = "no_admin_left"


async def add_rule(tx: TenantTx, group_id: GroupId, role: Role) -> Rule:
    """Has a group give a role to whoever is in it, from now on.

    Raises:
        NoSuchGroup, GroupIsGone, RuleExists: nothing was changed.
    """
    # Whoever changes the group's members waits for the rule, or the other way round: nobody is left out.
    group = await group_named(tx, group_id, lock=True)
    check_present(group)
    rule_id = new_id()
    try:
        async with tx.savepoint():
            await tx.execute(_INSERT, tx.tenant_id, rule_id, group_id, role, tx.origin.actor, tx.now)
    except UniqueViolation:
        raise RuleExists(
            f"{group['display_name']} gives the role {role} already.", hint="Nothing needs to be done."
        ) from None
    rule = await rule_by_id(tx, rule_id)
    await _settle_group(tx, rule, "role_rule.added")
    return rule


async def remove_rule(tx: TenantTx, rule_id: UUID) -> Rule:
    """Has a group give a role no longer. Gives the rule as it was.

    Raises:
        NoSuchRule.
        NoAdminLeft: the tenant has admins, and would have none. The transaction must be given up.
    """
    found = await rule_by_id(tx, rule_id)
    await group_named(tx, found.group_id, lock=True)
    # Of two who remove it, the second finds that it is gone.
    rule = await rule_by_id(tx, rule_id)
    if rule.role is Role.ADMIN:
        await lock_admins(tx)
    had_admins = rule.role is Role.ADMIN and await has_admins(tx)
    await tx.execute("DELETE FROM role_rule WHERE tenant_id = $1 AND rule_id = $2", tx.tenant_id, rule_id)
    await _settle_group(tx, rule, "role_rule.removed")
    if had_admins and not await has_admins(tx):
        raise NoAdminLeft(
            f"The rule was not removed. {NO_ADMIN_LEFT}",
            hint="Have another group that active people are in give the role admin first.",
        )
    return rule


async def _settle_group(tx: TenantTx, rule: Rule, type_: str) -> None:
    seen: set[PersonId] = set()
    changed: list[roles.Changed] = []
    # A merge that was under way may have given records of the group to others while their persons were waited for.
    while fresh := {row["person_id"] for row in await tx.fetch(MEMBERS, tx.tenant_id, rule.group_id)} - seen:
        changed += await roles.bring_up_to_date(tx, fresh)
        seen |= fresh
    body = {
        "rule_id": str(rule.rule_id),
        "role": str(rule.role),
        "group_id": str(rule.group_id),
        "group": rule.group_name,
        "source_id": str(rule.source_id),
        "gains": sum(not set(one.has) <= set(one.had) for one in changed),
        "loses": sum(not set(one.had) <= set(one.has) for one in changed),
    }
    emit(tx, Event(type_, f"role_rule:{rule.rule_id}", body))
    roles.tell(tx, changed, None)
