"""The operators: who signs in, and with which roles. For administrators of the platform."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access import operators
from stoa.access.operators import LastAdmin, NewOperator, Operator, Position
from stoa.access.permissions import PLATFORM_ROLES, TENANT_ROLES, Permission, Role
from stoa.access.sessions import sessions_of
from stoa.db.transactions import PlatformTx
from stoa.kernel import cursors
from stoa.kernel.cursors import id_mark, read_position, text_mark
from stoa.kernel.ids import OperatorId, TenantId
from stoa.kernel.problems import BadInput, Conflict, NotFound, Problem
from stoa.tenants.rules import checked_email, checked_name
from stoa.web.guarding import platform_action, platform_page
from stoa.web.listing import Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

_OPERATORS: Final = "/console/operators"
_ONE: Final = f"{_OPERATORS}/{{operator_id}}"
LIST: Final = Listing(name="operators", sorts={"email": "email", "name": "name"}, default="email")
_FIELDS: Final = ("email", "name", "platform_role", "tenant", "tenant_role")


def operator_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    needs = Permission.OPERATORS_CHANGE
    return [
        platform_page(shell, _OPERATORS, _list, needs=needs),
        platform_page(shell, f"{_OPERATORS}/new", _new, needs=needs),
        platform_action(shell, _OPERATORS, _create, needs=needs),
        platform_page(shell, _ONE, _show, needs=needs),
        platform_action(shell, f"{_ONE}/reset-password", _reset_password, needs=needs),
        platform_action(shell, f"{_ONE}/disable", _disable, needs=needs),
        platform_action(shell, f"{_ONE}/enable", _enable, needs=needs),
        platform_action(shell, f"{_ONE}/platform-role", _set_platform_role, needs=needs),
        platform_action(shell, f"{_ONE}/tenant-role", _set_tenant_role, needs=needs),
    ]


# ------------------------------------------------------------------ the list


async def _list(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    found: list[Operator] = []
    further: Position | None = None
    if ask.problem is None:
        async with visit.platform() as tx:
            found, further = await operators.operators(
                tx,
                search=ask.search,
                sort="name" if ask.sort == "name" else "email",
                descending=ask.descending,
                after=_position(ask.after),
                limit=ask.limit,
            )
    return visit.page("access/operators.html", listed=LIST.page(visit, ask, Slice(found, further)))


def _position(after: cursors.Position | None) -> Position | None:
    """Where a page begins, from its cursor. Raises BadCursor for one that no page gave."""
    if after is None:
        return None
    key, operator_id = read_position(after, text_mark, id_mark)
    return str(key), str(operator_id)


# ------------------------------------------------------------------ a new account


async def _new(visit: Visit) -> Response:
    return _new_form(visit, {})


async def _create(visit: Visit) -> Response:
    form = await visit.form()
    given = {name: form.get(name, "").strip() for name in _FIELDS}
    try:
        async with visit.platform() as tx:
            made, password = await operators.create_operator(tx, await _new_operator(tx, given))
    except _Refused as refused:
        return _new_form(visit, given, refused.status, **{refused.field: str(refused)})
    except (BadInput, Conflict) as problem:
        return _new_form(visit, given, 422, form=str(problem))
    return _first_password(visit, made, password, made=True)


class _Refused(BadInput):
    """What stands in one field of the form cannot be accepted."""

    status = 422

    def __init__(self, field: str, problem: Problem) -> None:
        super().__init__(problem.detail, hint=problem.hint)
        self.field = field


async def _new_operator(tx: PlatformTx, given: Mapping[str, str]) -> NewOperator:
    """What the form asks for. Raises _Refused for the field that is wrong."""
    for field, check in (("email", checked_email), ("name", _checked_name)):
        try:
            check(given[field])
        except BadInput as problem:
            raise _Refused(field, problem) from problem
    tenant_roles: dict[TenantId, Role] = {}
    if given["tenant"]:
        role = _role("tenant_role", given["tenant_role"], TENANT_ROLES)
        tenant_roles = {await _tenant(tx, given["tenant"]): role or Role.TENANT_VIEWER}
    platform_role = _role("platform_role", given["platform_role"], PLATFORM_ROLES)
    return NewOperator(given["email"], given["name"], platform_role, tenant_roles)


def _checked_name(text: str) -> str:
    return checked_name(text, "operator's name")


def _role(field: str, text: str, among: frozenset[Role]) -> Role | None:
    if not text:
        return None
    role = next((role for role in among if role == text), None)
    if role is None:
        raise _Refused(field, BadInput("There is no such role.", hint="Choose one of the list."))
    return role


async def _tenant(tx: PlatformTx, slug: str) -> TenantId:
    try:
        found = await operators.tenant_ids(tx, [slug])
    except NotFound as problem:
        hint = NotFound(problem.detail, hint="The board shows the tenants there are.")
        raise _Refused("tenant", hint) from problem
    return found[slug]


def _new_form(visit: Visit, given: Mapping[str, str], status: int = 200, **errors: str) -> Response:
    return visit.page(
        "access/new_operator.html",
        status=status,
        given=dict.fromkeys(_FIELDS, "") | dict(given),
        errors=dict.fromkeys((*_FIELDS, "form")) | errors,
    )


def _first_password(visit: Visit, operator: Operator, password: str, *, made: bool) -> Response:
    """The only page that ever shows it. No cache keeps it: pages say no-store."""
    sign_in_url = str(visit.request.url.replace(path="/console/sign-in", query="", fragment=""))
    return visit.page(
        "access/first_password.html", operator=operator, password=password, made=made, sign_in_url=sign_in_url
    )


# ------------------------------------------------------------------ one account


def _id(visit: Visit) -> OperatorId:
    return OperatorId(visit.id("operator_id"))


async def _show(visit: Visit) -> Response:
    return await _one(visit)


async def _one(
    visit: Visit,
    problem: Problem | None = None,
    given: Mapping[str, str] | None = None,
    **errors: str,
) -> Response:
    async with visit.platform() as tx:
        operator = await operators.operator_by_id(tx, _id(visit))
        sessions = await sessions_of(tx, operator.operator_id)
    return visit.page(
        "access/operator.html",
        status=problem.status if problem else 422 if errors else 200,
        operator=operator,
        sessions=len(sessions),
        problem=problem,
        given=given or {"tenant": "", "tenant_role": ""},
        errors={"tenant": None, "tenant_role": None} | errors,
    )


async def _reset_password(visit: Visit) -> Response:
    async with visit.platform() as tx:
        password = await operators.reset_password(tx, _id(visit))
        operator = await operators.operator_by_id(tx, _id(visit))
    return _first_password(visit, operator, password, made=False)


async def _disable(visit: Visit) -> Response:
    try:
        async with visit.platform() as tx:
            await operators.disable(tx, _id(visit))
    except LastAdmin as problem:
        return await _one(visit, problem)
    return _done(visit, visit.gettext("The account is disabled, and its sessions have ended."))


async def _enable(visit: Visit) -> Response:
    async with visit.platform() as tx:
        await operators.enable(tx, _id(visit))
    return _done(visit, visit.gettext("The account is enabled."))


async def _set_platform_role(visit: Visit) -> Response:
    form = await visit.form()
    try:
        role = _role("platform_role", form.get("platform_role", ""), PLATFORM_ROLES)
        async with visit.platform() as tx:
            await operators.set_platform_role(tx, _id(visit), role)
    except (BadInput, LastAdmin) as problem:
        return await _one(visit, problem)
    return _done(visit, visit.gettext("The role is set."))


async def _set_tenant_role(visit: Visit) -> Response:
    form = await visit.form()
    given = {name: form.get(name, "").strip() for name in ("tenant", "tenant_role")}
    try:
        role = _role("tenant_role", given["tenant_role"], TENANT_ROLES)
        async with visit.platform() as tx:
            await operators.set_tenant_role(tx, _id(visit), await _tenant(tx, given["tenant"]), role)
    except _Refused as refused:
        return await _one(visit, None, given, **{refused.field: str(refused)})
    except (BadInput, LastAdmin) as problem:
        return await _one(visit, problem, given)
    return _done(
        visit, visit.gettext("The role is given.") if role is not None else visit.gettext("The role is taken away.")
    )


def _done(visit: Visit, said: str) -> Response:
    return visit.see(f"{_OPERATORS}/{_id(visit)}", said=said)
