"""Whatever two providers and an admin do, in whatever order: each provider reads what it set, what follows follows,
nobody is there twice unseen, and undoing it all leaves nothing, or says what is in the way.
"""

from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.db.transactions import TenantTx
from stoa.people.duplicates_comparing import compare
from tests.people.conftest import EXAMPLES, World

from .histories import histories
from .invariants import check_tenant
from .pushing import Tenant

_SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


async def check_duplicates(tx: TenantTx) -> None:
    """Whoever shares an identifier is in the inbox of duplicates; or one source says that they are two; or an admin."""
    people = await tx.fetch(
        """SELECT person_id, employee_id_key, email_key FROM person p WHERE tenant_id = $1 AND merged_into IS NULL""",
        tx.tenant_id,
    )
    await compare(tx, [one["person_id"] for one in people])
    pairs = await tx.fetch("SELECT person_a, person_b FROM duplicate_pair WHERE tenant_id = $1", tx.tenant_id)
    told = {frozenset((one["person_a"], one["person_b"])) for one in pairs}
    records = await tx.fetch(
        "SELECT person_id, source_id FROM source_record WHERE tenant_id = $1 AND present", tx.tenant_id
    )
    proven = {row["domain"] for row in await tx.fetch("SELECT domain FROM domain WHERE tenant_id = $1", tx.tenant_id)}
    for one, other in combinations(people, 2):
        mail = one["email_key"]
        same_mail = mail is not None and mail == other["email_key"] and mail.rpartition("@")[2] in proven
        number = one["employee_id_key"]
        if not same_mail and (number is None or number != other["employee_id_key"]):
            continue
        pair = frozenset((one["person_id"], other["person_id"]))
        sources = [{r["source_id"] for r in records if r["person_id"] == person} for person in pair]
        assert pair in told or sources[0] & sources[1] or not all(sources), (dict(one), dict(other))


async def live(world: World, history: list[object], *, guarded: bool) -> None:
    """A history from beginning to end, looked at after each step."""
    tenant = await Tenant.found(world, guarded=guarded)
    async with tenant.http:
        begun = world.now
        for step in history:
            await tenant.happen(step)
            await tenant.check()
        await check_tenant(world.database, tenant.tenant_id, twins=True)
        async with world.database.tenant(tenant.tenant_id) as tx:
            await check_duplicates(tx)
        for one in tenant.providers:
            conflicts = await tenant.undo(one, begun)
            assert conflicts or (one.users, one.groups) == ({}, {})
        await tenant.check()
        await check_tenant(world.database, tenant.tenant_id, twins=True)


@settings(_SETTINGS, max_examples=8)
@given(history=histories, guarded=st.booleans())
def test_a_history_over_scim(world: World, history: list[object], guarded: bool) -> None:
    world.run(live(world, history, guarded=guarded))


@pytest.mark.all
@pytest.mark.timeout(600)
@settings(_SETTINGS, max_examples=20 * EXAMPLES)
@given(history=histories, guarded=st.booleans())
def test_many_histories_over_scim(world: World, history: list[object], guarded: bool) -> None:
    world.run(live(world, history, guarded=guarded))
