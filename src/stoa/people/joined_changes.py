"""Changing several records of a source at once, each on behalf of a request of its own.

The same effects as `actions.assert_record` for each in turn, in the run of the hour and with an entry of the log for
each. Whatever takes more than the plain way (a name, a manager or a date that changes, an effect that is held, a person
of two of the records) is left to that. A property test holds the two together.

Rows are locked first, and found again by their places, which the locks keep: no look-up can be planned badly then. What
else is asked of each is asked row by row, for as long as statistics lag behind a tenant that is being filled.
"""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, TypeAlias
from uuid import UUID

from stoa.changes.model import Action, RunKind
from stoa.db.transactions import Origin, Row, TenantTx
from stoa.events.actions import emit_batch
from stoa.kernel.ids import PersonId, SourceId
from stoa.people import guarding, journal
from stoa.people.actions import UNIQUE, columns_of, standing_of, with_columns
from stoa.people.authority import authority
from stoa.people.columns import RECORD_COLUMNS, RECORD_VALUES, assigned
from stoa.people.dates import is_dated
from stoa.people.fields import to_json
from stoa.people.model import Asserted, Changed, Record, Unchanged, Written
from stoa.people.queries import RECORD, record_of
from stoa.people.recompute import STATE, Became, becomes, records_of_all
from stoa.people.rules import Linked, Ranking, describe

_OF_PERSON: Final = ("version", *STATE)
_PERSON: Final = ", ".join(f"p.{column} AS person_{column}" for column in _OF_PERSON)
# Records of a source ($2) by their SCIM ids ($3), one by one; then their persons. All are locked in the order that
# everybody keeps.
_LOCK: Final = f"""
WITH record AS MATERIALIZED (
  SELECT r.* FROM (SELECT id FROM unnest($3::uuid[]) AS w (id) ORDER BY id::text COLLATE "C") AS wanted
  CROSS JOIN LATERAL (
    SELECT s.ctid AS place, s.* FROM source_record s
    WHERE s.tenant_id = $1 AND s.resource_id = wanted.id AND s.source_id = $2 AND s.present OFFSET 0 FOR UPDATE) AS r
), someone AS MATERIALIZED (
  SELECT p.* FROM (SELECT DISTINCT person_id FROM record ORDER BY person_id) AS w CROSS JOIN LATERAL (
    SELECT q.ctid AS place, q.* FROM person q
    WHERE q.tenant_id = $1 AND q.person_id = w.person_id OFFSET 0 FOR UPDATE) AS p
)
SELECT {RECORD}, r.place::text AS record_place, p.place::text AS person_place, {_PERSON},
  grouped.yes IS NOT NULL AS grouped
FROM record r JOIN someone p ON p.person_id = r.person_id
LEFT JOIN LATERAL (SELECT true AS yes FROM group_member m
  WHERE m.tenant_id = $1 AND m.resource_id = r.resource_id AND m.asserted LIMIT 1) AS grouped ON true"""

_SET: Final = tuple(name for name in RECORD_COLUMNS if name != "row_hash")
# $1 tenant, $2 run, $3 source, $4 now, $5 kind, $6 target, $7 actor; of each change: $8 the record's place, $9 its key,
# $10 its SCIM id, $11 action, $12 reason, $13 and $14 what is written down; of its person: $15 place, $16 id, $17 the
# columns that become other, $18 version, $19 and $20 what is told. The epoch rises as access ends, so that sessions die
# with it.
_WRITE: Final = f"""
WITH said AS MATERIALIZED (
  SELECT s.*, s.record::tid AS record_place, s.person::tid AS person_place
  FROM unnest($8::text[], $9::text[], $10::uuid[], $11::text[], $12::text[], $13::jsonb[], $14::jsonb[], $15::text[],
    $16::uuid[], $17::jsonb[], $18::bigint[], $19::jsonb[], $20::jsonb[]) WITH ORDINALITY
    AS s (record, key, resource_id, action, reason, before, after, person, person_id, state, version, was, became, nth)
), record AS (
  UPDATE source_record r SET {assigned(_SET, "x")}, row_hash = 0, last_run = $2, version = r.version + 1,
    updated_at = $4
  FROM said s JOIN source_record o ON o.ctid = s.record_place
  CROSS JOIN LATERAL jsonb_populate_record(o, s.after) AS x
  WHERE r.ctid = s.record_place AND r.tenant_id = $1 RETURNING r.resource_id
), someone AS (
  UPDATE person p SET access_epoch = p.access_epoch + (p.active AND NOT x.active)::int, {assigned(STATE, "x")},
    version = p.version + 1, updated_at = $4
  FROM said s JOIN person o ON o.ctid = s.person_place
  CROSS JOIN LATERAL jsonb_populate_record(o, s.state) AS x
  WHERE p.ctid = s.person_place AND p.tenant_id = $1 AND s.state IS NOT NULL RETURNING p.person_id
), done AS MATERIALIZED (
  SELECT s.* FROM said s JOIN record USING (resource_id)
  WHERE s.state IS NULL OR s.person_id IN (SELECT person_id FROM someone)
), {journal.hour("$3", "$4", "$5", "$6", "$7")}, made AS (
  INSERT INTO change
    (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)
  SELECT $1, $2, action, reason, key, $3, resource_id, person_id, before, after, 'applied', $4 FROM done
  ORDER BY nth RETURNING ord, resource_id
), told AS (
  INSERT INTO effect (tenant_id, run_id, ord, person_id, version, before, after)
  SELECT $1, $2, made.ord, s.person_id, s.version, s.was, s.became FROM made JOIN said s USING (resource_id)
  WHERE s.version IS NOT NULL)
SELECT resource_id, ord FROM made"""

_Records: TypeAlias = Mapping[PersonId, Sequence[Linked]]


@dataclass(frozen=True, slots=True)
class Standing:
    """A record that is locked with its person.

    Attributes:
        grouped: whether it is in any group.
        places: of the record and of the person, for as long as the locks last.
        person: the columns of `recompute.LOCKED`.
    """

    record: Record
    grouped: bool
    places: tuple[str, str]
    person: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """What a request has a record say. origin: of that request."""

    standing: Standing
    asserted: Asserted
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Change:
    nth: int
    said: Said
    wanted: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    action: Action
    reason: str

    @property
    def record(self) -> Record:
        return self.said.standing.record


async def lock_together(tx: TenantTx, source_id: SourceId, resource_ids: Collection[UUID]) -> dict[UUID, Standing]:
    """The present records of a source with these SCIM ids, locked until the end of the transaction."""
    rows = await tx.fetch(_LOCK, tx.tenant_id, source_id, list(resource_ids))
    return {row["resource_id"]: _standing(row) for row in rows}


def _standing(row: Row) -> Standing:
    person = {column: row[f"person_{column}"] for column in _OF_PERSON}
    places = row["record_place"], row["person_place"]
    return Standing(record_of(row), row["grouped"], places, person)


async def assert_together(tx: TenantTx, source_id: SourceId, said: Sequence[Said]) -> list[Changed | Unchanged | None]:
    """Has each record say what was asserted of it. None for each that is to be asserted by itself; nothing of it was
    written.

    said: of a record no more than one.
    """
    results: list[Changed | Unchanged | None] = [None] * len(said)
    changes: list[_Change] = []
    records: _Records = {}
    people: set[PersonId] = set()
    for nth, one in enumerate(said):
        if is_dated(one.asserted.values) or is_dated(one.standing.record.values):
            continue
        change = _change(nth, one, await columns_of(tx, one.asserted))
        if change is None:
            results[nth] = Unchanged(one.standing.record)
        elif _is_plain(change) and change.record.person_id not in people:
            changes.append(change)
            people.add(change.record.person_id)
    if changes:
        # Asked by a later statement than that which locks: whoever was waited for may have had something held.
        records = await records_of_all(tx, [one.record.person_id for one in changes])
        changes = await _passing(tx, source_id, [one for one in changes if not _waits(one, records)])
    if changes:
        for change, done in zip(changes, await _write(tx, source_id, changes, records), strict=True):
            results[change.nth] = done
    return results


def _change(nth: int, said: Said, wanted: Mapping[str, Any]) -> _Change | None:
    record = said.standing.record
    standing = standing_of(record)
    names = [name for name, value in wanted.items() if name in standing and value != standing[name]]
    if not names:
        return None
    before = {name: to_json(standing[name]) for name in names}
    after = {name: to_json(wanted[name]) for name in names}
    action, reason = describe(record.active, bool(wanted["active"]), names)
    return _Change(nth, said, wanted, before, after, action, reason)


def _is_plain(change: _Change) -> bool:
    """Whether no name is in question and nobody else's manager."""
    return not change.after.keys() & {*UNIQUE, "manager_ref"}


def _waits(change: _Change, records: _Records) -> bool:
    """Whether a word on the record is held."""
    return any(one.held for one in records[change.record.person_id] if one.resource_id == change.record.resource_id)


async def _passing(tx: TenantTx, source_id: SourceId, changes: list[_Change]) -> list[_Change]:
    """Those of whose effects a guard need not be asked one by one."""
    ending = {one.record.person_id for one in changes if one.action is Action.DEACTIVATE}
    if not ending or await guarding.deactivations_pass(tx, source_id, ending):
        return changes
    return [one for one in changes if one.action is not Action.DEACTIVATE]


async def _write(tx: TenantTx, source_id: SourceId, changes: Sequence[_Change], records: _Records) -> list[Changed]:
    # One record alone wins every field, whoever ranks where.
    several = any(len(some) > 1 for some in records.values())
    ranking: Ranking = (await authority(tx)).ranking if several else {}
    became = [
        becomes(one.said.standing.person, _as_said(records[one.record.person_id], one), ranking) for one in changes
    ]
    run_id = journal.window_of(tx, source_id)
    rows = await tx.fetch(
        _WRITE,
        *(tx.tenant_id, run_id, source_id, tx.now, RunKind.SCIM_WINDOW, journal.TARGET, tx.origin.actor),
        *zip(*(_row(one, then) for one, then in zip(changes, became, strict=True)), strict=True),
    )
    ords: dict[UUID, int] = {row["resource_id"]: row["ord"] for row in rows}
    if len(ords) < len(changes):
        raise RuntimeError("a row that was locked is not where it was")
    done: list[Changed] = []
    for one, then in zip(changes, became, strict=True):
        ord_ = ords[one.record.resource_id]
        n = 1 if then is None or then.effect is None else 2
        emit_batch(tx, run_id=run_id, ord_from=ord_, ord_to=ord_, n=n, origin=one.said.origin)
        now = with_columns(tx, one.record, one.wanted)
        done.append(Changed(now, one.action, one.reason, Written(run_id, ord_)))
    return done


def _as_said(records: Sequence[Linked], change: _Change) -> list[Linked]:
    """The person's records with the changed one as it is about to be."""
    wanted = change.wanted
    values = {name: wanted[name] for name in RECORD_VALUES}
    return [
        replace(one, present=wanted["present"], active=wanted["active"], values=values)
        if one.resource_id == change.record.resource_id
        else one
        for one in records
    ]


def _row(change: _Change, became: Became | None) -> tuple[object, ...]:
    record, standing = change.record, change.said.standing
    effect = None if became is None else became.effect
    told = (None, None, None) if effect is None else (effect.version, effect.before, effect.after)
    return (
        *(standing.places[0], record.external_id, record.resource_id, change.action, change.reason, change.before),
        *(change.after, standing.places[1], record.person_id, _state(standing.person, became), *told),
    )


def _state(person: Mapping[str, Any], became: Became | None) -> dict[str, Any] | None:
    if became is None:
        return None
    changed = {name: value for name, value in zip(STATE, became.values, strict=True) if value != person[name]}
    return {name: str(value) if isinstance(value, (UUID, date)) else value for name, value in changed.items()}
