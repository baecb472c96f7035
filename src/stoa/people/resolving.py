"""Who the new rows of a report are about: the one resolver asked for each, as if they came one after the other."""

# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId, SourceId, new_id
from stoa.people.rules import Arrival, Candidate, CreateNew, LinkTo, Refuse, Verdict, resolve_in_order

_ACTIONS: Mapping[type, str] = {LinkTo: "link", CreateNew: "create", Refuse: "refused"}


@dataclass(frozen=True, slots=True)
class Resolved:
    """The new rows with the resolver's word on each: links and creations, and what was refused (key and refusal)."""

    accepted: pl.DataFrame
    refused: Sequence[tuple[str, Refuse]]


async def resolve_new(tx: TenantTx, source_id: SourceId, made: pl.DataFrame) -> Resolved:
    """Asks about each new row, in the order of their keys, and adds person_id, resource_id, action and reason."""
    made = made.sort("external_id")
    known = await _sharing(tx, source_id, made)
    domains = await tx.fetch("SELECT domain FROM domain WHERE tenant_id = $1", tx.tenant_id)
    rows = made.select("employee_id_key", "email_key").iter_rows()
    arrivals = [Arrival(PersonId(new_id()), employee_id, email) for employee_id, email in rows]
    verdicts = resolve_in_order(arrivals, known, frozenset(row["domain"] for row in domains))
    told = made.with_columns(
        pl.Series("resource_id", [str(arrival.own_id) for arrival in arrivals], dtype=pl.String),
        pl.Series("person_id", list(_persons(arrivals, verdicts)), dtype=pl.String),
        pl.Series("action", [_ACTIONS[type(verdict)] for verdict in verdicts], dtype=pl.String),
        pl.Series("reason", [verdict.rule for verdict in verdicts], dtype=pl.String),
    )
    keys = made.get_column("external_id")
    refused = [(key, verdict) for key, verdict in zip(keys, verdicts, strict=True) if isinstance(verdict, Refuse)]
    return Resolved(told.filter(pl.col("action") != "refused"), refused)


def _persons(arrivals: Sequence[Arrival], verdicts: Sequence[Verdict]) -> Iterable[str | None]:
    for arrival, verdict in zip(arrivals, verdicts, strict=True):
        match verdict:
            case LinkTo():
                yield str(verdict.person_id)
            case CreateNew():
                yield str(arrival.own_id)
            case Refuse():
                yield None


_SHARING = """
SELECT p.person_id, p.employee_id_key, p.email_key, EXISTS (SELECT FROM source_record r
  WHERE r.tenant_id = $1 AND r.person_id = p.person_id AND r.source_id = $2 AND r.present) AS linked
FROM person p WHERE p.tenant_id = $1 AND p.merged_into IS NULL"""


async def _sharing(tx: TenantTx, source_id: SourceId, made: pl.DataFrame) -> list[Candidate]:
    """Persons that share an identifier with a new row: by index for few rows, in one pass for many."""
    people = await tx.fetchval(
        "SELECT count(*) FROM (SELECT FROM person WHERE tenant_id = $1 LIMIT $2) AS x", tx.tenant_id, 4 * made.height
    )
    if not people:
        return []
    employee_ids = made.get_column("employee_id_key").drop_nulls().unique().to_list()
    emails = made.get_column("email_key").drop_nulls().unique().to_list()
    if people < 4 * made.height:
        rows = await tx.fetch(_SHARING, tx.tenant_id, source_id)
    else:
        by_key = f"{_SHARING} AND (p.employee_id_key = ANY($3) OR p.email_key = ANY($4))"
        rows = await tx.fetch(by_key, tx.tenant_id, source_id, employee_ids, emails)
    wanted_ids, wanted_emails = frozenset(employee_ids), frozenset(emails)
    return [
        Candidate(row["person_id"], row["employee_id_key"], row["email_key"], row["linked"])
        for row in rows
        if row["employee_id_key"] in wanted_ids or row["email_key"] in wanted_emails
    ]
