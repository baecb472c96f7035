"""Somebody signs in, and somebody is pushed over SCIM: in either order, and at the same moment, it is one person."""

import asyncio
from typing import Any

import pytest

from stoa.db.database import Database
from stoa.kernel.ids import SourceId, TenantId
from stoa.kernel.problems import BadInput
from stoa.people import actions
from stoa.people.arriving import Arriving, Provision, Refuse, SignIn, arrive
from stoa.people.claims import set_claims
from stoa.people.matching import ClaimBy
from stoa.people.model import Asserted, Provisioned

from .making import source

ISSUER = "https://acme.okta.example"


def ada(**given: Any) -> Arriving:
    said: dict[str, Any] = {"user_name": "ada@acme.example", "email": "ada@acme.example", "email_verified": True}
    said |= given
    return Arriving(ISSUER, said.pop("subject", "00u1"), **said)


def pushed(**values: str) -> Asserted:
    said = {"user_name": "ada@acme.example", "email": "ada@acme.example"} | values
    return Asserted(said, True, "00u1", {"userName": said["user_name"]})


async def sources(database: Database, tenant_id: TenantId, *rules: tuple[int, int, ClaimBy]) -> list[SourceId]:
    """Okta's SCIM, and the ways to sign in with it; `rules` name claims by their places."""
    found = [await source(database, tenant_id, "idp", name) for name in ("Okta", "Okta sign-in")]
    async with database.tenant(tenant_id) as tx:
        for place, other, by in rules:
            await set_claims(tx, found[place], {found[other]: by})
    return found


async def people(database: Database, tenant_id: TenantId) -> int:
    async with database.tenant(tenant_id) as tx:
        return await tx.fetchval("SELECT count(*) FROM person WHERE merged_into IS NULL")


async def test_who_signed_in_is_known_when_scim_comes_and_the_other_way_round(
    database: Database, tenant_id: TenantId
) -> None:
    okta, sign_in = await sources(database, tenant_id, (0, 1, ClaimBy.USER_NAME), (1, 0, ClaimBy.EXTERNAL_ID))
    async with database.tenant(tenant_id) as tx:
        first = await arrive(tx, sign_in, ada(email_verified=False))
    assert isinstance(first, Provision)
    assert first.made
    # An address that nobody has verified is no word of hers, so nobody is told by it later.
    assert first.record.values["email"] is None
    async with database.tenant(tenant_id) as tx:
        made = await actions.provision(tx, okta, pushed())
    assert isinstance(made, Provisioned)
    assert (made.rule, made.record.person_id) == ("claimed_by_user_name", first.person_id)
    async with database.tenant(tenant_id) as tx:
        again = await arrive(tx, sign_in, ada(user_name="ada.byron"))
    assert again == SignIn(first.person_id, again.record) if isinstance(again, SignIn) else False

    bob = Asserted({"user_name": "bob", "email": "bob@acme.example"}, True, "00u2")
    async with database.tenant(tenant_id) as tx:
        made = await actions.provision(tx, okta, bob)
        assert isinstance(made, Provisioned)
        come = await arrive(tx, sign_in, ada(subject="00u2", user_name="robert", email=None))
    assert isinstance(come, Provision)
    assert (come.rule, come.made, come.person_id) == ("claimed_by_external_id", False, made.record.person_id)
    assert await people(database, tenant_id) == 2


@pytest.mark.parametrize("verified", [True, False])
async def test_both_at_the_same_moment_make_one_person(database: Database, tenant_id: TenantId, verified: bool) -> None:
    rules = () if verified else ((0, 1, ClaimBy.USER_NAME), (1, 0, ClaimBy.USER_NAME))
    okta, sign_in = await sources(database, tenant_id, *rules)
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            "INSERT INTO domain (tenant_id, domain, proven_at) VALUES ($1, 'acme.example', $2) ON CONFLICT DO NOTHING",
            *(tenant_id, tx.now),
        )

    async def push(number: int) -> object:
        async with database.tenant(tenant_id) as tx:
            said = {"user_name": f"ada{number}@acme.example", "email": f"ada{number}@acme.example"}
            return await actions.provision(tx, okta, Asserted(said, True, f"00u{number}"))

    async def come(number: int) -> object:
        name = f"ada{number}@acme.example"
        async with database.tenant(tenant_id) as tx:
            said = ada(subject=f"00u{number}", user_name=name, email=name, email_verified=verified)
            return await arrive(tx, sign_in, said)

    for number in range(6):
        done = await asyncio.gather(push(number), come(number), come(number), push(number))
        assert sum(isinstance(one, Provision | SignIn) for one in done) == 2
        assert sum(isinstance(one, Provisioned) for one in done) == 1
    assert await people(database, tenant_id) == 6
    async with database.tenant(tenant_id) as tx:
        # What came twice at one moment is nothing to decide.
        assert await tx.fetchval("SELECT count(*) FROM decision") == 0


async def test_who_may_not_come_in(database: Database, tenant_id: TenantId) -> None:
    okta, sign_in = await sources(database, tenant_id, (1, 0, ClaimBy.USER_NAME))
    async with database.tenant(tenant_id) as tx:
        unknown = await arrive(tx, sign_in, ada(), makes_people=False)
        assert isinstance(unknown, Refuse)
        assert unknown.rule == "not_provisioned"
        noted = await tx.fetchrow("SELECT subject, rule, times FROM decision")
        assert noted is not None
        assert tuple(noted) == ("00u1", "not_provisioned", 1)
        left = Asserted({"user_name": "Ada@acme.example"}, False, "00u1")
        made = await actions.provision(tx, okta, left)
        assert isinstance(made, Provisioned)
        # She is told, and that ends what was noted; but she has left.
        barred = await arrive(tx, sign_in, ada())
        assert barred == Refuse("no_access", "The person is known, and has no access.", (made.record.person_id,))
        assert await tx.fetchval("SELECT ended FROM decision") == "understood"
        assert await arrive(tx, sign_in, ada()) == barred
    with pytest.raises(BadInput):
        async with database.tenant(tenant_id) as tx:
            await arrive(tx, sign_in, Arriving("two words", "x"))
