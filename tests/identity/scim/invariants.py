"""What holds in a tenant at every moment, whatever its clients have sent, and at whatever moment."""

from collections import Counter
from typing import Any

from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import TenantId
from stoa.people.authority import authority
from stoa.people.columns import RECORD_VALUES
from stoa.people.fields import PERSON_FIELDS, to_json
from stoa.people.recompute import linked_records
from stoa.people.rules import effective
from tests.people.rebuilding import people_of, rebuilt

_RECORDED = ("present", "asserted_active", "active", *RECORD_VALUES, "scim_external_id", "raw")


async def check_tenant(database: Database, tenant_id: TenantId, *, twins: bool = False) -> None:
    """Everything that follows from something else is what follows from it.

    twins: whether people may share identifiers: an admin said that they are two, or a client gave somebody another's
    later.
    """
    async with database.tenant(tenant_id, read_only=True) as tx:
        await _people(tx)
        await _groups(tx)
        if not twins:
            assert await duplicates(tx) == {}
        await _journal(tx)
    assert await rebuilt(database, tenant_id) == await people_of(database, tenant_id)


async def duplicates(tx: TenantTx) -> dict[str, int]:
    """Identifiers that several unmerged people have: employee ids, and addresses in domains that are proven."""
    proven = {row["domain"] for row in await tx.fetch("SELECT domain FROM domain WHERE tenant_id = $1", tx.tenant_id)}
    people = await tx.fetch(
        "SELECT employee_id_key, email_key FROM person WHERE tenant_id = $1 AND merged_into IS NULL", tx.tenant_id
    )
    keys = [f"employee {one['employee_id_key']}" for one in people if one["employee_id_key"] is not None]
    mails = [one["email_key"] for one in people if one["email_key"] is not None]
    keys += [f"mail {mail}" for mail in mails if mail.rpartition("@")[2] in proven]
    return {key: n for key, n in Counter(keys).items() if n > 1}


async def _people(tx: TenantTx) -> None:
    ranking = (await authority(tx)).ranking
    rows = await tx.fetch("SELECT * FROM person WHERE tenant_id = $1", tx.tenant_id)
    survivors = {row["merged_into"] for row in rows}
    for person in rows:
        if person["merged_into"] is not None:
            continue
        records = await linked_records(tx, person["person_id"])
        assert records or person["person_id"] in survivors, "somebody without a record, who took in nobody"
        wanted = effective(records, ranking)
        assert {name: person[name] for name in PERSON_FIELDS} == wanted.values
        assert (person["active"], person["manager_id"]) == (wanted.active, wanted.manager_id)
    orphans = """SELECT count(*) FROM source_record r LEFT JOIN person p ON p.tenant_id = r.tenant_id
        AND p.person_id = r.person_id WHERE r.tenant_id = $1 AND (p.person_id IS NULL OR p.merged_into IS NOT NULL)"""
    assert await tx.fetchval(orphans, tx.tenant_id) == 0


async def _groups(tx: TenantTx) -> None:
    members = await tx.fetch("SELECT * FROM group_member WHERE tenant_id = $1", tx.tenant_id)
    asserted = Counter(one["group_id"] for one in members if one["asserted"])
    for group in await tx.fetch("SELECT * FROM person_group WHERE tenant_id = $1", tx.tenant_id):
        assert group["member_count"] == asserted[group["group_id"]]
        assert group["present"] or not asserted[group["group_id"]]
    people = await tx.fetch(
        "SELECT resource_id, person_id, present FROM source_record WHERE tenant_id = $1", tx.tenant_id
    )
    owner = {one["resource_id"]: one["person_id"] for one in people}
    gives = await tx.fetch("SELECT group_id, role FROM role_rule WHERE tenant_id = $1", tx.tenant_id)
    wanted = {
        (owner[one["resource_id"]], rule["role"])
        for one in members
        for rule in gives
        if one["in_force"] and rule["group_id"] == one["group_id"]
    }
    held = await tx.fetch("SELECT person_id, role FROM person_role WHERE tenant_id = $1", tx.tenant_id)
    assert {(one["person_id"], one["role"]) for one in held} == wanted


async def _journal(tx: TenantTx) -> None:
    """The journal from its beginning comes to the records as they are; what waits for an admin says nothing of them."""
    changes = await tx.fetch(
        """SELECT c.source_id, c.subject, c.before, c.after FROM change c JOIN run r USING (tenant_id, run_id)
        WHERE c.tenant_id = $1 AND r.target = 'person' AND r.kind <> 'scim_hold'
          AND (c.state IN ('applied', 'undone') OR c.state = 'planned' AND c.ord <= r.applied_through)
        ORDER BY c.ord""",
        tx.tenant_id,
    )
    told: dict[Any, dict[str, Any]] = {}
    for change in changes:
        key = change["source_id"], change["subject"]
        standing = told.setdefault(key, dict.fromkeys(_RECORDED))
        for name in _RECORDED:
            if change["before"] is not None and name in change["before"]:
                assert standing[name] == change["before"][name], (key, name)
            if change["after"] is not None and name in change["after"]:
                standing[name] = change["after"][name]
        if change["after"] is None:
            del told[key]
    records = await tx.fetch("SELECT * FROM source_record WHERE tenant_id = $1", tx.tenant_id)
    found = {(one["source_id"], one["external_id"]): {n: to_json(one[n]) for n in _RECORDED} for one in records}
    assert told.keys() == found.keys()
    for key, record in found.items():
        assert told[key] == record, key
