"""The pages of a tenant's own extensions of SCIM users: what they are, and how they grow."""

from collections.abc import Mapping
from typing import Final, cast

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.identity.scim.own import actions as own_actions
from stoa.identity.scim.own.model import MUTABILITIES, TYPES, OwnAttribute, OwnMutability, OwnSchema, OwnType
from stoa.identity.scim.own.queries import own_schema, own_schemas
from stoa.identity.scim.own.rules import LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_URN, SchemaClash
from stoa.kernel.problems import BadInput, NotFound
from stoa.web.forms import Form
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_ALL: Final = "/scim-schemas"
_ONE: Final = "/scim-schemas/{schema_id}"
_ATTRIBUTE: Final = "/scim-schemas/{schema_id}/attributes/{attribute}"
_TEXTS: Final = ("name", "type", "description", "mutability", "canonical", "parts")
_FLAGS: Final = ("multi_valued", "required", "case_exact")
_LONGEST_LIST: Final = 20_000


def schema_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    view, change = Permission.TENANT_VIEW, Permission.CONNECTION_CHANGE
    return [
        tenant_page(shell, _ALL, _list, needs=view),
        tenant_action(shell, _ALL, _add, needs=change),
        tenant_page(shell, _ONE, _show, needs=view),
        tenant_action(shell, f"{_ONE}/attributes", _add_attribute, needs=change),
        tenant_page(shell, _ATTRIBUTE, _edit, needs=change),
        tenant_action(shell, _ATTRIBUTE, _change_attribute, needs=change),
        tenant_action(shell, f"{_ONE}/retire", _retire, needs=change),
        tenant_action(shell, f"{_ONE}/restore", _restore, needs=change),
    ]


# ------------------------------------------------------------------ all of them


async def _list(visit: Visit) -> Response:
    return await _listed(visit, {}, None)


async def _listed(visit: Visit, given: Mapping[str, str], error: str | None) -> Response:
    async with visit.tx() as tx:
        schemas = await own_schemas(tx)
    return visit.page(
        "scim/schemas.html",
        status=422 if error else 200,
        schemas=schemas,
        given=given,
        error=error,
        longest=(LONGEST_URN, LONGEST_NAME, LONGEST_DESCRIPTION),
        may_change=visit.may(Permission.CONNECTION_CHANGE),
    )


async def _add(visit: Visit) -> Response:
    form = await visit.form()
    given = {name: form.get(name, "").strip() for name in ("urn", "name", "description")}
    try:
        async with visit.writing() as tx:
            made = await own_actions.add_schema(tx, given["urn"], given["name"], given["description"])
    except (BadInput, SchemaClash) as problem:
        return await _listed(visit, given, str(problem))
    return visit.see(f"{_ALL}/{made.schema_id}", said=visit.gettext("The schema is made. Add its attributes."))


# ------------------------------------------------------------------ one


async def _show(visit: Visit) -> Response:
    return await _shown(visit, {}, None)


async def _shown(visit: Visit, given: Mapping[str, str], error: str | None) -> Response:
    return visit.page(
        "scim/schema.html",
        status=422 if error else 200,
        schema=await _found(visit),
        given=given,
        error=error,
        types=TYPES,
        mutabilities=MUTABILITIES,
        longest=(LONGEST_NAME, LONGEST_DESCRIPTION),
        may_change=visit.may(Permission.CONNECTION_CHANGE),
    )


async def _found(visit: Visit) -> OwnSchema:
    async with visit.tx() as tx:
        found = await own_schema(tx, visit.id("schema_id"))
    if found is None:
        raise NotFound(
            visit.gettext("There is no such schema."), hint=visit.gettext("The list of schemas shows those there are.")
        )
    return found


async def _add_attribute(visit: Visit) -> Response:
    given = _given(await visit.form())
    try:
        async with visit.writing() as tx:
            await own_actions.add_attribute(tx, visit.id("schema_id"), _attribute(given))
    except (BadInput, SchemaClash) as problem:
        return await _shown(visit, given, str(problem))
    return visit.see(f"{_ALL}/{visit.id('schema_id')}", said=visit.gettext("The attribute holds from now on."))


async def _retire(visit: Visit) -> Response:
    async with visit.writing() as tx:
        await own_actions.retire_schema(tx, visit.id("schema_id"))
    said = visit.gettext("The schema is retired. Its values are kept as they come.")
    return visit.see(f"{_ALL}/{visit.id('schema_id')}", said=said)


async def _restore(visit: Visit) -> Response:
    async with visit.writing() as tx:
        await own_actions.restore_schema(tx, visit.id("schema_id"))
    return visit.see(f"{_ALL}/{visit.id('schema_id')}", said=visit.gettext("The schema holds again."))


# ------------------------------------------------------------------ one attribute


async def _edit(visit: Visit) -> Response:
    schema = await _found(visit)
    return _editing(visit, schema, _standing(visit, schema), None)


async def _change_attribute(visit: Visit) -> Response:
    schema = await _found(visit)
    standing = _standing(visit, schema)
    given = _given(await visit.form()) | {"name": standing.name, "type": standing.type}
    try:
        async with visit.writing() as tx:
            await own_actions.change_attribute(tx, schema.schema_id, _attribute(given))
    except (BadInput, SchemaClash) as problem:
        return _editing(visit, schema, standing, str(problem), given)
    return visit.see(f"{_ALL}/{schema.schema_id}", said=visit.gettext("The attribute is changed."))


def _standing(visit: Visit, schema: OwnSchema) -> OwnAttribute:
    name = str(visit.request.path_params["attribute"]).lower()
    found = next((one for one in schema.attributes if one.name.lower() == name), None)
    if found is None:
        raise NotFound(
            visit.gettext("The schema has no such attribute."), hint=visit.gettext("Its page shows those it has.")
        )
    return found


def _editing(
    visit: Visit, schema: OwnSchema, standing: OwnAttribute, error: str | None, given: Mapping[str, str] | None = None
) -> Response:
    shown = given or {
        "description": standing.description,
        "canonical": "\n".join(standing.canonical),
        "parts": "\n".join(f"{sub.name}:{sub.type}" for sub in standing.sub_attributes),
        "required": "on" if standing.required else "",
    }
    return visit.page(
        "scim/schema_attribute.html",
        status=422 if error else 200,
        schema=schema,
        attribute=standing,
        given=shown,
        error=error,
        longest=(LONGEST_NAME, LONGEST_DESCRIPTION),
    )


# ------------------------------------------------------------------ what a form says


def _given(form: Form) -> dict[str, str]:
    return {name: form.get(name, "").strip() for name in (*_TEXTS, *_FLAGS)}


def _attribute(given: Mapping[str, str]) -> OwnAttribute:
    """Raises BadInput. What it does not look at, the rules do."""
    for name in ("canonical", "parts"):
        if len(given[name]) > _LONGEST_LIST:
            raise BadInput("The list is too long.", hint="Send fewer lines.")
    return OwnAttribute(
        name=given["name"],
        type=cast("OwnType", given["type"] or "string"),
        description=given["description"],
        multi_valued=bool(given["multi_valued"]),
        required=bool(given["required"]),
        case_exact=bool(given["case_exact"]),
        canonical=tuple(_lines(given["canonical"])),
        mutability=cast("OwnMutability", given["mutability"] or "readWrite"),
        sub_attributes=tuple(_part(line) for line in _lines(given["parts"])),
    )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _part(line: str) -> OwnAttribute:
    """A line such as `level:integer`."""
    name, _, type_ = line.partition(":")
    return OwnAttribute(name=name.strip(), type=cast("OwnType", type_.strip() or "string"))
