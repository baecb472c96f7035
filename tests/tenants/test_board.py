"""The board: found, filtered, sorted and paged over many tenants."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from stoa.db.database import Database
from stoa.kernel.filters import Typed, check, parse, require_bound
from stoa.kernel.ids import TenantId
from stoa.kernel.problems import BadInput
from stoa.tenants import actions, status
from stoa.tenants.board import BINDING, CATALOGUE, STATES, BoardAsk, BoardSort, board, board_query, board_summary
from stoa.tenants.model import Phase
from stoa.tenants.phases import PhaseState
from tests.conftest import MakeTenant

HOUR = timedelta(hours=1)
NAMES = ("Zeta", "alpha", "Ärzte", "beta 100%", "Straße", "gamma_x", "delta", "Epsilon")


@pytest.fixture
async def tenants(database: Database, make_tenant: MakeTenant) -> dict[str, TenantId]:
    """One tenant in each state, and some more."""
    made = {name: await make_tenant(name=name) for name in NAMES}
    wanted: dict[str, dict[str, object]] = {
        "Zeta": {"failing": "remote_down"},
        "alpha": {"held": 1},
        "Ärzte": {"expected_by": -HOUR},
        "beta 100%": {"paused": True},
        "Straße": {"success_at": None},
        "gamma_x": {},
        "delta": {"success_at": -50 * HOUR, "expected_by": HOUR},
    }
    for name, values in wanted.items():
        async with database.tenant(made[name]) as tx:
            moments = {key: tx.now + value for key, value in values.items() if isinstance(value, timedelta)}
            given = {"connected": True, "success_at": tx.now - HOUR, **values, **moments}
            await status.note_phase(tx, Phase.HRIS, **given)  # pyright: ignore[reportArgumentType] - a table of cases
    return made


def typed(text: str) -> Typed:
    return check(parse(text), CATALOGUE, relative_dates=True)


async def names(database: Database, tenants: dict[str, TenantId], **asked: object) -> list[str]:
    async with database.platform() as tx:
        only = list(tenants.values())
        return [row.name for row in (await board(tx, replace(BoardAsk(only=only), **asked))).rows]  # pyright: ignore[reportArgumentType] - a table of cases


async def test_the_worst_come_first(database: Database, tenants: dict[str, TenantId]) -> None:
    found = await names(database, tenants)
    assert found[:4] == ["Zeta", "alpha", "Ärzte", "beta 100%"]
    assert found[4:] == ["Straße", "delta", "gamma_x", "Epsilon"]
    assert await names(database, tenants, descending=True) == found[::-1]


async def test_a_critical_alert_counts_for_as_much_as_a_missed_success(
    database: Database, tenants: dict[str, TenantId]
) -> None:
    async with database.tenant(tenants["Epsilon"]) as tx:
        await status.note_alerts(tx, 2, 1)
    assert (await names(database, tenants))[:4] == ["Zeta", "alpha", "Epsilon", "Ärzte"]


async def test_names_are_sorted_without_regard_to_case(database: Database, tenants: dict[str, TenantId]) -> None:
    found = await names(database, tenants, sort="name")
    assert found == ["alpha", "beta 100%", "delta", "Epsilon", "gamma_x", "Straße", "Zeta", "Ärzte"]


async def test_the_longest_without_success_come_first(database: Database, tenants: dict[str, TenantId]) -> None:
    found = await names(database, tenants, sort="success")
    assert set(found[:2]) == {"Epsilon", "Straße"}
    assert found[2] == "delta"


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("STRASSE", ["Straße"]),
        ("straße", ["Straße"]),
        ("ärz", ["Ärzte"]),
        ("100%", ["beta 100%"]),
        ("%", ["beta 100%"]),
        ("_", ["gamma_x"]),
        ("\\", []),
        ("'; DROP TABLE tenant; --", []),
        ("nobody", []),
    ],
)
async def test_names_are_searched_as_text(
    database: Database, tenants: dict[str, TenantId], search: str, found: list[str]
) -> None:
    assert await names(database, tenants, search=search) == found


async def test_slugs_are_searched_too(database: Database, make_tenant: MakeTenant) -> None:
    made = {"X": await make_tenant(name="X", slug="quite-another-slug")}
    assert await names(database, made, search="another-SLUG") == ["X"]


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("failing", ["Zeta"]),
        ("held", ["alpha"]),
        ("stale", ["Ärzte"]),
        ("paused", ["beta 100%"]),
        ("waiting", ["Straße"]),
        ("ok", ["delta", "gamma_x"]),
        ("off", ["Epsilon"]),
    ],
)
async def test_a_state_admits_its_tenants_and_the_summary_counts_them(
    database: Database, tenants: dict[str, TenantId], state: str, found: list[str]
) -> None:
    assert await names(database, tenants, where=typed(f'state eq "{state}"')) == found
    assert set(await names(database, tenants, where=typed(f'state ne "{state}"'))) == set(NAMES) - set(found)
    async with database.platform() as tx:
        summary = await board_summary(tx, list(tenants.values()))
    assert summary.by_state[PhaseState(state)] == len(found)
    assert summary.tenants == len(NAMES)


async def test_a_tenant_counts_under_each_state_of_its_phases(database: Database, tenants: dict[str, TenantId]) -> None:
    async with database.tenant(tenants["Zeta"]) as tx:
        await status.note_phase(tx, Phase.CRM, connected=True, held=2)
    assert set(await names(database, tenants, where=typed('state eq "held"'))) == {"Zeta", "alpha"}
    assert await names(database, tenants, where=typed('state eq "held" and state eq "failing"')) == ["Zeta"]
    assert set(STATES) == set(PhaseState)


async def test_lateness_follows_the_clock_of_a_sandbox(database: Database, make_tenant: MakeTenant) -> None:
    made = {"S": await make_tenant(name="S", sandbox=True)}
    async with database.tenant(made["S"]) as tx:
        await status.note_phase(tx, Phase.HRIS, connected=True, success_at=tx.now, expected_by=tx.now + HOUR)
    assert await names(database, made, where=typed('state eq "stale"')) == []
    async with database.tenant(made["S"]) as tx:
        await actions.move_clock(tx, 2 * HOUR)
    assert await names(database, made, where=typed('state eq "stale"')) == ["S"]
    async with database.platform() as tx:
        (row,) = (await board(tx, BoardAsk(only=list(made.values())))).rows
    assert (row.worst, row.state(Phase.HRIS)) == ("stale", "stale")


@pytest.mark.parametrize("sort", ["urgency", "name", "success"])
@pytest.mark.parametrize("descending", [False, True])
async def test_pages_hold_every_tenant_once_and_in_order(
    database: Database, tenants: dict[str, TenantId], sort: BoardSort, descending: bool
) -> None:
    whole = await names(database, tenants, sort=sort, descending=descending)
    ask, paged = BoardAsk(only=list(tenants.values()), sort=sort, descending=descending, limit=3), list[str]()
    async with database.platform() as tx:
        for _ in range(3):
            page = await board(tx, ask)
            paged += [row.name for row in page.rows]
            ask = replace(ask, after=page.next)
    assert paged == whole
    assert ask.after is None


@pytest.mark.parametrize(
    "after",
    [
        (),
        ("x",),
        (1,),
        (1, 2, 3, 4),
        (-1, 0, "a", "0190a0b0-0000-7000-8000-000000000000"),
        (2**60, 0, "a", "0190a0b0-0000-7000-8000-000000000000"),
        (1, 2**70, "a", "0190a0b0-0000-7000-8000-000000000000"),
        (1, 0, "a\0", "0190a0b0-0000-7000-8000-000000000000"),
        (1, 0, "a", "no id"),
        (1, "a", "0190a0b0-0000-7000-8000-000000000000"),
    ],
)
async def test_a_forged_place_is_refused(database: Database, after: Sequence[int | str]) -> None:
    async with database.platform() as tx:
        with pytest.raises(BadInput, match="does not belong to this list"):
            await board(tx, BoardAsk(after=tuple(after)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('name sw "STRASS"', ["Straße"]),
        ('slug eq "nobody"', []),
        ("sandbox eq true", []),
        ('oldest_success lt "-1d"', ["delta"]),
        ('not (oldest_success pr) and created_at gt "-1d"', ["Straße", "Epsilon"]),
        ('people gt 5 or alerts ge 1 or name eq "zeta"', ["Zeta"]),
        ('created_at gt "2020-01-01T00:00:00Z" and active_people eq 0 and name co "mma"', ["gamma_x"]),
    ],
)
async def test_everything_that_is_shown_can_be_filtered_by(
    database: Database, tenants: dict[str, TenantId], text: str, found: list[str]
) -> None:
    assert await names(database, tenants, where=typed(text)) == found


async def test_the_order_of_names_is_read_from_an_index(database: Database, tenants: dict[str, TenantId]) -> None:
    async with database.platform() as tx:
        # So that a table of a few rows is read as one of thousands.
        await tx.execute("SET LOCAL enable_seqscan = off")
        whole = replace(BoardAsk(sort="name"), limit=3)
        following = replace(whole, after=(await board(tx, whole)).next)
        for ask in (whole, following, replace(whole, descending=True)):
            text, params = board_query(ask, tx.now)
            plan = "\n".join(row[0] for row in await tx.fetch(f"EXPLAIN {text}", *params))
            assert "using tenant_name" in plan
            assert "using tenant_status_pkey" in plan
            assert "Sort" not in plan


def test_every_attribute_has_its_place() -> None:
    require_bound(CATALOGUE, BINDING)


async def test_a_nul_in_a_search_finds_nothing(database: Database, tenants: dict[str, TenantId]) -> None:
    assert await names(database, tenants, search="a\0b") == []
