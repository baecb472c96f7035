"""People found, filtered and paged."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from stoa.db.database import Database
from stoa.kernel.filters import Typed, check, parse, require_bound
from stoa.kernel.ids import SourceId, TenantId
from stoa.kernel.problems import BadInput
from stoa.people import listing, queries
from stoa.people.catalogue import BINDING, CATALOGUE
from stoa.people.listing import PeopleAsk, PeoplePage, PeopleSort, ReadsTooMuch, people_page
from stoa.people.searching import found_by

from .making import report, source, sync

ALL = PeopleAsk(limit=100)


def row(number: int, **values: Any) -> dict[str, Any]:
    return {"external_id": f"E{number}", "employee_id": f"E{number}", **values}


STAFF = [
    row(1, display_name="Ann Smith", given_name="Ann", family_name="Smith", email="ann@acme.example", title="Boss"),
    row(2, display_name="Smith, Anna", given_name="Anna", family_name="Smith", user_name="asmith2"),
    row(3, display_name="Bob Ó Súilleabháin", given_name="Bob", family_name="Ó Súilleabháin", department="Sales"),
    row(4, display_name="ann van der Berg", given_name="Ann", family_name="van der Berg", active=False),
    row(5, given_name="No", family_name="Display", email="ANNEX@acme.example"),
    row(6, user_name="zoe", department="sales"),
    row(7, display_name="100%_\\", department="Sales", manager_ref="E1"),
]


class Company:
    def __init__(self, database: Database, tenant_id: TenantId) -> None:
        self.database, self.tenant_id = database, tenant_id

    async def page(self, ask: PeopleAsk) -> PeoplePage:
        async with self.database.tenant(self.tenant_id, read_only=True) as tx:
            return await people_page(tx, ask)

    async def found(self, search: str = "", where: str = "", **more: Any) -> list[str]:
        typed = check(parse(where), CATALOGUE) if where else None
        return ids((await self.page(replace(ALL, search=search, where=typed, **more))).rows)


def ids(rows: Sequence[listing.ListedPerson]) -> list[str]:
    return [str(one.texts["employee_id"]) for one in rows]


@pytest.fixture
async def hr(database: Database, tenant_id: TenantId) -> SourceId:
    return await source(database, tenant_id)


@pytest.fixture
async def company(database: Database, tenant_id: TenantId, hr: SourceId) -> Company:
    await sync(database, tenant_id, hr, report(STAFF))
    return Company(database, tenant_id)


def test_every_attribute_has_its_place() -> None:
    require_bound(CATALOGUE, BINDING)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ann", {"E1", "E4", "E5"}),
        ("ANN@ACME", {"E1"}),
        ("smi", {"E1", "E2"}),
        ("ann smi", {"E1", "E2"}),
        ("  smith   ann ", {"E1", "E2"}),
        ("ó súil", {"E3"}),
        ("bob o", set()),
        ("van der", {"E4"}),
        ("ann van der b", {"E4"}),
        ("asmith", {"E2"}),
        ("e7", {"E7"}),
        ("100%", {"E7"}),
        ("%", set()),
        ("_", set()),
        ("disp", {"E5"}),
        ("nobody", set()),
        ("\0", set()),
        ("\U0010ffff", set()),
        ("x" * 10_000, set()),
    ],
)
async def test_a_search_finds_beginnings(company: Company, search: str, found: set[str]) -> None:
    assert set(await company.found(search)) == found


async def test_a_search_finds_ids(company: Company, hr: SourceId) -> None:
    async with company.database.tenant(company.tenant_id) as tx:
        record = await queries.record_by_key(tx, hr, "E3")
    assert record is not None
    assert await company.found(str(record.person_id)) == await company.found(str(record.resource_id)) == ["E3"]


def test_nothing_looks_for_nothing() -> None:
    assert found_by("") is found_by(" \t ") is None


async def test_everybody_is_listed_and_those_without_a_name_last(company: Company) -> None:
    assert await company.found() == ["E7", "E1", "E4", "E3", "E2", "E5", "E6"]
    assert await company.found(descending=True) == ["E6", "E5", "E2", "E3", "E4", "E1", "E7"]


@pytest.mark.parametrize("sort", ["display_name", "updated_at"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("search", ["", "e"])
async def test_pages_follow_each_other(company: Company, sort: PeopleSort, descending: bool, search: str) -> None:
    whole = await company.found(search, sort=sort, descending=descending)
    assert len(whole) == 7
    for limit in (1, 2, 3):
        ask = PeopleAsk(search=search, sort=sort, descending=descending, limit=limit)
        seen: list[str] = []
        while True:
            page = await company.page(ask)
            seen += ids(page.rows)
            if page.next is None:
                break
            ask = replace(ask, after=page.next)
        assert seen == whole


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ('department eq "Sales"', {"E3", "E7"}),
        ("not (active eq true)", {"E4"}),
        ('display_name sw "ANN"', {"E1", "E4"}),
        ('family_name eq "smith"', {"E1", "E2"}),
        ('email eq "annex@ACME.example"', {"E5"}),
        ("title pr", {"E1"}),
        ("manager_id pr", {"E7"}),
        ('source eq "workday"', {f"E{n}" for n in range(1, 8)}),
        ('not (source eq "Workday")', set()),
        ('updated_at gt "2020-01-01T00:00:00Z" and department co "ale"', {"E3", "E6", "E7"}),
        ('hire_date lt "2020-01-01"', set()),
    ],
)
async def test_a_filter_narrows_the_list_and_a_search(company: Company, where: str, found: set[str]) -> None:
    assert set(await company.found(where=where)) == found
    assert set(await company.found("e", where)) == found


async def test_a_line_tells_what_to_call_whom_and_who_knows_them(company: Company) -> None:
    page = await company.page(ALL)
    by_id = dict(zip(ids(page.rows), page.rows, strict=True))
    names = {"E1": "Ann Smith", "E5": "No Display", "E6": "zoe"}
    assert {key: by_id[key].name for key in names} == names
    assert {tuple(one.sources) for one in page.rows} == {("Workday",)}
    assert [key for key, one in by_id.items() if not one.active] == ["E4"]


async def test_a_source_that_has_them_no_more_is_not_named(company: Company, hr: SourceId) -> None:
    await sync(company.database, company.tenant_id, hr, report(STAFF[:-1]))
    page = await company.page(replace(ALL, search="E7"))
    assert [(one.active, tuple(one.sources)) for one in page.rows] == [(False, ())]


async def test_a_search_that_finds_too_many_says_so(company: Company) -> None:
    page = await company.page(replace(ALL, search="e", most=3))
    assert page.too_many
    assert len(page.rows) == 4
    assert not (await company.page(replace(ALL, search="e", most=7))).too_many


@pytest.mark.parametrize(
    "after",
    [
        (),
        ("a",),
        (None,),
        (1, 2),
        ("a", "b"),
        ("\0", "019ff5e3-0000-7000-8000-000000000000"),
        (None, None),
        (2**60, "x"),
    ],
)
async def test_a_place_that_is_none_is_refused(company: Company, after: tuple[Any, ...]) -> None:
    for sort in ("display_name", "updated_at"):
        with pytest.raises(BadInput):
            await company.page(PeopleAsk(sort=sort, after=after))


async def test_a_filter_that_takes_too_long_is_stopped(company: Company) -> None:
    slow: Typed = check(parse(" or ".join(f'title co "{n}"' for n in range(200))), CATALOGUE)
    async with company.database.tenant(company.tenant_id) as tx:
        await tx.execute(
            """INSERT INTO person (tenant_id, person_id, active, title, created_run, created_at, updated_at)
            SELECT $1, gen_random_uuid(), true, 'Nobody', gen_random_uuid(), $2, $2 FROM generate_series(1, 5000)""",
            *(tx.tenant_id, tx.now),
        )
    with pytest.raises(ReadsTooMuch, match="too many people"):
        async with company.database.tenant(company.tenant_id) as tx:
            await people_page(tx, replace(ALL, where=slow), milliseconds=1)
