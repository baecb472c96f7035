"""What a report does set by set, requests do one by one: the same people with the same values."""

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.kernel.ids import ResourceId
from stoa.people import actions, deciding, queries
from stoa.people.claims import set_claims
from stoa.people.decisions import note_refusal
from stoa.people.matching import ClaimBy, Refuse, Word
from stoa.people.model import Asserted, Provisioned

from .conftest import EXAMPLES, World
from .histories import KEYS, SCIM, Company, asserted_rows, reported_rows
from .making import state

few = settings(
    deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
# A manager is named by a key that requests do not have; a name tells who comes back.
_rows = st.dictionaries(st.sampled_from(KEYS), asserted_rows.map(lambda row: row | {"manager_ref": None}), max_size=5)


# As names that the requests' keys are: so that rules may find somebody by them.
_KNOWN_NAMES = {None: None, "ann": "w1", "ANN": "W1", "bob": "w2", "cleo": "w3"}
_claims = st.one_of(st.none(), st.sampled_from(ClaimBy))
_decisions = st.dictionaries(st.sampled_from(KEYS), st.tuples(st.sampled_from(Word), st.sampled_from(KEYS)), max_size=2)


@few
@given(
    known=reported_rows,
    reports=st.lists(st.tuples(_decisions, _rows), min_size=1, max_size=4),
    claimed_by=_claims,
)
def test_one_by_one_is_set_by_set(
    world: World,
    known: dict[str, Any],
    reports: list[tuple[dict[str, tuple[Word, str]], dict[str, Any]]],
    claimed_by: ClaimBy | None,
) -> None:
    async def live() -> None:
        one, other = await Company.found(world), await Company.found(world)
        named = {key: row | {"user_name": _KNOWN_NAMES[row["user_name"]]} for key, row in known.items()}
        for company in one, other:
            await company.report(company.sources[0], named)
            async with world.database.tenant(company.tenant_id) as tx:
                await set_claims(tx, company.sources[SCIM], {company.sources[0]: claimed_by})
        standing: dict[str, ResourceId] = {}
        for decisions, rows in reports:
            for company in one, other:
                await decide_all(company, decisions)
            named = {key: row | {"user_name": key} for key, row in rows.items()}
            await one.report(one.sources[SCIM], named)
            await request_all(other, standing, named)
            assert await people(one) == await people(other)
            assert await verdicts(one) == await verdicts(other)

    world.run(live())


async def decide_all(company: Company, decisions: Mapping[str, tuple[Word, str]]) -> None:
    """Notes that the source could not tell its keys, and decides of them as an admin does."""
    source_id = company.sources[SCIM]
    async with company.world.database.tenant(company.tenant_id) as tx:
        for key, (word, whose) in sorted(decisions.items()):
            if await tx.fetchval(
                "SELECT count(*) FROM source_record WHERE source_id = $1 AND user_name = $2", source_id, key
            ):
                continue
            known = await queries.record_by_key(tx, company.sources[0], whose)
            if word is Word.PERSON and known is None:
                continue
            await note_refusal(tx, source_id, Asserted({}, True, key), Refuse("ambiguous_email", ""))
            decision_id = await tx.fetchval(
                "SELECT decision_id FROM decision WHERE source_id = $1 AND subject = $2 AND resolved_at IS NULL",
                *(source_id, key),
            )
            chosen = known.person_id if word is Word.PERSON and known is not None else None
            await deciding.decide(tx, decision_id, word, chosen)


async def verdicts(company: Company) -> list[tuple[str, str | None, str | None]]:
    """What became of every decision: who tries one by one is refused in between, which is no difference."""
    async with company.world.database.tenant(company.tenant_id) as tx:
        rows = await tx.fetch(
            "SELECT subject, verdict, ended FROM decision WHERE source_id = $1 AND verdict IS NOT NULL",
            company.sources[SCIM],
        )
    return sorted((row["subject"], row["verdict"] or "", row["ended"] or "") for row in rows)


async def request_all(company: Company, standing: dict[str, ResourceId], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Deletes whoever left, replaces whoever is there, then posts whoever is new; each in a transaction of its own."""
    source_id = company.sources[SCIM]
    for key in sorted(standing.keys() - rows.keys()):
        async with company.world.database.tenant(company.tenant_id) as tx:
            record = await queries.record_by_resource(tx, source_id, standing.pop(key), lock=True)
            assert record is not None
            await actions.remove_record(tx, record)
    # Who comes back is no news: a report finds them by their key.
    async with company.world.database.tenant(company.tenant_id) as tx:
        gone = {r["user_name"] for r in await tx.fetch("SELECT user_name FROM source_record WHERE NOT present")}
    refused: list[str] = []
    for key in sorted(rows, key=lambda key: (key not in standing and key not in gone, key)):
        if key in standing:
            await _put(company, standing[key], rows[key])
            continue
        refused.append(key)
        # As a client does, whoever was refused is tried again, from the first, after each success.
        while (made := await _post_first(company, sorted(refused), rows)) is not None:
            standing[made[0]] = made[1]
            refused.remove(made[0])


def _said(row: Mapping[str, Any]) -> Asserted:
    values = {name: value for name, value in row.items() if name != "active"}
    return Asserted(values, row["active"], row["user_name"])


async def _put(company: Company, resource_id: ResourceId, row: Mapping[str, Any]) -> None:
    async with company.world.database.tenant(company.tenant_id) as tx:
        record = await queries.record_by_resource(tx, company.sources[SCIM], resource_id, lock=True)
        assert record is not None
        await actions.assert_record(tx, record, _said(row))


async def _post_first(
    company: Company, keys: list[str], rows: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ResourceId] | None:
    """Posts until one is made, and gives that."""
    for key in keys:
        async with company.world.database.tenant(company.tenant_id) as tx:
            made = await actions.provision(tx, company.sources[SCIM], _said(rows[key]))
            if isinstance(made, Provisioned):
                return key, made.record.resource_id
    return None


async def people(company: Company) -> list[Any]:
    """Everybody by the keys of their records, with their values and dates."""
    found = await state(company.world.database, company.tenant_id)
    scim = company.sources[SCIM]
    names: dict[Any, list[Any]] = {}
    keys: dict[Any, str] = {}
    for record in found["records"]:
        is_scim = record["source_id"] == scim
        key = record["user_name"] if is_scim else record["external_id"]
        keys[record["source_id"], record["external_id"]] = key
        names.setdefault(record["person_id"], []).append((is_scim, key, record["present"], record["active"]))
    due = [
        (d["source_id"] == scim, keys[d["source_id"], d["external_id"]], d["due_on"], d["active"]) for d in found["due"]
    ]
    persons = [
        p | {"person_id": sorted(names[p["person_id"]]), "manager_id": sorted(names.get(p["manager_id"], ()))}
        for p in found["persons"]
    ]
    return [sorted(persons, key=lambda p: p["person_id"]), sorted(due)]
