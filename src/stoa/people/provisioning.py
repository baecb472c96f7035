"""Making the records of many newcomers at once, as a bulk request of an identity provider sends them.

The same effects as `actions.provision` for each in turn, in a run of their own: whoever shares a name or an identifier
with anybody, or with another newcomer, is left to that. A property test holds the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from stoa.changes import queries as runs
from stoa.changes.model import Action, NewRun, Run, RunKind, RunState
from stoa.changes.target import Batch
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit_batch
from stoa.kernel.ids import PersonId, ResourceId, SourceId, new_id
from stoa.people.actions import columns_of, fresh_record
from stoa.people.bulk import apply_batch
from stoa.people.fields import to_json
from stoa.people.identity_locks import lock_all_identifiers
from stoa.people.journal import TARGET
from stoa.people.matching import CreateNew
from stoa.people.model import Asserted, Provisioned, Written
from stoa.people.recognising import identifiers_of, subject_of

# Fewer are made one by one as quickly.
FEW: Final = 10

# Names, identifiers and subjects that somebody has already. $3 user names, $4 external ids, $5 employee ids,
# $6 addresses, $7 subjects; and whether the source may claim people of others. Key by key: while a tenant is filled for
# the first time, PostgreSQL believes that it has few people, and would read them all.
_TAKEN: Final = """
SELECT 'user_name' AS what, a.key FROM unnest($3::text[]) AS a (key) CROSS JOIN LATERAL (SELECT FROM source_record r
  WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.user_name_key = a.key LIMIT 1) AS t
UNION ALL SELECT 'external_id', a.key FROM unnest($4::text[]) AS a (key) CROSS JOIN LATERAL (SELECT FROM source_record r
  WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.scim_external_id = a.key AND r.present LIMIT 1) AS t
UNION ALL SELECT 'external_id', a.key FROM unnest($4::text[]) AS a (key) CROSS JOIN LATERAL (SELECT FROM source_record r
  WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.scim_external_id = a.key AND NOT r.present LIMIT 1) AS t
UNION ALL SELECT 'employee_id', a.key FROM unnest($5::text[]) AS a (key) CROSS JOIN LATERAL (SELECT FROM person p
  WHERE p.tenant_id = $1 AND p.employee_id_key = a.key LIMIT 1) AS t
UNION ALL SELECT 'email', a.key FROM unnest($6::text[]) AS a (key) CROSS JOIN LATERAL (SELECT FROM person p
  WHERE p.tenant_id = $1 AND p.email_key = a.key LIMIT 1) AS t
UNION ALL SELECT 'subject', a.key FROM unnest($7::text[]) AS a (key) CROSS JOIN LATERAL (SELECT FROM decision d
  WHERE d.tenant_id = $1 AND d.source_id = $2 AND d.subject_key = a.key AND d.resolved_at IS NULL LIMIT 1) AS t
UNION ALL SELECT 'claims', '' FROM claim_rule WHERE tenant_id = $1 AND source_id = $2"""
_WHAT: Final = ("user_name", "external_id", "employee_id", "email", "subject")

_PLAN: Final = """
INSERT INTO change
  (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)
SELECT $1, $2, $3, $4, id::text, $5, id, id, NULL, after, 'planned', $6
FROM unnest($7::uuid[], $8::jsonb[]) WITH ORDINALITY AS new(id, after, place) ORDER BY place RETURNING ord"""


@dataclass(frozen=True, slots=True)
class _Newcomer:
    """place: among those who were given."""

    place: int
    id: ResourceId
    columns: dict[str, Any]


async def provision_newcomers(tx: TenantTx, source_id: SourceId, said: Sequence[Asserted]) -> list[Provisioned | None]:
    """Makes the records, and the persons, of those whom nobody knows. None for each who is to be provisioned by
    itself, afterwards.
    """
    made: list[Provisioned | None] = [None] * len(said)
    if len(said) < FEW:
        return made
    # One lock in place of each identifier's own, of which a server has but some thousands.
    await lock_all_identifiers(tx)
    newcomers = [
        _Newcomer(place, ResourceId(new_id()), await columns_of(tx, said[place]))
        for place in await unknown(tx, source_id, said)
    ]
    if len(newcomers) < FEW:
        return made
    run = await runs.insert_run(tx, NewRun(RunKind.BULK, TARGET, source_id))
    ords = await _planned(tx, run, newcomers)
    run = await runs.enter(tx, run, RunState.PLANNING)
    taken = await apply_batch(tx, Batch(run, ords[0], ords[-1]))
    await _end(tx, run, ords, taken)
    stopped = await _conflicts(tx, run) if taken < len(ords) else frozenset[int]()
    for newcomer, ord_ in zip(newcomers, ords, strict=True):
        if ord_ not in stopped:
            ids = (newcomer.id, PersonId(newcomer.id))
            record = fresh_record(tx, source_id, str(newcomer.id), ids, newcomer.columns)
            written = Written(run.run_id, ord_)
            made[newcomer.place] = Provisioned(record, CreateNew().rule, revived=False, written=written)
    return made


async def unknown(tx: TenantTx, source_id: SourceId, said: Sequence[Asserted]) -> list[int]:
    """The places of those of whom neither the tenant nor an earlier one of them has anything. Their identifiers are
    locked.
    """
    keys = [_keys_of(one) for one in said]
    columns = [sorted({one for key in keys if (one := key[i]) is not None}) for i in range(len(_WHAT))]
    rows = await tx.fetch(_TAKEN, tx.tenant_id, source_id, *columns)
    taken: set[tuple[str, str | None]] = {(row["what"], row["key"]) for row in rows}
    if ("claims", "") in taken:
        return []
    places: list[int] = []
    for place, key in enumerate(keys):
        names = {(what, one) for what, one in zip(_WHAT, key, strict=True) if one is not None}
        if not names & taken:
            places.append(place)
        taken |= names
    return places


def _keys_of(asserted: Asserted) -> tuple[str | None, ...]:
    named = identifiers_of(asserted)
    _, subject = subject_of(asserted)
    return named.user_name_key, named.external_id, named.employee_id_key, named.email_key, subject


async def _planned(tx: TenantTx, run: Run, newcomers: Sequence[_Newcomer]) -> list[int]:
    after = [
        {name: to_json(value) for name, value in newcomer.columns.items() if value is not None}
        for newcomer in newcomers
    ]
    rows = await tx.fetch(
        _PLAN,
        *(tx.tenant_id, run.run_id, Action.CREATE, CreateNew().rule, run.source_id, tx.now),
        *([newcomer.id for newcomer in newcomers], after),
    )
    return sorted(row["ord"] for row in rows)


async def _end(tx: TenantTx, run: Run, ords: Sequence[int], taken: int) -> None:
    moments = {"planned_at": tx.now, "applying_at": tx.now, "finished_at": tx.now}
    reach = {"applied_through": ords[-1], "changes_done": len(ords)}
    counts = {str(Action.CREATE): len(ords)}
    await runs.enter(tx, run, RunState.APPLIED, counts=counts, **moments, **reach)
    if taken:
        emit_batch(tx, run_id=run.run_id, ord_from=ords[0], ord_to=ords[-1], n=taken)


async def _conflicts(tx: TenantTx, run: Run) -> frozenset[int]:
    rows = await tx.fetch(
        "SELECT ord FROM change WHERE tenant_id = $1 AND run_id = $2 AND state = 'conflict'", tx.tenant_id, run.run_id
    )
    return frozenset(row["ord"] for row in rows)
