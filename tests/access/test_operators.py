import asyncio
from uuid import uuid4

import asyncpg
import pytest

from stoa.access import operators
from stoa.access.operators import LastAdmin, NewOperator, create_operator
from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.kernel.ids import OperatorId, TenantId, new_id
from stoa.kernel.problems import BadInput, Conflict, NotFound, Problem
from tests.access.conftest import Account, MakeAccount
from tests.conftest import ConnectArgs, MakeTenant


async def test_an_account_begins_with_a_password_that_is_stored_as_a_hash_alone(
    database: Database, make_account: MakeAccount
) -> None:
    account = await make_account(name=" Ada Byron ", email=" Ada@Example.COM ")
    assert account.operator.name == "Ada Byron"
    assert account.operator.email == "Ada@Example.COM"
    assert account.operator.must_change_password
    assert account.operator.last_sign_in_at is None
    async with database.platform() as tx:
        row = await tx.fetchrow("SELECT * FROM operator WHERE operator_id = $1", account.operator.operator_id)
        assert row is not None
        assert await operators.operator_by_email(tx, "ADA@example.com") == account.operator
    assert row["password_hash"].startswith("$argon2id$")
    assert account.password not in repr(row) + repr(account.operator)


async def test_an_address_has_one_account_whatever_its_case_and_however_many_try(
    database: Database, make_account: MakeAccount
) -> None:
    name = uuid4().hex
    emails = [f"{name}@example.com", f"{name.upper()}@example.com", f"{name}@EXAMPLE.com"] * 2
    found = await asyncio.gather(*(make_account(email=email) for email in emails), return_exceptions=True)
    assert sum(isinstance(one, Account) for one in found) == 1
    assert sum(isinstance(one, Conflict) for one in found) == len(emails) - 1


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (NewOperator("no address", "A", Role.PLATFORM_ADMIN), "e-mail address"),
        (NewOperator("a\0@example.com", "A", Role.PLATFORM_ADMIN), "e-mail address"),
        (NewOperator("a@example.com", "  ", Role.PLATFORM_ADMIN), "name"),
        (NewOperator("a@example.com", "A"), "without a role"),
        (NewOperator("a@example.com", "A", Role.TENANT_ADMIN), "whole platform"),
        (NewOperator("a@example.com", "A", None, {TenantId(uuid4()): Role.PLATFORM_ADMIN}), "within a tenant"),
        (NewOperator("a@example.com", "A", None, {TenantId(uuid4()): Role.TENANT_ADMIN}), "no such tenant"),
        (
            NewOperator("a@example.com", "A", None, {TenantId(uuid4()): Role.TENANT_ADMIN for _ in range(1001)}),
            "at most 1000",
        ),
    ],
)
async def test_what_makes_no_account_is_refused_and_leaves_nothing(
    database: Database, new: NewOperator, why: str
) -> None:
    with pytest.raises(Problem, match=why):
        async with database.platform() as tx:
            await create_operator(tx, new)
    async with database.platform() as tx:
        assert await tx.fetchval("SELECT count(*) FROM operator WHERE email_key = 'a@example.com'") == 0


async def test_roles_are_replaced_as_a_whole(
    database: Database, make_tenant: MakeTenant, make_account: MakeAccount
) -> None:
    one, two, three = await make_tenant(slug="roles-a"), await make_tenant(slug="roles-b"), await make_tenant()
    account = await make_account(None, {one: Role.TENANT_ADMIN, three: Role.TENANT_VIEWER})
    async with database.platform() as tx:
        changed = await operators.set_roles(
            tx,
            account.operator.operator_id,
            Role.PLATFORM_VIEWER,
            {one: Role.TENANT_VIEWER, two: Role.TENANT_ADMIN},
        )
    assert changed.platform_role is Role.PLATFORM_VIEWER
    assert changed.tenant_roles == {one: Role.TENANT_VIEWER, two: Role.TENANT_ADMIN}
    assert [grant.slug for grant in changed.tenants] == ["roles-a", "roles-b"]
    async with database.platform() as tx:
        with pytest.raises(NotFound):
            await operators.set_roles(tx, account.operator.operator_id, None, {TenantId(uuid4()): Role.TENANT_ADMIN})
        with pytest.raises(BadInput):
            await operators.set_roles(tx, account.operator.operator_id, None, {})


async def test_roles_changed_by_several_at_once_are_those_of_one_of_them(
    database: Database, make_tenant: MakeTenant, make_account: MakeAccount
) -> None:
    tenants = [await make_tenant() for _ in range(6)]
    account = await make_account()

    async def change(tenant_id: TenantId) -> None:
        async with database.platform() as tx:
            await operators.set_roles(tx, account.operator.operator_id, None, {tenant_id: Role.TENANT_ADMIN})

    await asyncio.gather(*map(change, tenants))
    async with database.platform() as tx:
        found = await operators.operator_by_id(tx, account.operator.operator_id)
    assert len(found.tenants) == 1


async def test_roles_given_by_several_at_once_are_all_kept(
    database: Database, make_tenant: MakeTenant, make_account: MakeAccount
) -> None:
    tenants = [await make_tenant() for _ in range(5)]
    account = await make_account()

    async def give(tenant_id: TenantId) -> None:
        async with database.platform() as tx:
            await operators.set_tenant_role(tx, account.operator.operator_id, tenant_id, Role.TENANT_ADMIN)

    async def promote() -> None:
        async with database.platform() as tx:
            await operators.set_platform_role(tx, account.operator.operator_id, Role.PLATFORM_ADMIN)

    await asyncio.gather(*map(give, tenants), promote())
    async with database.platform() as tx:
        found = await operators.set_tenant_role(tx, account.operator.operator_id, tenants[0], None)
        assert found.tenant_roles == dict.fromkeys(tenants[1:], Role.TENANT_ADMIN)
        assert found.platform_role is Role.PLATFORM_ADMIN
    await make_account(Role.PLATFORM_ADMIN)
    async with database.platform() as tx:
        found = await operators.set_platform_role(tx, account.operator.operator_id, None)
    assert found.platform_role is None


async def test_the_last_role_stays(database: Database, make_tenant: MakeTenant, make_account: MakeAccount) -> None:
    tenant_id = await make_tenant()
    account = await make_account(None, {tenant_id: Role.TENANT_ADMIN})
    async with database.platform() as tx:
        with pytest.raises(BadInput, match="without a role"):
            await operators.set_tenant_role(tx, account.operator.operator_id, tenant_id, None)


async def test_accounts_are_listed_by_address_found_by_part_and_paged(
    database: Database, make_account: MakeAccount
) -> None:
    mark = uuid4().hex[:10]
    made = [await make_account(email=f"{letter}.{mark}@example.com", name=f"Ünal {letter}") for letter in "cabed"]
    async with database.platform() as tx:
        first, after = await operators.operators(tx, search=mark.upper(), limit=2)
        second, after_second = await operators.operators(tx, search=mark, after=after, limit=2)
        third, end = await operators.operators(tx, search=mark, after=after_second, limit=2)
        by_name, _ = await operators.operators(tx, search="ÜNAL C", limit=50)
        nobody, _ = await operators.operators(tx, search="%\0_")
    emails = [one.email[0] for one in (*first, *second, *third)]
    assert emails == ["a", "b", "c", "d", "e"]
    assert end is None
    async with database.platform() as tx:
        names: list[str] = []
        position = None
        for _ in range(3):
            page, position = await operators.operators(
                tx, search=mark, sort="name", descending=True, after=position, limit=2
            )
            names += [one.name[-1] for one in page]
    assert (names, position) == (["e", "d", "c", "b", "a"], None)
    assert made[0].operator in by_name
    assert nobody == []


async def test_an_account_that_is_not_there_is_told(database: Database) -> None:
    nobody = OperatorId(new_id())
    async with database.platform() as tx:
        for asked in (
            operators.operator_by_id(tx, nobody),
            operators.operator_by_email(tx, "nobody@example.org"),
            operators.set_roles(tx, nobody, Role.PLATFORM_ADMIN, {}),
            operators.reset_password(tx, nobody),
            operators.disable(tx, nobody),
            operators.enable(tx, nobody),
        ):
            with pytest.raises(NotFound, match="operator"):
                await asked


async def test_tenants_are_named_by_slug(database: Database, make_tenant: MakeTenant) -> None:
    mine = await make_tenant(slug="named-by-slug")
    async with database.platform() as tx:
        assert await operators.tenant_ids(tx, ["named-by-slug", "named-by-slug"]) == {"named-by-slug": mine}
        assert await operators.tenant_ids(tx, []) == {}
        for slug in ("no-such", "x\0"):
            with pytest.raises(NotFound, match="no tenant"):
                await operators.tenant_ids(tx, ["named-by-slug", slug])


@pytest.mark.usefixtures("no_admins")
async def test_the_last_enabled_platform_admin_keeps_account_and_role(
    database: Database, make_account: MakeAccount
) -> None:
    last, second = await make_account(Role.PLATFORM_ADMIN), await make_account(Role.PLATFORM_ADMIN)
    async with database.platform() as tx:
        await operators.disable(tx, second.operator.operator_id)
    for change in (
        lambda tx: operators.disable(tx, last.operator.operator_id),
        lambda tx: operators.set_roles(tx, last.operator.operator_id, Role.PLATFORM_VIEWER, {}),
    ):
        with pytest.raises(LastAdmin):
            async with database.platform() as tx:
                await change(tx)
    async with database.platform() as tx:
        # What takes nothing away is allowed.
        await operators.set_roles(tx, last.operator.operator_id, Role.PLATFORM_ADMIN, {})
        await operators.disable(tx, second.operator.operator_id)
        await operators.enable(tx, second.operator.operator_id)
        await operators.disable(tx, last.operator.operator_id)


@pytest.mark.usefixtures("no_admins")
async def test_admins_who_remove_each_other_at_once_leave_one(database: Database, make_account: MakeAccount) -> None:
    made = [await make_account(Role.PLATFORM_ADMIN) for _ in range(6)]

    async def remove(number: int, account: Account) -> None:
        async with database.platform() as tx:
            if number % 2:
                await operators.disable(tx, account.operator.operator_id)
            else:
                await operators.set_roles(tx, account.operator.operator_id, Role.PLATFORM_VIEWER, {})

    found = await asyncio.gather(*(remove(*one) for one in enumerate(made)), return_exceptions=True)
    assert [type(one) for one in found if one is not None] == [LastAdmin]
    async with database.platform() as tx:
        left = await tx.fetchval(
            "SELECT count(*) FROM operator WHERE platform_role = 'platform_admin' AND disabled_at IS NULL"
        )
    assert left == 1


@pytest.mark.parametrize("role", ["stoa_app", "stoa_sync"])
@pytest.mark.parametrize("table", ["operator", "operator_grant", "operator_session", "sign_in_attempt"])
async def test_a_tenants_work_cannot_see_accounts(connect_args: ConnectArgs, role: str, table: str) -> None:
    connection = await asyncpg.connect(**connect_args(role))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"SELECT * FROM {table}")
    finally:
        await connection.close()
