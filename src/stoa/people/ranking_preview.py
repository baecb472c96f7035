"""What another ranking of sources would change: counted and sampled by one statement, for everybody at once.

It says what `rules.effective` would, which a property test holds: only of people with records of several sources, and
only of the fields that are ranked anew, for of nobody and nothing else the ranking matters.
"""

# ruff: noqa: S608 - identifiers come from `fields`, which is code; every value is a bound parameter

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId, SourceId
from stoa.people.authority import authority, changed_fields, ranking_with
from stoa.people.fields import BY_NAME
from stoa.people.queries import NAME
from stoa.sync.model import FieldType

SAMPLE: Final = 20
_MANAGER: Final = "manager_ref"
_ACTIVE: Final = "active"


@dataclass(frozen=True, slots=True)
class Sampled:
    """Somebody whom it would change: the fields, as they are and as they would be; of the manager, the person's id."""

    person_id: PersonId
    name: str | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a ranking would change.

    Attributes:
        version: in force now, from which it was counted.
        fields: those that are ranked anew, with the order in force and the new one.
        people: whom it would change; by_field: how many of them in each field.
        loses, gains: how many would lose, or get, access.
        sample: some of them, those who would lose access first.
    """

    version: int
    fields: Mapping[str, tuple[Sequence[SourceId], Sequence[SourceId]]]
    people: int
    by_field: Mapping[str, int]
    loses: int
    gains: int
    sample: Sequence[Sampled]


async def preview_ranking(tx: TenantTx, ranking: Mapping[str, Sequence[SourceId]]) -> Preview:
    """What it would change if `ranking` were all that the tenant ranks. Nothing is written.

    Raises:
        BadInput: as `authority.set_authority`.
    """
    standing = await authority(tx)
    wanted = await ranking_with(tx, ranking)
    fields = changed_fields(standing.ranking, wanted)
    if not fields:
        return Preview(standing.version, {}, 0, {}, 0, 0, ())
    text, params = _statement({name: list(after) for name, (_, after) in fields.items()})
    row = await tx.fetchrow(text, tx.tenant_id, *params)
    assert row is not None
    counted = {name: row[f"n_{name}"] for name in fields}
    sample = [Sampled(PersonId(one[0]), one[1], one[2], one[3]) for one in row["sample"]]
    lost = (row["loses"], row["gains"]) if _ACTIVE in fields else (0, 0)
    return Preview(standing.version, fields, row["people"], counted, *lost, sample)


def _statement(wanted: Mapping[str, Sequence[SourceId]]) -> tuple[str, list[object]]:
    """The statement, and its parameters from $2 on: the orders."""
    params: list[object] = []
    place: dict[str, int] = {}
    for name, order in wanted.items():
        if order not in params:
            params.append(order)
        place[name] = params.index(order) + 2
    ranked = [name for name in wanted if name != _ACTIVE]
    columns = {name: "manager_id" if name == _MANAGER else name for name in wanted}
    differs = {name: f"(p.{column} IS DISTINCT FROM x.{column})" for name, column in columns.items()}
    loses, gains = ("p.active AND NOT x.active", "x.active AND NOT p.active") if _ACTIVE in wanted else ("false",) * 2
    text = f"""
    WITH several AS MATERIALIZED (
      SELECT r.person_id FROM source_record r WHERE r.tenant_id = $1
      GROUP BY r.person_id HAVING count(DISTINCT r.source_id) > 1
    ), held AS MATERIALIZED (
      SELECT h.resource_id, jsonb_object_agg(h.field, h.held_value) AS by_field FROM hold h
      WHERE h.tenant_id = $1 AND h.state = 'held' GROUP BY h.resource_id
    ), said AS MATERIALIZED (
      SELECT r.person_id, r.source_id, r.resource_id, r.present, {", ".join(_said(name) for name in wanted)}
      FROM several JOIN source_record r ON r.tenant_id = $1 AND r.person_id = several.person_id
      LEFT JOIN held ON held.resource_id = r.resource_id
    ), {_effective(ranked, place)}, changed AS MATERIALIZED (
      SELECT p.person_id, {NAME} AS name, {", ".join(f"{differ} AS d_{name}" for name, differ in differs.items())},
        {loses} AS loses, {gains} AS gains,
        {_document("p", columns, differs)} AS before, {_document("x", columns, differs)} AS after
      FROM x JOIN person p ON p.tenant_id = $1 AND p.person_id = x.person_id
      WHERE {" OR ".join(differs.values())}
    )
    SELECT count(*) AS people, count(*) FILTER (WHERE loses) AS loses, count(*) FILTER (WHERE gains) AS gains,
      {", ".join(f"count(*) FILTER (WHERE d_{name}) AS n_{name}" for name in wanted)},
      ARRAY(SELECT (c.person_id, c.name, c.before, c.after) FROM changed c
        ORDER BY c.loses DESC, c.person_id LIMIT {SAMPLE}) AS sample
    FROM changed"""
    return text, params


def _said(name: str) -> str:
    """What counts of a record's word: the held value, where one is in its place."""
    if name == _ACTIVE:
        kind, column = "boolean", "active"
    else:
        kind, column = ("date" if BY_NAME[name].type is FieldType.DATE else "text"), name
    counts = f"(held.by_field->>'{column}')::{kind}"
    return f"CASE WHEN held.by_field ? '{column}' THEN {counts} ELSE r.{column} END AS {column}"


def _effective(ranked: Sequence[str], place: Mapping[str, int]) -> str:
    """The parts that end in `x`: what would be in effect of each person."""
    manager = """SELECT said.*, nullif(m.person_id, said.person_id) AS manager_id FROM said
      LEFT JOIN source_record m ON m.tenant_id = $1 AND m.source_id = said.source_id
        AND m.external_id = said.manager_ref COLLATE "C\""""
    linked = manager if _MANAGER in ranked else "SELECT said.* FROM said"
    fields = "".join(
        f""", (array_agg({column} ORDER BY coalesce(array_position(${place[name]}::uuid[], source_id), 2147483647),
          source_id, NOT present, resource_id) FILTER (WHERE {column} IS NOT NULL))[1] AS {column}"""
        for name in ranked
        for column in ["manager_id" if name == _MANAGER else name]
    )
    strongest = f"SELECT person_id{fields} FROM linked GROUP BY person_id"
    if _ACTIVE not in place:
        return f"linked AS ({linked}), x AS ({strongest})"
    return f"""linked AS ({linked}), word AS (
      SELECT person_id, source_id = ANY(${place[_ACTIVE]}::uuid[]) AS counted, bool_or(active) AS active
      FROM linked GROUP BY person_id, source_id
    ), state AS (
      SELECT person_id, coalesce(bool_and(active) FILTER (WHERE counted), bool_and(active)) AS active
      FROM word GROUP BY person_id
    ), x AS (
      SELECT strongest.*, state.active FROM ({strongest}) AS strongest JOIN state USING (person_id))"""


def _document(alias: str, columns: Mapping[str, str], differs: Mapping[str, str]) -> str:
    return " || ".join(
        f"CASE WHEN {differs[name]} THEN jsonb_build_object('{column}', {alias}.{column}) ELSE '{{}}' END"
        for name, column in columns.items()
    )
