"""The roles that follow from groups, written down: some thousand people's at a time, with the events of those whose
roles changed.

Persons are locked first and their groups read in a later statement, so that of two writers of one person the second
sees what the first wrote.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, cast

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit_all
from stoa.events.model import Event
from stoa.kernel.ids import PersonId, RunId
from stoa.people.roles_model import Role

CHANGED: Final = "person.roles_changed"
_AT_ONCE: Final = 5_000
_TOLD: Final = "people.roles"
_STANDING: Final = "SELECT person_id FROM person WHERE tenant_id = $1 AND person_id = ANY($2) AND merged_into IS NULL"
_LOCK: Final = "SELECT 1 FROM person WHERE tenant_id = $1 AND person_id = ANY($2) ORDER BY person_id FOR UPDATE"

# Roles of the person `p`: those that the rules of their groups give. $1 is the tenant. `roles_rules.roles_of` is the
# definition. Whether record and group are present is no matter: what leaves has its memberships ended, and where that
# waits for an admin, what they give stays as well.
_GIVEN: Final = """
      SELECT DISTINCT u.role FROM source_record r
      JOIN group_member m ON m.tenant_id = $1 AND m.resource_id = r.resource_id AND m.in_force
      JOIN {rules} ON {of_group}
      WHERE r.tenant_id = $1 AND r.person_id = p.person_id ORDER BY u.role"""


def standing(rules: str, of_group: str) -> str:
    """The columns `had` and `has` of the person `p`: roles as they are written down, and as they should be.

    rules: a table or sub-select with the alias u, which has `role`. of_group: what joins it to the group of `m`.
    """
    return f"""
    ARRAY(SELECT h.role FROM person_role h WHERE h.tenant_id = $1 AND h.person_id = p.person_id ORDER BY h.role) AS had,
    ARRAY({_GIVEN.format(rules=rules, of_group=of_group)}) AS has"""  # noqa: S608 - made of constants


_STATE: Final = f"""
WITH state AS MATERIALIZED (
  SELECT p.person_id, p.version, {standing("role_rule u", "u.tenant_id = $1 AND u.group_id = m.group_id")}
  FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY($2)
)
SELECT * FROM state WHERE had <> has ORDER BY person_id"""  # noqa: S608 - made of constants

# Ids are compared with arrays, never joined: after a bulk load the statistics do not know how many there are, and a
# join would read the whole tenant for each. The epoch rises with the roles, so that whoever is signed in is asked for
# again with those that they have now. $6 and on: who loses a role, in the order of `Role`.
_LOST: Final = " OR ".join(f"(role = '{role}' AND person_id = ANY(${n}))" for n, role in enumerate(Role, start=6))
_WRITE: Final = f"""
WITH lost AS (
  DELETE FROM person_role WHERE tenant_id = $1 AND ({_LOST})
), won AS (
  INSERT INTO person_role (tenant_id, person_id, role, since)
  SELECT $1, n.person_id, n.role, $2 FROM unnest($4::uuid[], $5::text[]) AS n (person_id, role)
)
UPDATE person SET access_epoch = access_epoch + 1 WHERE tenant_id = $1 AND person_id = ANY($3)"""  # noqa: S608 - roles are code


@dataclass(frozen=True, slots=True)
class Changed:
    """A person whose roles changed. had, has: in order, each once."""

    person_id: PersonId
    version: int
    had: tuple[str, ...]
    has: tuple[str, ...]


async def settle_roles(tx: TenantTx, person_ids: Collection[PersonId], run_id: RunId | None) -> None:
    """Brings people's roles up to date with their groups and the rules, and tells of those whose roles changed. Twice
    is as once. Ids of nobody are passed over.

    run_id: the run that it follows from, if any; the events name it.
    """
    tell(tx, await bring_up_to_date(tx, person_ids), run_id)


async def bring_up_to_date(tx: TenantTx, person_ids: Collection[PersonId]) -> list[Changed]:
    """As `settle_roles`, but the caller tells of the changes that it gives (`tell`)."""
    wanted = sorted(set(person_ids))
    changed: list[Changed] = []
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        await tx.execute(_LOCK, tx.tenant_id, some)
        rows = await tx.fetch(_STATE, tx.tenant_id, some)
        found = [Changed(row["person_id"], row["version"], tuple(row["had"]), tuple(row["has"])) for row in rows]
        if found:
            await _write(tx, found)
        changed += found
    return changed


async def _write(tx: TenantTx, changed: Collection[Changed]) -> None:
    won = [(one.person_id, role) for one in changed for role in one.has if role not in one.had]
    lost = ([one.person_id for one in changed if role in one.had and role not in one.has] for role in Role)
    await tx.execute(
        _WRITE,
        *(tx.tenant_id, tx.now, [one.person_id for one in changed]),
        *([person_id for person_id, _ in won], [role for _, role in won]),
        *lost,
    )


def tell(tx: TenantTx, changed: Collection[Changed], run_id: RunId | None) -> None:
    """Has the transaction tell at its end of people whose roles changed: one event for each, from what they had at its
    beginning to what they have. Who is merged or gone by then has an event that says so.
    """
    if changed:
        tx.memo[_TOLD] = (*tx.memo.get(_TOLD, ()), *((one, run_id) for one in changed))
        tx.before_commit(_TOLD, _tell)


async def _tell(tx: TenantTx) -> None:
    told = cast("tuple[tuple[Changed, RunId | None], ...]", tx.memo[_TOLD])
    tx.memo[_TOLD] = ()
    net: dict[PersonId, tuple[Changed, RunId | None]] = {}
    for one, run_id in told:
        earlier = net.get(one.person_id)
        net[one.person_id] = (one if earlier is None else replace(one, had=earlier[0].had), run_id)
    rows = await tx.fetch(_STANDING, tx.tenant_id, list(net))
    standing = {row["person_id"] for row in rows}
    by_run: dict[RunId | None, list[Event]] = {}
    for person_id, (one, run_id) in net.items():
        if person_id in standing and one.had != one.has:
            by_run.setdefault(run_id, []).append(_event(one))
    for run_id, events in by_run.items():
        emit_all(tx, events, run_id=run_id)


def _event(one: Changed) -> Event:
    body = {"before": {"roles": list(one.had)}, "after": {"roles": list(one.has)}, "version": one.version}
    return Event(CHANGED, subject=str(one.person_id), body=body)
