"""Groups over the public API: read by filter, page and time; members of a large group by pages."""

from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import GroupId, PersonId, ResourceId, SourceId, TenantId
from stoa.people.groups_actions import remove_group
from stoa.people.groups_queries import group_by_id
from stoa.people.merging import merge
from stoa.people.merging_model import MergeAsk
from stoa.people.refs import REFERENCES
from tests.api.calling import serving, token_of
from tests.conftest import MakeTenant

from .grouping import make_group, make_person, put_in
from .making import source


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    async with serving(server, await token_of(database, tenant_id, ("people:read", "runs:read"))) as serves:
        yield serves


async def listed(client: httpx2.AsyncClient, path: str = "/v1/groups", **query: Any) -> list[dict[str, Any]]:
    """A list over as many pages as it takes."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = await client.get(path, params={**query, **({} if cursor is None else {"cursor": cursor})})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


Made = tuple[SourceId, list[GroupId], list[tuple[ResourceId, PersonId]]]


@pytest.fixture
async def made(database: Database, tenant_id: TenantId) -> Made:
    """Three groups of a source, and five people."""
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        people = [await make_person(tx, okta, f"p{n}") for n in range(5)]
        groups = [
            await make_group(tx, okta, "Wheels", [one for one, _ in people]),
            await make_group(tx, okta, "Engines", [people[0][0]]),
            await make_group(tx, okta, "Motors"),
        ]
        await put_in(tx, groups[0], [people[4][0]], asserted=True, in_force=False)
    return okta, groups, people


async def test_groups_are_listed_filtered_and_read(client: httpx2.AsyncClient, made: Made) -> None:
    okta, groups, people = made
    names = [one["display_name"] for one in await listed(client, limit=1)]
    assert names == ["Engines", "Motors", "Wheels"]
    for text, expected in (
        (f'member eq "{people[0][1]}"', ["Engines", "Wheels"]),
        ('display_name sw "W" or member_count eq 0', ["Motors", "Wheels"]),
        (f'source eq "okta" and source_id eq "{okta}" and display_name eq "motors"', ["Motors"]),
    ):
        assert [one["display_name"] for one in await listed(client, filter=text)] == expected
    answer = await client.get(f"/v1/groups/{groups[1]}")
    assert answer.headers["etag"]
    shown = answer.json()
    assert (shown["display_name"], shown["member_count"]) == ("Engines", 1)
    assert shown["source"] == {"id": str(okta), "name": "Okta"}
    for unknown in (str(uuid4()), "no-id"):
        assert (await client.get(f"/v1/groups/{unknown}")).status_code == 404
        assert (await client.get(f"/v1/groups/{unknown}/members")).status_code == 404


async def test_members_come_by_pages_with_what_counts(client: httpx2.AsyncClient, made: Made) -> None:
    _, groups, people = made
    path = f"/v1/groups/{groups[0]}/members"
    found = await listed(client, path, limit=2)
    assert [one["id"] for one in found] == sorted(str(one) for one, _ in people)
    assert {one["id"]: one["person_id"] for one in found} == {str(one): str(person) for one, person in people}
    waiting = await listed(client, path, filter="in_force eq false")
    assert [(one["id"], one["asserted"], one["name"]) for one in waiting] == [(str(people[4][0]), True, "p4")]


async def test_an_id_of_whoever_was_merged_means_who_is_left(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId, made: Made
) -> None:
    _, groups, people = made
    (record, absorbed), survivor = people[0], people[1][1]
    async with database.tenant(tenant_id) as tx:
        await merge(tx, MergeAsk(survivor, absorbed), REFERENCES)
    path = f"/v1/groups/{groups[0]}/members"
    for person in (absorbed, survivor):
        found = await listed(client, filter=f'member eq "{person}"')
        assert [one["display_name"] for one in found] == ["Engines", "Wheels"]
        assert len(await listed(client, path, filter=f'person_id eq "{person}"')) == 2
    # A record keeps its id, which may be that of its first person.
    (only,) = await listed(client, path, filter=f'id eq "{record}"')
    assert (only["id"], only["person_id"]) == (str(record), str(survivor))


async def test_a_deleted_group_is_a_tombstone_and_its_run_tells_of_it(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId, made: Made
) -> None:
    okta, groups, people = made
    before = (await client.get("/v1/groups")).json()["as_of"]
    async with database.tenant(tenant_id) as tx:
        group = await group_by_id(tx, okta, groups[1], lock=True)
        assert group is not None
        run_id = (await remove_group(tx, group)).written.run_id
    assert [one["display_name"] for one in await listed(client)] == ["Motors", "Wheels"]
    (gone,) = await listed(client, updated_since=before)
    assert (gone["id"], gone["deleted"]) == (str(groups[1]), True)
    assert (await client.get(f"/v1/runs/{run_id}")).json()["target"] == "group"
    changes = await listed(client, f"/v1/runs/{run_id}/changes")
    assert [(one["action"], one["person_id"]) for one in changes] == [("remove", str(people[0][1])), ("remove", None)]
    assert changes[0]["before"] == {"group_id": str(groups[1]), "display_name": "Engines"}


async def test_another_tenant_sees_none_of_it(
    server: embedded.Server, database: Database, make_tenant: MakeTenant, made: Made
) -> None:
    _, groups, _ = made
    async with serving(server, await token_of(database, await make_tenant(), ("people:read",))) as other:
        assert await listed(other) == []
        assert (await other.get(f"/v1/groups/{groups[0]}")).status_code == 404
        assert (await other.get(f"/v1/groups/{groups[0]}/members")).status_code == 404
