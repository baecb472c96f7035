"""What several requests ask at one moment is done together as it is done one by one: the same people with the same
values, the same journal, and as many entries of the log.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.db.transactions import Origin, TenantTx
from stoa.kernel.ids import RunId, new_id
from stoa.people import actions, queries
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.joined_changes import Said, assert_together, lock_together
from stoa.people.joined_newcomers import Newcomer, locking, make_newcomers
from stoa.people.model import Asserted, Record
from stoa.people.recompute import recompute
from stoa.people.thresholds import set_guard

from .conftest import EXAMPLES, World
from .histories import SCIM, Company, asserted_rows, reported_rows

few = settings(
    deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
_LABELS = tuple(f"x{n}" for n in range(4))
_WHO = Origin("scim:test", "scim", "trace")
# Mostly what is done together: nobody's dates, managers and names change.
_PLAIN = {"hire_date": None, "termination_date": None, "manager_ref": None, "user_name": None}
_plain = asserted_rows.map(lambda row: row | _PLAIN)
_said = st.one_of(_plain, _plain, _plain.map(lambda row: row | {"active": False}), asserted_rows)
# What a client says of some of its users at one moment; each is posted if the client has not got them yet.
_moments = st.lists(st.dictionaries(st.sampled_from(_LABELS), _said, min_size=1, max_size=4), min_size=2, max_size=5)
_holds = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(_LABELS), st.sampled_from(["title", "active", "active"]))
)
_guards = st.sampled_from([Guard(absolute=50, percent=100, floor=0), Guard(absolute=1, percent=100, floor=0)])
# By the client's own id: what a row says. manager_ref picks one of the users that are there.
_Rows = Mapping[str, Mapping[str, Any]]


@few
@given(known=reported_rows, moments=_moments, holds=_holds, guard=_guards, ranked=st.permutations([0, 1, 2]))
def test_together_is_one_by_one(
    world: World,
    known: dict[str, Any],
    moments: list[_Rows],
    holds: list[tuple[int, str, str]],
    guard: Guard,
    ranked: Sequence[int],
) -> None:
    async def live() -> None:
        one, other = await Company.found(world), await Company.found(world)
        for company in one, other:
            await company.report(company.sources[0], known)
            async with world.database.tenant(company.tenant_id) as tx:
                await set_guard(tx, GuardKind.DEACTIVATE, None, guard)
            await company._rank({"title": [company.sources[i] for i in ranked]})  # pyright: ignore[reportPrivateUsage] - the histories' own step
        for turn, said in enumerate(moments):
            rows = _with_managers(said, sorted(await _there(one)))
            order = await _together(one, rows)
            for label in order:
                await _alone(other, label, rows[label])
            for company in one, other:
                for _, label, field in (hold for hold in holds if hold[0] == turn):
                    await _hold(company, label, field)
            assert await _told(one) == await _told(other)

    world.run(live())


def _with_managers(rows: _Rows, there: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rows with the label of the one who is picked as manager, of those who are there before."""
    picked = {label: row["manager_ref"] for label, row in rows.items()}
    return {
        label: {**row, "manager_ref": there[int(pick) % len(there)] if (pick := picked[label]) and there else None}
        for label, row in rows.items()
    }


async def _together(company: Company, rows: _Rows) -> list[str]:
    """Does what can be done together, newcomers first; then the rest one by one. Gives the order."""
    there = await _there(company)
    order = await _made(company, {label: row for label, row in rows.items() if label not in there})
    order += await _changed(company, {label: row for label, row in rows.items() if label in there})
    rest = [label for label in rows if label not in order]
    for label in rest:
        await _alone(company, label, rows[label])
    return order + rest


async def _made(company: Company, rows: _Rows) -> list[str]:
    said = [_asserted(label, row, await _there(company)) for label, row in rows.items()]
    async with company.world.database.tenant(
        company.tenant_id, first=locking(company.tenant_id, said), one_plan=True
    ) as tx:
        made = await make_newcomers(tx, company.sources[SCIM], [Newcomer(one, _WHO) for one in said])
    return [label for label, done in zip(rows, made, strict=True) if done is not None]


async def _changed(company: Company, rows: _Rows) -> list[str]:
    source_id, there = company.sources[SCIM], await _there(company)
    async with company.world.database.tenant(company.tenant_id, one_plan=True) as tx:
        standing = await lock_together(tx, source_id, {there[label].resource_id for label in rows})
        said = [
            Said(standing[there[label].resource_id], _asserted(label, row, there), _WHO) for label, row in rows.items()
        ]
        done = await assert_together(tx, source_id, said)
    return [label for label, one in zip(rows, done, strict=True) if one is not None]


async def _alone(company: Company, label: str, row: Mapping[str, Any]) -> None:
    there = await _there(company)
    said = _asserted(label, row, there)
    async with company.world.database.tenant(company.tenant_id, _WHO) as tx:
        if label not in there:
            await actions.provision(tx, company.sources[SCIM], said)
            return
        resource_id = there[label].resource_id
        record = await queries.record_by_resource(tx, company.sources[SCIM], resource_id, lock=True)
        assert record is not None
        await actions.assert_record(tx, record, said)


def _asserted(label: str, row: Mapping[str, Any], there: Mapping[str, Record]) -> Asserted:
    values = {name: value for name, value in row.items() if name != "active"}
    if values["manager_ref"] is not None:
        values["manager_ref"] = there[values["manager_ref"]].external_id
    return Asserted(values, row["active"], label, {"userName": row["user_name"]})


async def _there(company: Company) -> dict[str, Record]:
    """The client's users by its own ids."""
    async with company.world.database.tenant(company.tenant_id) as tx:
        found = await queries.records_after(tx)
    return {one.scim_external_id: one for one in found if one.scim_external_id is not None}


async def _hold(company: Company, label: str, field: str) -> None:
    record = (await _there(company)).get(label)
    if record is None:
        return
    async with company.world.database.tenant(company.tenant_id) as tx:
        await tx.execute(
            """INSERT INTO hold
              (tenant_id, hold_id, resource_id, person_id, source_id, field, held_value, run_id, state, made_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'held', $9) ON CONFLICT DO NOTHING""",
            *(tx.tenant_id, new_id(), record.resource_id, record.person_id, record.source_id, field),
            *("Held" if field == "title" else True, new_id(), tx.now),
        )
        await recompute(tx, [record.person_id], RunId(new_id()))


# ------------------------------------------------------------------ what can be seen of it


async def _told(company: Company) -> Any:
    """Everything that stands in the tables, with labels for ids."""
    async with company.world.database.tenant(company.tenant_id) as tx:
        names = await _names(tx)
        tables = {
            "records": await _rows(tx, "source_record", "tenant_id, last_run", "scim_external_id, external_id"),
            "people": await _rows(tx, "person", "tenant_id, created_run", "1"),
            "changes": await _rows(tx, "change", "tenant_id, run_id, ord", "ord"),
            "effects": await _rows(tx, "effect", "tenant_id, run_id, ord", "ord"),
            "entries": await _rows(tx, "entry", "*", "entry_no", "actor, via, request_id, n"),
            "due": await _rows(tx, "due_change", "tenant_id", "1"),
            "holds": await _rows(tx, "hold", "tenant_id, hold_id, run_id", "1"),
        }
    text = json.dumps(tables, default=str, sort_keys=True)
    for identity, name in names.items():
        text = text.replace(identity, name)
    # People are told apart by their labels, whose order is that of the requests; the rest stands in the order of time.
    found: dict[str, Any] = json.loads(text)
    for name in ("records", "people", "due", "holds"):
        found[name] = sorted(found[name], key=lambda row: json.dumps(row, sort_keys=True))
    return found


async def _names(tx: TenantTx) -> dict[str, str]:
    rows = await tx.fetch(
        "SELECT person_id, resource_id, source_id, coalesce(scim_external_id, external_id) AS label FROM source_record"
    )
    sources = {row["source_id"]: row["name"] for row in await tx.fetch("SELECT source_id, name FROM source")}
    people: dict[str, list[str]] = {}
    for row in rows:
        people.setdefault(str(row["person_id"]), []).append(f"{sources[row['source_id']]} {row['label']}")
    names = {str(row["resource_id"]): f"<record {row['label']}>" for row in rows}
    names |= {str(source_id): f"<source {name}>" for source_id, name in sources.items()}
    return {**{one: f"<person {sorted(labels)}>" for one, labels in people.items()}, **names}


async def _rows(tx: TenantTx, table: str, without: str, order: str, columns: str = "*") -> list[dict[str, Any]]:
    rows = await tx.fetch(f"SELECT {columns} FROM {table} ORDER BY {order}")
    hidden = set(without.split(", "))
    return [{name: value for name, value in row.items() if name not in hidden} for row in rows]
