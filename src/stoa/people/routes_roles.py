"""Roles over the public API: which group gives which, and who has which."""

# ruff: noqa: S608 - made of constants; every value is a bound parameter

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from stoa.api.lists import Page, RowsQuery, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.api.tenants import ID
from stoa.kernel.cursors import BadCursor, text_mark
from stoa.kernel.filters import Attribute, AttrType, Catalogue, Column, FilterError, Operator
from stoa.kernel.ids import GroupId, parse_id
from stoa.people.roles_actions import NoAdminLeft, RuleExists, add_rule, remove_rule
from stoa.people.roles_model import AddRule, RemoveRule, Role, Rule, RuleChange
from stoa.people.roles_preview import GroupIsGone, NoSuchGroup, preview
from stoa.people.roles_queries import RULE, RULES, NoSuchRule, belonging, rule_by_id, rule_of
from stoa.people.routes import PERSON, person_id_of, person_row

_MANY: Final = "/v1/role-rules"
_ONE: Final = f"{_MANY}/{{role_rule_id}}"
_TIME: Final = Meta(tz=True)
_NEW: Final = {"group_id": "01980f61-0a10-7c01-9b02-2f3a4b5c6d7e", "role": "author"}


class RoleRuleGroup(msgspec.Struct, frozen=True):
    """A group of a source."""

    id: UUID
    name: str
    source_id: UUID
    source_name: str
    present: Annotated[bool, Meta(description="False once its source has deleted it: then it gives nothing.")]


class RoleRule(msgspec.Struct, frozen=True):
    """Whoever is in the group has the role."""

    id: UUID
    group: RoleRuleGroup
    role: Role
    made_by: Annotated[str, Meta(description="Who made it, as in the audit log.")]
    made_at: Annotated[datetime, _TIME]


class NewRoleRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule that is to be made."""

    group_id: UUID
    role: Role


class AffectedPerson(msgspec.Struct, frozen=True):
    """Somebody whose roles would change."""

    id: UUID
    name: str | None
    active: bool


class RoleRulePreview(msgspec.Struct, frozen=True):
    """What a change of rules would do now. Nothing was changed."""

    members: Annotated[int, Meta(description="People in the group.")]
    gains: Annotated[int, Meta(description="Of them, who would get the role. The others have it by another group too.")]
    loses: Annotated[int, Meta(description="Of them, who would lose the role.")]
    gaining: Annotated[list[AffectedPerson], Meta(description="The first fifty of those who would get it, by name.")]
    losing: Annotated[list[AffectedPerson], Meta(description="The first fifty of those who would lose it, by name.")]
    refusal: Annotated[str | None, Meta(description="Why it would be refused; null if it would not.")]


class GivingGroup(msgspec.Struct, frozen=True):
    """A group that gives a person a role."""

    id: UUID
    name: str
    source_id: UUID


class HeldRole(msgspec.Struct, frozen=True):
    """A role that a person has."""

    role: Role
    since: Annotated[datetime, _TIME]
    groups: Annotated[list[GivingGroup], Meta(description="The groups that give it, by name.")]


class PersonRoles(msgspec.Struct, frozen=True):
    """A person's roles beside that of a learner, which everybody has."""

    roles: list[HeldRole]


_CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID),
        Attribute("group_id", AttrType.UUID),
        Attribute("group_name"),
        Attribute("source_id", AttrType.UUID),
        Attribute("role", case_exact=True, operators=frozenset({Operator.EQ, Operator.NE})),
        Attribute("made_at", AttrType.DATETIME),
    )
)
# There are as many rules as somebody has made by hand.
_TABLE: Final = Table(
    select=f"SELECT u.rule_id AS id, g.display_name_key AS group_name_key, {RULE} FROM {RULES} WHERE u.tenant_id = $1",
    key="u.rule_id",
    binding={
        "id": Column("u.rule_id"),
        "group_id": Column("u.group_id"),
        "group_name": Column("g.display_name", "g.display_name_key"),
        "source_id": Column("g.source_id"),
        "role": Column("u.role"),
        "made_at": Column("u.made_at"),
    },
    sorts={"group_name": ("g.display_name_key", text_mark), "made_at": ("u.made_at", MOMENT)},
)


def operations() -> tuple[Operation, ...]:
    """Rules, and the roles of a person."""
    read: Any = {"tag": "Roles", "scope": "people:read"}
    write: Any = {"tag": "Roles", "scope": "people:write"}
    one: Any = {"path": _ONE, "path_params": {"role_rule_id": ID}}
    return (
        Operation(
            id="listRoleRules", method="GET", path=_MANY, summary="List role rules",
            description="Which group gives which role. Whoever is in several groups has the roles of all of them.",
            handler=_list, query=RowsQuery, answers={200: Page[RoleRule]}, problems=(BadCursor, FilterError), **read,
        ),
        Operation(
            id="createRoleRule", method="POST", path=_MANY, summary="Have a group give a role",
            description="Everybody who is in the group has the role when the request is answered; whoever comes in "
            "later gets it then. `POST /v1/role-rules/preview` tells beforehand who that is.",
            handler=_create, body=NewRoleRule, body_example=_NEW, answers={201: RoleRule}, idempotency="required",
            problems=(NoSuchGroup, GroupIsGone, RuleExists), **write,
        ),
        Operation(
            id="previewRoleRule", method="POST", path=f"{_MANY}/preview", summary="See what a role rule would do",
            description="Who would get the role if the group gave it. Nothing is changed.",
            handler=_preview_new, body=NewRoleRule, body_example=_NEW, answers={200: RoleRulePreview},
            problems=(NoSuchGroup, GroupIsGone), **read,
        ),
        Operation(
            id="getRoleRule", method="GET", summary="Get a role rule", handler=_get, answers={200: RoleRule},
            problems=(NoSuchRule,), **one, **read,
        ),
        Operation(
            id="previewRoleRuleRemoval", method="GET", path=f"{_ONE}/preview", path_params={"role_rule_id": ID},
            summary="See what removing a role rule would do",
            description="Who would lose the role if the rule went. Nothing is changed.",
            handler=_preview_removal, answers={200: RoleRulePreview}, problems=(NoSuchRule,), **read,
        ),
        Operation(
            id="deleteRoleRule", method="DELETE", summary="Have a group give a role no longer",
            description="Whoever has the role by no other group has lost it when the request is answered. Refused "
            "where nobody who is active would be an admin any more.",
            handler=_delete, answers={204: None}, problems=(NoSuchRule, NoAdminLeft), **one, **write,
        ),
        Operation(
            id="listPersonRoles", method="GET", path="/v1/people/{person}/roles", summary="Get the roles of a person",
            description="Each with the groups that give it. An inactive person keeps their roles, and has no access.",
            handler=_of_person, path_params={"person": PERSON}, answers={200: PersonRoles}, **read,
        ),
    )  # fmt: skip


async def _list(call: Call[RowsQuery, None]) -> Answer:
    ask = read_list(call, _CATALOGUE, tuple(_TABLE.sorts), default="group_name")
    rows, after = await rows_of(call.tx, _TABLE, ask)
    return page(call, ask, [_shown(rule_of(row)) for row in rows], after)


async def _create(call: Call[Any, NewRoleRule]) -> Answer:
    rule = await add_rule(call.tx, GroupId(call.body.group_id), call.body.role)
    return Answer(201, _shown(rule), (("location", call.url(f"{_MANY}/{rule.rule_id}")),))


async def _get(call: Call[Any, None]) -> Answer:
    return Answer(content=_shown(await rule_by_id(call.tx, _id(call))))


async def _delete(call: Call[Any, None]) -> Answer:
    await remove_rule(call.tx, _id(call))
    return Answer(204)


async def _preview_new(call: Call[Any, NewRoleRule]) -> Answer:
    return await _previewed(call, AddRule(GroupId(call.body.group_id), call.body.role))


async def _preview_removal(call: Call[Any, None]) -> Answer:
    return await _previewed(call, RemoveRule((await rule_by_id(call.tx, _id(call))).rule_id))


async def _previewed(call: Call[Any, Any], change: RuleChange) -> Answer:
    found = await preview(call.tx, change)
    gaining, losing = (
        [AffectedPerson(one.person_id, one.name, one.active) for one in some] for some in (found.gains, found.loses)
    )
    counts = found.counts
    shown = RoleRulePreview(counts.members, counts.gains, counts.loses, gaining, losing, found.refusal)
    return Answer(content=shown)


async def _of_person(call: Call[Any, None]) -> Answer:
    person = await person_row(call.tx, await person_id_of(call.tx, call.path["person"]))
    held = (await belonging(call.tx, person["person_id"])).roles
    return Answer(
        content=PersonRoles(
            [
                HeldRole(one.role, one.since, [GivingGroup(g.group_id, g.name, g.source_id) for g in one.groups])
                for one in held
            ]
        )
    )


def _id(call: Call[Any, Any]) -> UUID:
    found = parse_id(call.path["role_rule_id"])
    if found is None:
        raise NoSuchRule("This tenant has no such rule.", hint="The list of rules has those that there are.")
    return found


def _shown(rule: Rule) -> RoleRule:
    group = RoleRuleGroup(rule.group_id, rule.group_name, rule.source_id, rule.source_name, rule.group_present)
    return RoleRule(rule.rule_id, group, rule.role, rule.made_by, rule.made_at)
