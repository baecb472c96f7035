"""Which source wins which field: what a change would do, and that it does that."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.kernel.ids import PersonId, RunId, new_id
from stoa.people.authority import set_authority
from stoa.people.columns import PERSON_VALUES
from stoa.people.ranking_preview import preview_ranking
from stoa.people.recompute import recompute_everybody

from .conftest import EXAMPLES, World
from .histories import Company, changes, steps

few = settings(
    deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
_orders = st.permutations([0, 1, 2]).flatmap(lambda order: st.sampled_from([tuple(order), tuple(order[:1]), ()]))
_rankings = st.dictionaries(
    st.sampled_from(["department", "email", "active", "manager_ref", "hire_date", "display_name"]),
    _orders,
    min_size=1,
    max_size=4,
)


@few
@given(history=st.lists(st.one_of(changes, changes, steps), min_size=2, max_size=7), ranking=_rankings)
def test_a_preview_says_what_the_change_does(
    world: World, history: list[object], ranking: dict[str, tuple[int, ...]]
) -> None:
    async def live() -> None:
        company = await Company.found(world)
        for step in history:
            await company.happen(step)
        wanted = {name: [company.sources[place] for place in order] for name, order in ranking.items()}
        async with world.database.tenant(company.tenant_id, read_only=True) as tx:
            told = await preview_ranking(tx, wanted)
            before = await _people(tx)
        async with world.database.tenant(company.tenant_id, role="sync") as tx:
            await set_authority(tx, wanted)
            run_id = RunId(new_id())
            assert await recompute_everybody(tx, run_id) is None
            after = await _people(tx)
        changed = {
            one: {name for name in PERSON_VALUES if values[name] != after[one][name]} for one, values in before.items()
        }
        changed = {one: names for one, names in changed.items() if names}
        assert told.people == len(changed)
        assert {name: n for name, n in told.by_field.items() if n} == _counts(changed)
        assert {one.person_id: set(one.after) for one in told.sample} == changed
        lost = {one for one, values in before.items() if values["active"] and not after[one]["active"]}
        gained = {one for one, values in before.items() if after[one]["active"] and not values["active"]}
        assert (told.loses, told.gains) == (len(lost), len(gained))
        assert {one.person_id for one in told.sample[: len(lost)]} == lost

    world.run(live())


async def _people(tx: Any) -> dict[PersonId, dict[str, Any]]:
    rows = await tx.fetch(f"SELECT person_id, {', '.join(PERSON_VALUES)} FROM person WHERE merged_into IS NULL")
    return {row["person_id"]: dict(row) for row in rows}


def _counts(changed: dict[PersonId, set[str]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for names in changed.values():
        for name in names:
            field = "manager_ref" if name == "manager_id" else name
            counts[field] = counts.get(field, 0) + 1
    return counts
