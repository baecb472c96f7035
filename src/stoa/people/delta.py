"""What a full report changes, found in the client: one cheap question to the database when nothing did, keys and hashes when something did."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import polars as pl

from stoa.changes.model import Run
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId, SourceId, new_id
from stoa.people.rules import Candidate, CreateNew, LinkTo, Refuse, resolve

_KNOWN = {"external_id": pl.String, "row_hash": pl.Int64, "present": pl.String}


@dataclass(frozen=True, slots=True)
class Delta:
    """Rows to be made, rows whose values differ, keys that left, and how many stayed as they were.

    made and changed have the columns of the report's frame. population counts the source's present records before the run.
    """

    made: pl.DataFrame
    changed: pl.DataFrame
    gone: Sequence[str]
    unchanged: int
    population: int


async def compare(tx: TenantTx, source_id: SourceId, frame: pl.DataFrame, kept_ids: frozenset[str]) -> Delta:
    """The difference between a report (with `row_hash`) and the records of its source. Keys in kept_ids have not left, whatever the frame says."""
    row = await tx.fetchrow(
        """SELECT count(*) AS n, coalesce(bit_xor(row_hash), 0) AS hash FROM source_record
        WHERE tenant_id = $1 AND source_id = $2 AND present""",
        tx.tenant_id, source_id,
    )  # fmt: skip
    assert row is not None
    none = frame.clear()
    if row["n"] == frame.height and row["hash"] == _xor(frame):
        return Delta(none, none, (), frame.height, row["n"])
    known = pl.read_csv(
        BytesIO(
            await tx.copy_out(
                "SELECT external_id, row_hash, present FROM source_record WHERE tenant_id = $1 AND source_id = $2",
                tx.tenant_id,
                source_id,
            )
        ),
        schema=_KNOWN,
    ).with_columns(pl.col("present") == "t")
    joined = frame.join(known, on="external_id", how="left", suffix="_known", maintain_order="left")
    is_new = pl.col("row_hash_known").is_null()
    same = (pl.col("row_hash_known") == pl.col("row_hash")) & pl.col("present")
    gone = (
        known.filter("present")
        .join(frame.select("external_id"), on="external_id", how="anti")
        .get_column("external_id")
    )
    return Delta(
        made=joined.filter(is_new).select(frame.columns),
        changed=joined.filter(~is_new & ~same).select(frame.columns),
        gone=[key for key in gone.sort() if key not in kept_ids],
        unchanged=joined.filter(~is_new & same).height,
        population=row["n"],
    )


def _xor(frame: pl.DataFrame) -> int:
    return frame.get_column("row_hash").bitwise_xor() or 0 if frame.height else 0


# ------------------------------------------------------------------ who the new rows are about


@dataclass(frozen=True, slots=True)
class Resolved:
    """The new rows with the resolver's word on each: links and creations, and what was refused (external_id to refusal)."""

    accepted: pl.DataFrame
    refused: Sequence[tuple[str, Refuse]]


async def resolve_new(tx: TenantTx, run: Run, made: pl.DataFrame) -> Resolved:
    """Asks the one resolver about each new row, in the order of their keys, as if they came one after the other.

    Adds person_id, resource_id, action and reason. Rows that share no identifier with anybody are made without asking.
    """
    made = made.sort("external_id")
    known = await _sharing(tx, run.source_id, made)
    employee_ids, emails = _by_key(known, "employee_id_key"), _by_key(known, "email_key")
    proven = {row["domain"] for row in await tx.fetch("SELECT domain FROM domain WHERE tenant_id = $1", tx.tenant_id)}
    seen: dict[str, PersonId] = {}
    linked: set[PersonId] = set()
    person_ids: list[str | None] = []
    actions: list[str] = []
    reasons: list[str] = []
    refused: list[tuple[str, Refuse]] = []
    fresh = [new_id() for _ in range(made.height)]
    rows = made.select("external_id", "employee_id_key", "email_key").iter_rows()
    for own_id, (external_id, employee_id, email) in zip(fresh, rows, strict=True):
        if employee_id is not None and employee_id in seen:
            verdict = Refuse(
                "employee_id_taken", "Another record of this source has the same employee id.", (seen[employee_id],)
            )
        elif employee_id not in employee_ids and email not in emails:
            verdict = CreateNew()
        else:
            found = {c.person_id: c for c in (*employee_ids.get(employee_id, ()), *emails.get(email, ()))}
            standing = [_with_link(c, c.linked_here or c.person_id in linked) for _, c in sorted(found.items())]
            is_proven = email is not None and email.rsplit("@", 1)[-1] in proven
            verdict = resolve(employee_id, email, is_proven, standing)
        if isinstance(verdict, Refuse):
            refused.append((external_id, verdict))
            person_ids.append(None)
            actions.append("refused")
            reasons.append(verdict.rule)
            continue
        person_id = verdict.person_id if isinstance(verdict, LinkTo) else PersonId(own_id)
        linked.add(person_id)
        if employee_id is not None:
            seen[employee_id] = person_id
        person_ids.append(str(person_id))
        actions.append("link" if isinstance(verdict, LinkTo) else "create")
        reasons.append(verdict.rule)
    told = made.with_columns(
        pl.Series("resource_id", [str(i) for i in fresh], dtype=pl.String),
        pl.Series("person_id", person_ids, dtype=pl.String),
        pl.Series("action", actions, dtype=pl.String),
        pl.Series("reason", reasons, dtype=pl.String),
    )
    return Resolved(told.filter(pl.col("action") != "refused"), refused)


def _with_link(candidate: Candidate, linked_here: bool) -> Candidate:
    return Candidate(candidate.person_id, candidate.employee_id_key, candidate.email_key, linked_here)


def _by_key(known: Sequence[Candidate], name: str) -> dict[str | None, list[Candidate]]:
    found: dict[str | None, list[Candidate]] = {}
    for candidate in known:
        key = candidate.employee_id_key if name == "employee_id_key" else candidate.email_key
        if key is not None:
            found.setdefault(key, []).append(candidate)
    return found


async def _sharing(tx: TenantTx, source_id: SourceId, made: pl.DataFrame) -> list[Candidate]:
    """Persons that share an employee id or an address with a new row: by index for few rows, in one pass for many."""
    people = await tx.fetchval(
        "SELECT count(*) FROM (SELECT FROM person WHERE tenant_id = $1 LIMIT $2) AS x",
        tx.tenant_id,
        4 * made.height + 1,
    )
    if not people or made.is_empty():
        return []
    sql = """SELECT p.person_id, p.employee_id_key, p.email_key, EXISTS (
        SELECT FROM source_record r WHERE r.tenant_id = $1 AND r.person_id = p.person_id AND r.source_id = $2 AND r.present) AS linked
      FROM person p WHERE p.tenant_id = $1 AND p.merged_into IS NULL"""
    if people <= 4 * made.height:
        rows = await tx.fetch(sql, tx.tenant_id, source_id)
    else:
        keys = [made.get_column(name).drop_nulls().unique().to_list() for name in ("employee_id_key", "email_key")]
        rows = await tx.fetch(
            f"{sql} AND (p.employee_id_key = ANY($3) OR p.email_key = ANY($4))", tx.tenant_id, source_id, *keys
        )
    wanted_ids, wanted_emails = set(made.get_column("employee_id_key")), set(made.get_column("email_key"))
    return [
        Candidate(row["person_id"], row["employee_id_key"], row["email_key"], row["linked"])
        for row in rows
        if row["employee_id_key"] in wanted_ids or row["email_key"] in wanted_emails
    ]


def with_depth(made: pl.DataFrame) -> pl.DataFrame:
    """Adds `depth`: how many managers stand above a row within the frame. A cycle, which the contract refuses, would end at the deepest level."""
    levels = made.select("external_id", "manager_ref").with_columns(pl.lit(0, dtype=pl.Int32).alias("depth"))
    frontier = levels.join(
        levels.select(pl.col("external_id").alias("manager_ref")), on="manager_ref", how="semi"
    ).select("external_id")
    depth, found = 0, []
    while frontier.height and depth < made.height:
        depth += 1
        found.append(frontier.with_columns(pl.lit(depth, dtype=pl.Int32).alias("deep")))
        below = levels.join(frontier.select(pl.col("external_id").alias("manager_ref")), on="manager_ref", how="semi")
        if below.height == frontier.height and depth > 1000:
            break
        frontier = below.select("external_id")
    if not found:
        return made.with_columns(pl.lit(0, dtype=pl.Int32).alias("depth"))
    deepest = pl.concat(found).group_by("external_id").agg(pl.col("deep").max())
    return (
        made.join(deepest, on="external_id", how="left")
        .with_columns(pl.col("deep").fill_null(0).alias("depth"))
        .drop("deep")
    )
