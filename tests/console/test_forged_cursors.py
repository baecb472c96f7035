"""A cursor that somebody made up is refused by every list, whatever stands in it."""

import random
import sys
from collections.abc import AsyncGenerator, Iterator
from itertools import product
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from stoa.access.permissions import Role
from stoa.analytics.webhooks.actions import create_endpoint
from stoa.analytics.webhooks.model import Settings as WebhookSettings
from stoa.db.embedded import Server
from stoa.kernel.cursors import Mark, Position, encode_cursor
from stoa.tenants.actions import ensure_source
from stoa.tenants.model import TenantListing
from stoa.tenants.queries import list_tenants
from stoa.web.listing import Listing
from stoa.web.visiting import Visit
from tests.console.journey import World, world_of
from tests.people.grouping import make_group
from tests.web.signed_in import browsers

# Right in some place of some list, and wrong in every other one.
MARKS: Final[tuple[Mark, ...]] = (
    *(None, "", "ada", "a\0b", "\N{PILE OF POO}", "2026-11-23T00:00:00Z", "0" * 36),
    *("019a0000-0000-7000-8000-000000000000", -1, 0, 3, 2**31, 2**40, 2**53, 2**56, 2**62, 2**63 - 1, 2**63, -(2**63)),
    *(10**300, -(10**300)),
)


@pytest.fixture
async def world(server: Server, tmp_path: Path) -> AsyncGenerator[World]:
    """The application and a company."""
    async with world_of(server, tmp_path) as opened:
        yield opened


def positions(seed: int, of_a_kind: int) -> Iterator[Position]:
    """Every position of one value or none, and some of more."""
    chance = random.Random(seed)
    yield ()
    yield from product(MARKS)
    for length in (2, 3, 4):
        for _ in range(of_a_kind):
            yield tuple(chance.choices(MARKS, k=length))


def listings() -> dict[str, Listing]:
    """Every list of the application, by name."""
    found: dict[str, Listing] = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("stoa."):
            for value in cast("dict[str, object]", vars(module)).values():
                several = cast("dict[str, object]", value).values() if isinstance(value, dict) else [value]
                found |= {one.name: one for one in several if isinstance(one, Listing)}
    return found


# What is searched for in a list that shows nothing by itself.
SEARCHED = {"merge-with": "a"}


def cursor(listing: Listing, path: str, order: str, tenant: TenantListing | None, position: Position) -> str:
    """The cursor of a position in a list, as if a page of it had led there."""
    request = Request({"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []})
    visit = Visit(request, None, None, tenant)  # pyright: ignore[reportArgumentType] - the scope asks for no shell
    return encode_cursor(listing.scope(visit, SEARCHED.get(listing.name, ""), "", order), position)


@pytest.mark.parametrize("of_a_kind", [6, pytest.param(60, marks=pytest.mark.all)])
async def test_a_forged_cursor_is_refused_by_every_list(world: World, of_a_kind: int) -> None:
    company = await world.company()
    person_id = await company.one("SELECT person_id FROM person WHERE tenant_id = $1 ORDER BY person_id LIMIT 1")
    async with world.parts.database.platform() as tx:
        tenant = next(one for one in await list_tenants(tx) if one.slug == company.slug)
    run = f"{company.base}/runs/{company.held.run_id}"
    async with world.parts.database.tenant(company.tenant_id) as tx:
        hook = WebhookSettings("https://hooks.acme.example/stoa", "Directory", 'type sw "person."')
        endpoint = (await create_endpoint(tx, world.parts.sealer, hook)).endpoint
        okta = await ensure_source(tx, "idp", "Okta")
        group = f"{company.base}/groups/{await make_group(tx, okta.source_id, 'Course authors', [])}"
    pages = {
        "board": "/console",
        "operators": "/console/operators",
        "people": f"{company.base}/people",
        "timeline": f"{company.base}/people/{person_id}/timeline",
        "merge-with": f"{company.base}/people/{person_id}/merge",
        "merges": f"{company.base}/merges",
        "duplicates-open": f"{company.base}/duplicates",
        "duplicates-dismissed": f"{company.base}/duplicates/dismissed",
        "duplicates-merged": f"{company.base}/duplicates/merged",
        "groups": f"{company.base}/groups",
        "group-members": group,
        "group-timeline": f"{group}/timeline",
        "scim-requests": f"{company.base}/connections/scim/{okta.source_id}/requests",
        "decisions-open": f"{company.base}/people/decisions",
        "decisions-decided": f"{company.base}/people/decisions/decided",
        "decisions-ended": f"{company.base}/people/decisions/ended",
        "runs-all": f"{company.base}/runs",
        "runs-waiting": f"{company.base}/runs/waiting",
        "runs-failed": f"{company.base}/runs/failed",
        "changes": f"{run}/changes",
        "quarantine": f"{run}/quarantine",
        "alerts-open": f"{company.base}/alerts",
        "alerts-muted": f"{company.base}/alerts/muted",
        "alerts-resolved": f"{company.base}/alerts/resolved",
        "alerts-all": f"{company.base}/alerts/all",
        "events": f"{company.base}/events",
        "api-clients": f"{company.base}/api-clients",
        "webhook-deliveries": f"{company.base}/webhooks/{endpoint.endpoint_id}",
        "audit": f"{company.base}/audit",
        "platform-audit": "/console/audit",
    }
    assert set(pages) == set(listings()), "every list of the application is asked here"
    async with browsers(world.app, world.parts.database) as people:
        admin = await people.of(Role.PLATFORM_ADMIN)
        for seed, (name, path) in enumerate(pages.items()):
            listing = listings()[name]
            refused = 0
            for number, position in enumerate(positions(seed, of_a_kind)):
                sort = list(listing.sorts)[number % len(listing.sorts)]
                order = sort if number % 3 else f"-{sort}"
                of = tenant if path.startswith(company.base) else None
                forged = cursor(listing, path, order, of, position)
                asked = {"q": SEARCHED.get(name, ""), "sort": order, "cursor": forged}
                answer = await admin.get(f"{path}?{urlencode(asked)}")
                assert answer.status_code in {200, 400}, (name, order, position, answer.status_code)
                assert (answer.status_code == 200) or "Begin" in answer.text, (name, position)
                refused += answer.status_code == 400
            assert refused > of_a_kind * 2, name
