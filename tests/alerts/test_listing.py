"""The list of alerts: what it admits, its orders and pages, and the indexes that answer it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from stoa.alerts import handling
from stoa.alerts.actions import raise_alert, resolve_alerts
from stoa.alerts.catalogue import BINDING, CATALOGUE
from stoa.alerts.listing import AlertsAsk, AlertSort, Shown, alerts_page, all_alerts, counts
from stoa.alerts.model import Severity
from stoa.db import embedded
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.kernel.cursors import Position
from stoa.kernel.filters import FilterError, Typed, check, parse, require_bound
from stoa.kernel.ids import TenantId, new_id
from stoa.kernel.problems import BadInput
from tests.conftest import MakeTenant

SEVERITIES: list[Severity] = ["info", "critical", "warning"]
MANY = 20_000


def typed(text: str) -> Typed:
    return check(parse(text), CATALOGUE)


async def titles(database: Database, tenant_id: TenantId, **ask: Any) -> list[str]:
    async with database.tenant(tenant_id, read_only=True) as tx:
        return [alert.title for alert in (await alerts_page(tx, AlertsAsk(**ask))).rows]


@pytest.fixture
async def listed(database: Database, make_tenant: MakeTenant) -> TenantId:
    """Nine alerts, each a day after the one before; the third of each three resolved, the second of each muted."""
    tenant_id = await make_tenant(owner_email="Ada@Example.com", sandbox=True)
    for number in range(9):

        async def offset(_: TenantId, number: int = number) -> timedelta:
            return timedelta(days=number)

        database.use_clock_offset(offset)
        async with database.tenant(tenant_id) as tx:
            alert = await raise_alert(
                tx, f"kind_{number % 2}", str(number), SEVERITIES[number % 3], f"Title {number}",
                f"What ÄRGER {number}", "h", times=number + 1,
            )  # fmt: skip
            if number % 3 == 2:
                await resolve_alerts(tx, f"kind_{number % 2}", str(number))
            elif number % 3 == 1:
                await handling.mute(tx, alert.alert_id, "They know.", tx.now + timedelta(days=50))
    return tenant_id


def test_every_attribute_is_bound() -> None:
    require_bound(CATALOGUE, BINDING)


SHOWN: list[tuple[Shown, str]] = [("open", "630"), ("muted", "741"), ("resolved", "852"), ("all", "876543210")]


@pytest.mark.parametrize(("shown", "expected"), SHOWN)
async def test_what_a_tab_shows_the_latest_first(
    database: Database, listed: TenantId, shown: Shown, expected: str
) -> None:
    assert await titles(database, listed, shown=shown) == [f"Title {number}" for number in expected]


FILTERS = [
    ('state eq "muted"', "741"),
    ('severity ne "critical" and occurrences gt 6', "86"),
    ('kind sw "kind_1"', "7531"),
    ('owner_email eq "ADA@example.COM"', "876543210"),
    ('owner_email co "nobody"', ""),
    ("run_id pr", ""),
    ('last_at lt "1999-01-01T00:00:00Z"', ""),
    ('not (state eq "open" or state eq "muted")', "852"),
]


@pytest.mark.parametrize(("text", "expected"), FILTERS)
async def test_what_a_filter_admits(database: Database, listed: TenantId, text: str, expected: str) -> None:
    found = await titles(database, listed, shown="all", where=typed(text))
    assert found == [f"Title {number}" for number in expected]


@pytest.mark.parametrize("text", ['severity gt "info"', 'stat eq "open"', "occurrences eq true", 'state sw "o"'])
def test_a_filter_that_would_mislead_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        typed(text)


async def test_the_search_looks_at_what_happened_too_in_any_case(database: Database, listed: TenantId) -> None:
    assert await titles(database, listed, shown="all", search="title 4") == ["Title 4"]
    assert await titles(database, listed, shown="all", search="ärger 4") == ["Title 4"]
    assert await titles(database, listed, shown="all", search="%_\0'") == []


ORDERS: list[tuple[AlertSort, bool, str]] = [
    ("last_at", True, "876543210"),
    ("last_at", False, "012345678"),
    ("first_at", False, "012345678"),
    ("severity", True, "741852630"),
    ("severity", False, "036258147"),
]


@pytest.mark.parametrize(("sort", "descending", "expected"), ORDERS)
async def test_pages_follow_each_other_in_every_order(
    database: Database, listed: TenantId, sort: AlertSort, descending: bool, expected: str
) -> None:
    seen: list[str] = []
    after: Position | None = None
    async with database.tenant(listed, read_only=True) as tx:
        while True:
            page = await alerts_page(tx, AlertsAsk("all", "", None, sort, descending, after, limit=2))
            seen += [alert.title for alert in page.rows]
            if page.next is None:
                break
            # As a cursor carries it.
            after = tuple(json.loads(json.dumps(page.next)))
        exported = [one.title async for one in all_alerts(tx, AlertsAsk("all", "", None, sort, descending))]
    assert seen == exported == [f"Title {number}" for number in expected]


BAD = [(), (1,), (1, 2), ("x", str(new_id())), (-1, str(new_id())), (2**60, str(new_id())), (1, "x"), (True, None)]


@pytest.mark.parametrize("after", BAD)
async def test_what_is_no_position_is_refused(database: Database, tenant_id: TenantId, after: Position) -> None:
    async with database.tenant(tenant_id, read_only=True) as tx:
        with pytest.raises(BadInput):
            await alerts_page(tx, AlertsAsk(after=after))
        with pytest.raises(BadInput):
            await alerts_page(tx, AlertsAsk(sort="severity", after=(9, *after)))


async def test_another_tenant_sees_none(database: Database, listed: TenantId, make_tenant: MakeTenant) -> None:
    other = await make_tenant()
    assert await titles(database, other, shown="all") == []
    async with database.tenant(other, read_only=True) as tx:
        assert await counts(tx) == {"open": 0, "muted": 0}
    async with database.tenant(listed, read_only=True) as tx:
        assert await counts(tx) == {"open": 3, "muted": 3}


# The index that answers each order among many resolved alerts.
PLANS: list[tuple[Shown, AlertSort, str]] = [
    ("all", "last_at", "alert_by_last"),
    ("resolved", "last_at", "alert_by_last"),
    ("all", "first_at", "alert_by_first"),
    ("all", "severity", "alert_by_urgency"),
    ("open", "last_at", "alert_current"),
]


async def test_each_order_has_an_index_among_many(
    database: Database, make_tenant: MakeTenant, server: embedded.Server, database_url: str
) -> None:
    tenant_id = await make_tenant()
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            """INSERT INTO alert
                 (tenant_id, alert_id, kind, key, severity, title, detail, hint, state, first_at, last_at)
               SELECT $1, gen_random_uuid(), 'k', n::text, (array['info', 'warning', 'critical'])[1 + n % 3], 't', 'd',
                 'h', CASE WHEN n % 50 = 0 THEN 'open' ELSE 'resolved' END, $2::timestamptz + n * interval '1 second',
                 $2::timestamptz + n * interval '2 second' FROM generate_series(1, $3::int) AS n""",
            *(tenant_id, datetime(2026, 1, 1, tzinfo=UTC), MANY),
        )
    name = database_url.split("?")[0].rsplit("/", 1)[-1]
    admin = await asyncpg.connect(server.admin_dsn.replace("/postgres?", f"/{name}?"))
    await admin.execute("ANALYZE alert")
    await admin.close()
    for shown, sort, index in PLANS:
        for after in (None, (*({"severity": (2,)}.get(sort, ())), 1_770_000_000_000_000, str(new_id()))):
            async with database.tenant(tenant_id, read_only=True) as tx:
                plan = await explained(tx, AlertsAsk(shown, sort=sort, after=after, limit=25))
            assert f"using {index} on alert" in plan, (shown, sort, plan)


async def explained(tx: TenantTx, ask: AlertsAsk) -> str:
    """The plan of the very statement that the list sends."""
    sent: list[tuple[str, tuple[object, ...]]] = []
    with tx.connection.query_logger(lambda record: sent.append((record.query, tuple(record.args)))):
        await alerts_page(tx, ask)
    # The logger is called in the loop's next round, which another statement waits for.
    await tx.fetchval("SELECT 1")
    ((sql, params),) = sent
    return "\n".join(row[0] for row in await tx.fetch(f"EXPLAIN {sql}", *params))
