"""Moving records from one person to another: what merge and split have in common.

Nothing of a record changes but whose it is: neither its SCIM id nor its version, so its source sees nothing. Order of
locks, as everywhere: identifiers, records, persons. Whoever holds all identifiers of the tenant is the only one that
links records to people, so what is read under that lock stays true.
"""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Collection, Sequence
from typing import Any, Final

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId, RunId
from stoa.people.columns import PERSON_COLUMNS
from stoa.people.effects import Effect, whole
from stoa.people.identity_locks import lock_all_identifiers
from stoa.people.recompute import recompute
from stoa.people.roles import settle_roles

_RECORDS: Final = """
SELECT 1 FROM source_record WHERE tenant_id = $1 AND person_id = ANY($2) ORDER BY external_id FOR UPDATE"""
_PERSONS: Final = "SELECT 1 FROM person WHERE tenant_id = $1 AND person_id = ANY($2) ORDER BY person_id FOR UPDATE"
_HOLDS: Final = """
UPDATE hold h SET person_id = r.person_id FROM source_record r
WHERE h.tenant_id = $1 AND h.person_id = ANY($2) AND r.tenant_id = $1 AND r.resource_id = h.resource_id
  AND r.person_id <> h.person_id"""
_REPORTS: Final = "SELECT person_id FROM person WHERE tenant_id = $1 AND manager_id = ANY($2)"
_NOTHING: Final = ", ".join(f"{name} = {'false' if name == 'active' else 'NULL'}" for name in PERSON_COLUMNS)
# The epoch rises in the same statement, so that the sessions of who is no more die with it.
_EMPTY: Final = f"""
UPDATE person p SET merged_into = $3, access_epoch = p.access_epoch + 1, manager_id = NULL, {_NOTHING},
  version = p.version + 1, updated_at = $4
FROM person o WHERE o.tenant_id = $1 AND o.person_id = p.person_id AND p.tenant_id = $1 AND p.person_id = $2
RETURNING p.version, {whole("o")} AS before"""
_FREE: Final = """
UPDATE person SET merged_into = NULL, access_epoch = access_epoch + 1, version = version + 1, updated_at = $3
WHERE tenant_id = $1 AND person_id = $2 AND merged_into IS NOT NULL RETURNING version, merged_into"""


async def lock_people(tx: TenantTx, person_ids: Collection[PersonId]) -> None:
    """Locks people with their records, behind all identifiers, which the caller locks first."""
    wanted = sorted(person_ids)
    await tx.execute(_RECORDS, tx.tenant_id, wanted)
    await tx.execute(_PERSONS, tx.tenant_id, wanted)


async def lock_links(tx: TenantTx) -> None:
    """Waits until nobody else links records to people in this tenant, and has others wait."""
    await lock_all_identifiers(tx)


async def take_in(tx: TenantTx, absorbed: PersonId, survivor: PersonId) -> Effect:
    """Has a person be another one: without values, access or role of their own. Gives what became of them."""
    # That they are gone says that they have no roles either.
    await tx.execute("DELETE FROM person_role WHERE tenant_id = $1 AND person_id = $2", tx.tenant_id, absorbed)
    row = await tx.fetchrow(_EMPTY, tx.tenant_id, absorbed, survivor, tx.now)
    assert row is not None
    return Effect(row["version"], row["before"], {"merged_into": str(survivor)})


async def set_free(tx: TenantTx, person_id: PersonId) -> int:
    """Has a merged person be one of their own again, who follows from their records; gives their version."""
    row = await tx.fetchrow(_FREE, tx.tenant_id, person_id, tx.now)
    assert row is not None
    version: int = row["version"]
    return version


def set_free_effect(version: int, survivor: PersonId, effect: Effect | None) -> Effect:
    """What became of a person who was set free: all that they are now, after nothing."""
    after: dict[str, Any] = {"active": False}
    if effect is not None:
        version = effect.version
        after |= {name: value for name, value in effect.after.items() if value is not None}
    return Effect(version, {"merged_into": str(survivor)}, after)


async def follow_links(
    tx: TenantTx, run_id: RunId, people: Sequence[PersonId], managers: Sequence[PersonId], *, alone: PersonId | None
) -> None:
    """Brings everything up to date that follows from whose the records are: holds, values, managers, roles.

    people: whose records came or went. managers: those whose reports may have another manager now. alone: one of
        `people` whose values the caller settles.
    """
    await tx.execute(_HOLDS, tx.tenant_id, list(people))
    reports = await tx.fetch(_REPORTS, tx.tenant_id, list(managers))
    await recompute(tx, {*people, *(row["person_id"] for row in reports)} - {alone}, run_id)
    await settle_roles(tx, people, run_id)
