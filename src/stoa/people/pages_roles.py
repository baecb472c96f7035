"""The role map: which group gives which role. Each change shows first who would gain and who would lose."""

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.kernel.ids import GroupId
from stoa.kernel.problems import BadInput, Conflict
from stoa.people.roles_actions import add_rule, remove_rule
from stoa.people.roles_groups import group_line
from stoa.people.roles_model import AddRule, Preview, RemoveRule, Role, RuleId
from stoa.people.roles_preview import preview
from stoa.people.roles_queries import holders, role_map, rule_by_id
from stoa.people.roles_words import role_meanings, role_names
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_MAP: Final = "/roles"
_ADD: Final = "/groups/{group_id}/roles/new"
_REMOVE: Final = f"{_MAP}/{{rule_id}}/remove"


def role_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    change = Permission.TENANT_CHANGE
    return [
        tenant_page(shell, _MAP, _map, needs=Permission.PEOPLE_VIEW),
        tenant_page(shell, _ADD, _ask_add, needs=change),
        tenant_action(shell, _ADD, _add, needs=change),
        tenant_page(shell, _REMOVE, _ask_remove, needs=change),
        tenant_action(shell, _REMOVE, _remove, needs=change),
    ]


async def _map(visit: Visit) -> Response:
    async with visit.tx() as tx:
        lines, have = await role_map(tx), await holders(tx)
    return visit.page(
        "people/roles.html",
        roles=[(role, [line for line in lines if line.rule.role is role], have.get(role, (0, 0))) for role in Role],
        any_rules=bool(lines),
        names=role_names(visit.gettext),
        meanings=role_meanings(visit.gettext),
        may_change=visit.may(Permission.TENANT_CHANGE),
    )


# ------------------------------------------------------------------ a rule more


async def _ask_add(visit: Visit) -> Response:
    asked = visit.request.query_params.get("role")
    async with visit.tx() as tx:
        group = await group_line(tx, visit.id("group_id"))
        # Which role is chosen on the group's page.
        if asked is None:
            return visit.see(f"/groups/{group.group_id}")
        if (role := _role(asked)) in group.gives:
            said = visit.gettext("It gives this role already.")
            return visit.see(f"/groups/{group.group_id}", said=said, tone="info")
        shown = await preview(tx, AddRule(group.group_id, role))
    return _asked(visit, shown, None)


async def _add(visit: Visit) -> Response:
    form = await visit.form()
    role, group_id = _role(form.get("role", "")), GroupId(visit.id("group_id"))
    async with visit.writing() as tx:
        shown = await preview(tx, AddRule(group_id, role))
        if form.get("seen") != _seen(shown):
            return _asked(visit, shown, None, refused=True)
        rule = await add_rule(tx, group_id, role)
    said = visit.gettext("%(group)s now gives the role %(role)s.")
    return visit.see(f"/groups/{group_id}", said=said % {"group": rule.group_name, "role": _name(visit, role)})


# ------------------------------------------------------------------ a rule less


async def _ask_remove(visit: Visit) -> Response:
    rule_id = RuleId(visit.id("rule_id"))
    async with visit.tx() as tx:
        shown = await preview(tx, RemoveRule(rule_id))
    return _asked(visit, shown, rule_id)


async def _remove(visit: Visit) -> Response:
    form, rule_id = await visit.form(), RuleId(visit.id("rule_id"))
    async with visit.writing() as tx:
        # One that somebody else has removed meanwhile is told as what it is.
        await rule_by_id(tx, rule_id)
        shown = await preview(tx, RemoveRule(rule_id))
        if shown.refusal is not None or form.get("seen") != _seen(shown):
            return _asked(visit, shown, rule_id, refused=True)
        rule = await remove_rule(tx, rule_id)
    said = visit.gettext("%(group)s gives the role %(role)s no longer.")
    return visit.see(_MAP, said=said % {"group": rule.group_name, "role": _name(visit, rule.role)})


# ------------------------------------------------------------------ the dry run


def _asked(visit: Visit, shown: Preview, rule_id: RuleId | None, *, refused: bool = False) -> Response:
    """The page that shows what would happen. rule_id: of the rule that is to go; None for one that is to come.

    refused: it was confirmed, and not done: it cannot be, or is not what would happen now.
    """
    return visit.page(
        "people/role_change.html",
        status=Conflict.status if refused else 200,
        shown=shown,
        removes=rule_id is not None,
        changed=refused and shown.refusal is None,
        seen=_seen(shown),
        role=_name(visit, shown.role),
        group_address=f"{visit.base}/groups/{shown.group_id}",
    )


def _seen(shown: Preview) -> str:
    """What somebody who confirms has seen; another one has them look again."""
    return f"{shown.counts.gains}-{shown.counts.loses}"


def _name(visit: Visit, role: Role) -> str:
    return role_names(visit.gettext)[role]


def _role(text: str) -> Role:
    """Raises BadInput for what the form does not offer."""
    try:
        return Role(text)
    except ValueError:
        raise BadInput(f"There is no role {text[:40]!r}.", hint=f"Roles: {', '.join(Role)}.") from None
