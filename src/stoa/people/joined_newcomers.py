"""Making the records and the persons of several newcomers at once, each on behalf of a request of its own.

The same effects as `actions.provision` for each in turn, in the run of the hour and with an entry of the log for each:
whoever shares a name or an identifier with anybody, or with another newcomer, is left to that. A property test holds
the two together.
"""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stoa.changes.model import Action, RunKind
from stoa.db.transactions import Origin, TenantTx
from stoa.events.actions import emit_batch
from stoa.kernel.ids import PersonId, ResourceId, SourceId, TenantId, new_id
from stoa.people import effects, journal
from stoa.people.actions import columns_of, fresh_record
from stoa.people.columns import PERSON_COLUMNS, RECORD_COLUMNS, listed
from stoa.people.dates import is_dated
from stoa.people.fields import to_json
from stoa.people.identity_locks import locking_identifiers
from stoa.people.matching import CreateNew
from stoa.people.model import Asserted, Provisioned, Written
from stoa.people.provisioning import unknown
from stoa.people.recognising import identifiers_of

# $1 tenant, $2 run, $3 source, $4 now, $5 reason, $6 kind, $7 target, $8 actor; of each newcomer: $9 id, $10 what is
# written down, $11 manager, $12 what is told of the person beside it. Whose name was taken a moment ago is left out.
_MAKE: Final = f"""
WITH said AS MATERIALIZED (
  SELECT * FROM unnest($9::uuid[], $10::jsonb[], $11::uuid[], $12::jsonb[]) WITH ORDINALITY
    AS s(id, after, manager_id, told, place)
), record AS (
  INSERT INTO source_record (tenant_id, source_id, external_id, resource_id, person_id, last_run, created_at,
    updated_at, {listed(RECORD_COLUMNS)})
  SELECT $1, $3, s.id::text, s.id, s.id, $2, $4, $4, {listed(RECORD_COLUMNS, "x")}
  FROM said s CROSS JOIN LATERAL jsonb_populate_record(NULL::source_record, s.after) AS x
  ORDER BY s.place ON CONFLICT DO NOTHING
  RETURNING resource_id, {listed(PERSON_COLUMNS)}
), done AS MATERIALIZED (
  SELECT said.place, said.after, said.manager_id, said.told, record.* FROM said
  JOIN record ON record.resource_id = said.id
), person AS (
  INSERT INTO person (tenant_id, person_id, created_run, created_at, updated_at, manager_id, {listed(PERSON_COLUMNS)})
  SELECT $1, resource_id, $2, $4, $4, manager_id, {listed(PERSON_COLUMNS)} FROM done
), {journal.hour("$3", "$4", "$6", "$7", "$8", if_done="WHERE EXISTS (SELECT FROM done)")}, made AS (
  INSERT INTO change
    (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)
  SELECT $1, $2, '{Action.CREATE}', $5, resource_id::text, $3, resource_id, resource_id, NULL, after, 'applied', $4
  FROM done ORDER BY place RETURNING ord, resource_id
), told AS (
  INSERT INTO effect (tenant_id, run_id, ord, person_id, version, before, after)
  SELECT $1, $2, made.ord, made.resource_id, 1, NULL, done.told FROM made JOIN done USING (resource_id))
SELECT resource_id, ord FROM made"""
_MANAGERS: Final = """
SELECT named.key, r.person_id FROM unnest($3::text[]) AS named (key) CROSS JOIN LATERAL (
  SELECT person_id FROM source_record
  WHERE tenant_id = $1 AND source_id = $2 AND external_id = named.key LIMIT 1) AS r"""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What a request says of somebody who is to be made. origin: of that request."""

    asserted: Asserted
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Made:
    """place: among those who were given."""

    place: int
    id: ResourceId
    columns: dict[str, Any]


def locking(tenant_id: TenantId, said: Iterable[Asserted]) -> str:
    """The statement that has to begin a transaction in which `make_newcomers` is called."""
    return locking_identifiers(tenant_id, {key for one in said for key in identifiers_of(one).all_keys})


async def make_newcomers(tx: TenantTx, source_id: SourceId, newcomers: Sequence[Newcomer]) -> list[Provisioned | None]:
    """Makes the records, and the persons, of those whom nobody knows. None for each who is to be provisioned by
    itself: of whom anything is known, or who has dates.

    The transaction has locked their identifiers (`locking`).
    """
    results: list[Provisioned | None] = [None] * len(newcomers)
    plain = [place for place, one in enumerate(newcomers) if not is_dated(one.asserted.values)]
    places = await unknown(tx, source_id, [newcomers[place].asserted for place in plain])
    fresh = [
        _Made(place, ResourceId(new_id()), await columns_of(tx, newcomers[place].asserted))
        for place in (plain[i] for i in places)
    ]
    if not fresh:
        return results
    managers = await _managers(tx, source_id, fresh)
    run_id = journal.window_of(tx, source_id)
    rule = CreateNew().rule
    after = [{n: to_json(value) for n, value in one.columns.items() if value is not None} for one in fresh]
    rows = await tx.fetch(
        _MAKE,
        *(tx.tenant_id, run_id, source_id, tx.now, rule, RunKind.SCIM_WINDOW, journal.TARGET, tx.origin.actor),
        *([one.id for one in fresh], after, managers, [effects.made(manager).after for manager in managers]),
    )
    ords: dict[ResourceId, int] = {row["resource_id"]: row["ord"] for row in rows}
    for one in fresh:
        ord_ = ords.get(one.id)
        if ord_ is None:
            continue
        origin = newcomers[one.place].origin
        emit_batch(tx, run_id=run_id, ord_from=ord_, ord_to=ord_, n=2, origin=origin)
        record = fresh_record(tx, source_id, str(one.id), (one.id, PersonId(one.id)), one.columns)
        results[one.place] = Provisioned(record, rule, revived=False, written=Written(run_id, ord_))
    return results


async def _managers(tx: TenantTx, source_id: SourceId, fresh: Sequence[_Made]) -> list[PersonId | None]:
    """The person whom each names as manager, if the source has one."""
    named = [one.columns["manager_ref"] for one in fresh]
    keys = sorted({key for key in named if key is not None})
    if not keys:
        return [None] * len(fresh)
    rows = await tx.fetch(_MANAGERS, tx.tenant_id, source_id, keys)
    found: dict[str, PersonId] = {row["key"]: row["person_id"] for row in rows}
    return [None if key is None else found.get(key) for key in named]
