"""Operators: the accounts of those who sign in to the console."""

from typing import Literal

from cyclopts import App

from stoa.access import operators
from stoa.access.operators import NewOperator, Operator, Position
from stoa.access.permissions import Role
from stoa.cli.common import OPERATOR, Options, out, session, show, show_list
from stoa.db.transactions import PlatformTx
from stoa.kernel.ids import OperatorId, parse_id
from stoa.kernel.problems import BadInput

operator_app = App(name="operator", help="Make and change the accounts that sign in to the console.")

Grade = Literal["admin", "viewer"]
_PLATFORM: dict[Grade, Role] = {"admin": Role.PLATFORM_ADMIN, "viewer": Role.PLATFORM_VIEWER}
_TENANT: dict[Grade, Role] = {"admin": Role.TENANT_ADMIN, "viewer": Role.TENANT_VIEWER}
_PAGE = 500
_NOBODY = "There is no operator yet. Make one: stoa operator create you@example.com --name You --platform-role admin"


@operator_app.command(name="create")
async def create_operator(
    email: str,
    *,
    name: str,
    platform_role: Grade | None = None,
    tenant: tuple[str, ...] = (),
    role: tuple[Grade, ...] = (),
    options: Options = Options(),
) -> None:
    """Make an account. Its first password is printed once and must be changed at the first sign-in.

    Args:
        email: The e-mail address to sign in with.
        name: The operator's name.
        platform_role: A role in every tenant: admin or viewer.
        tenant: A tenant to have a role in; may be repeated, each time with its own --role.
        role: The role in the tenant: admin or viewer. Given once, it is the role in each tenant.
    """
    grades = _paired(tenant, role)
    async with session(options) as s, s.platform.database.platform(OPERATOR) as tx:
        ids = await operators.tenant_ids(tx, grades)
        tenant_roles = {ids[slug]: _TENANT[grade] for slug, grade in grades.items()}
        wanted = NewOperator(email, name, _PLATFORM[platform_role] if platform_role else None, tenant_roles)
        made, password = await operators.create_operator(tx, wanted)
    show(
        options,
        {
            "id": made.operator_id,
            "email": made.email,
            "roles": _roles(made),
            "first_password": password,
            "sign_in_url": f"{s.base_url}/console/sign-in",
        },
    )


def _paired(tenants: tuple[str, ...], roles: tuple[Grade, ...]) -> dict[str, Grade]:
    """Role by tenant. Raises BadInput when they do not pair up."""
    if len(set(tenants)) != len(tenants):
        raise BadInput("A tenant is named twice.", hint="An operator has one role in each tenant.")
    if roles and not tenants:
        raise BadInput("--role is the role in a tenant, and no --tenant is named.", hint="Add --tenant SLUG.")
    if tenants and len(roles) not in {1, len(tenants)}:
        raise BadInput(
            f"There are {len(tenants)} tenants and {len(roles)} roles.",
            hint="Give --role once for all, or once with each --tenant: admin or viewer.",
        )
    each = roles if len(roles) == len(tenants) else roles[:1] * len(tenants)
    return dict(zip(tenants, each, strict=True))


@operator_app.command(name="list")
async def list_operators(*, search: str = "", options: Options = Options()) -> None:
    """List the accounts.

    Args:
        search: Only those with this in their name or e-mail address.
    """
    found: list[Operator] = []
    after: Position | None = None
    async with session(options) as s, s.platform.database.platform(OPERATOR) as tx:
        while True:
            page, after = await operators.operators(tx, search=search, after=after, limit=_PAGE)
            found += page
            if after is None:
                break
    nobody = f"No operator has {search!r} in the name or address." if search else _NOBODY
    rows = [
        {
            "email": one.email,
            "name": one.name,
            "id": one.operator_id,
            "roles": _roles(one),
            "disabled": one.disabled_at is not None,
            "last_sign_in_at": one.last_sign_in_at,
        }
        for one in found
    ]
    show_list(
        options,
        ("email", "name", "id", "roles", "disabled", "last_sign_in_at"),
        rows,
        nobody,
    )


@operator_app.command(name="reset-password")
async def reset_password(operator: str, *, options: Options = Options()) -> None:
    """Give an account a first password again. Its sessions end at once.

    Args:
        operator: Its e-mail address or id.
    """
    async with session(options) as s, s.platform.database.platform(OPERATOR) as tx:
        found = await _find(tx, operator)
        password = await operators.reset_password(tx, found.operator_id)
    show(options, {"email": found.email, "first_password": password, "sign_in_url": f"{s.base_url}/console/sign-in"})
    if found.disabled_at is not None and not options.as_json:
        out.print(f"The account is disabled. Enable it: stoa operator enable {found.email}", markup=False)


@operator_app.command(name="disable")
async def disable(operator: str, *, options: Options = Options()) -> None:
    """Let nobody sign in with an account. Its sessions end at once.

    Args:
        operator: Its e-mail address or id.
    """
    async with session(options) as s, s.platform.database.platform(OPERATOR) as tx:
        found = await _find(tx, operator)
        await operators.disable(tx, found.operator_id)
    show(options, {"disabled": found.email})


@operator_app.command(name="enable")
async def enable(operator: str, *, options: Options = Options()) -> None:
    """Let somebody sign in with a disabled account again.

    Args:
        operator: Its e-mail address or id.
    """
    async with session(options) as s, s.platform.database.platform(OPERATOR) as tx:
        found = await _find(tx, operator)
        await operators.enable(tx, found.operator_id)
    show(options, {"enabled": found.email})


async def _find(tx: PlatformTx, given: str) -> Operator:
    operator_id = parse_id(given)
    if operator_id is not None:
        return await operators.operator_by_id(tx, OperatorId(operator_id))
    return await operators.operator_by_email(tx, given)


def _roles(operator: Operator) -> str:
    """As the command line names them: `platform admin`, `acme viewer`."""
    platform = [] if operator.platform_role is None else [operator.platform_role.replace("_", " ")]
    return ", ".join([*platform, *(f"{one.slug} {_grade(one.role)}" for one in operator.tenants)])


def _grade(role: Role) -> str:
    return role.removeprefix("tenant_")
