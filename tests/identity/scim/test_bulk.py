"""Bulk requests (RFC 7644, 3.7): operations by themselves, references to what the same request makes, many users."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from stoa.changes import queries as runs
from stoa.db.database import Database
from stoa.identity.scim.bulk.model import BULK_REQUEST, MAX_OPERATIONS
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA
from stoa.people.queries import person_by_id
from stoa.tenants.actions import prove_domain
from tests.identity.conftest import MakeScim, Scim, patch_body
from tests.identity.scim.test_groups import members

# Deeper than any resource, and not so deep that nobody could read it.
NESTED = msgspec.json.decode("[" * 500 + "]" * 500)
TITLE = patch_body({"op": "add", "path": "title", "value": "Dr"})


def post(bulk_id: str, user_name: str, **more: Any) -> dict[str, Any]:
    """A user to be made."""
    data = {"schemas": [USER_SCHEMA], "userName": user_name} | more
    return {"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": data}


def group(bulk_id: str, name: str, *ids: str) -> dict[str, Any]:
    """A group to be made."""
    data = {"schemas": [GROUP_SCHEMA], "displayName": name, "members": [{"value": one} for one in ids]}
    return {"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data}


def managed_by(reference: str) -> dict[str, Any]:
    """A user's manager."""
    return {ENTERPRISE_SCHEMA: {"manager": {"value": reference}}}


async def bulk(scim: Scim, *operations: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """The operations of the answer."""
    answer = await scim("POST", "/Bulk", {"schemas": [BULK_REQUEST], "Operations": list(operations)} | more)
    assert answer.status_code == 200, answer.text
    assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]
    return answer.json()["Operations"]


def statuses(told: list[dict[str, Any]]) -> list[str]:
    """Of each operation, as text, which the RFC has it be."""
    return [one["status"] for one in told]


def id_of(one: dict[str, Any]) -> str:
    """The id in the place that an operation tells."""
    return one["location"].rsplit("/", 1)[1]


async def test_each_operation_has_its_own_end(scim: Scim) -> None:
    ann, bob = await scim.make("ann"), await scim.make("bob")
    told = await bulk(
        scim,
        post("c", "Carl", active=False),
        post("again", "ANN"),
        {"method": "patch", "path": f"/Users/{ann['id']}", "data": TITLE},
        {"method": "PUT", "path": f"/Users/{bob['id']}", "version": 'W/"99"', "data": {"userName": "bob"}},
        {"method": "DELETE", "path": f"/Users/{bob['id']}"},
        {"method": "DELETE", "path": "/Schemas/x"},
        {"method": "POST", "path": "/Users", "data": {"userName": "nameless"}},
        post("bad", "dora", nonsense=1),
    )  # fmt: skip
    assert statuses(told) == ["201", "409", "200", "412", "204", "400", "400", "400"]
    assert [one.get("bulkId") for one in told[:2]] == ["c", "again"]
    assert (await scim.get(id_of(told[0])))["active"] is False
    assert told[1]["response"]["scimType"] == "uniqueness"
    assert (told[2]["method"], told[2]["version"]) == ("patch", 'W/"2"')
    assert "bulkId" in told[6]["response"]["detail"]
    assert "nonsense" in told[7]["response"]["detail"]
    assert (await scim.get(ann["id"]))["title"] == "Dr"
    assert (await scim("GET", f"/Users/{bob['id']}")).status_code == 404
    assert await scim.find('userName eq "dora" or userName eq "nameless"') == []


async def test_references_to_what_the_same_request_makes(scim: Scim) -> None:
    told = await bulk(
        scim,
        group("team", "Team", "bulkId:boss", "bulkId:ann"),
        post("ann", "ann", **managed_by("bulkId:boss")),
        post("boss", "boss"),
        {"method": "PATCH", "path": "/Users/bulkId:ann", "data": TITLE},
        post("lost", "lost", **managed_by("bulkId:nobody")),
        post("taken", "boss"),
        post("after", "after", **managed_by("bulkId:taken")),
    )
    assert statuses(told) == ["201", "201", "201", "200", "409", "409", "409"]
    team, ann, boss = (id_of(one) for one in told[:3])
    assert await members(scim, team) == {ann, boss}
    assert (await scim.get(ann))[ENTERPRISE_SCHEMA]["manager"]["value"] == boss
    assert (await scim.get(ann))["title"] == "Dr"
    assert told[3]["location"].endswith(ann)
    assert "nobody" in told[4]["response"]["detail"]


async def test_two_who_refer_to_each_other(scim: Scim, database: Database) -> None:
    told = await bulk(
        scim, post("a", "ann", **managed_by("bulkId:b")), post("b", "bob", **managed_by("bulkId:a"), title="Dr")
    )
    assert statuses(told) == ["201", "201"]
    ann, bob = (id_of(one) for one in told)
    assert (await scim.get(ann))[ENTERPRISE_SCHEMA]["manager"]["value"] == bob
    assert (await scim.get(bob))[ENTERPRISE_SCHEMA]["manager"]["value"] == ann
    assert told[0]["version"] == (await scim("GET", f"/Users/{ann}")).headers["etag"]
    async with database.tenant(scim.tenant_id) as tx:
        people = [await person_by_id(tx, UUID(one)) for one in (ann, bob)]
    assert [person and person.manager_id for person in people] == [UUID(bob), UUID(ann)]


async def test_it_stops_after_so_many_errors(scim: Scim) -> None:
    await scim.make("ann")
    told = await bulk(scim, post("1", "ann"), post("2", "bob"), post("3", "ann"), post("4", "carl"), failOnErrors=2)
    assert statuses(told) == ["409", "201", "409"]
    assert await scim.find('userName eq "carl"') == []


async def test_many_users_in_one_request(scim: Scim, database: Database) -> None:
    async with database.tenant(scim.tenant_id) as tx:
        await prove_domain(tx, "acme.example")
    gone, known = await scim.make("gone"), await scim.make("known")
    await scim("DELETE", f"/Users/{gone['id']}")
    many = [
        post(f"n{n}", f"user{n}", externalId=f"x{n}", emails=[{"value": f"user{n}@acme.example"}]) for n in range(40)
    ]
    wanted = [
        *many[:20], post("gone", "GONE"), post("known", "Known"), post("twice", "USER7"), *many[20:],
        post("wrong", "wrong", emails="no list"), post("boss", "boss"),
        post("under", "under", **managed_by("bulkId:boss")),
    ]  # fmt: skip
    told = await bulk(scim, *wanted)
    assert statuses(told) == [*["201"] * 21, "409", "409", *["201"] * 20, "400", "201", "201"]
    assert id_of(told[20]) == gone["id"]
    seventh = await scim.get(id_of(told[7]))
    assert (seventh["userName"], seventh["externalId"], seventh["active"]) == ("user7", "x7", True)
    assert told[7]["version"] == (await scim("GET", f"/Users/{id_of(told[7])}")).headers["etag"]
    assert (await scim("GET", f"/Users/{known['id']}")).status_code == 200
    # Once more is nobody more.
    assert set(statuses(await bulk(scim, *many))) == {"409"}
    async with database.tenant(scim.tenant_id) as tx:
        assert await tx.fetchval("SELECT count(*) FROM person") == 44
        made = [run for run in await runs.recent_runs(tx) if run.kind == "bulk"]
        assert [(run.state, run.counts, run.changes_done) for run in made] == [("applied", {"create": 41}, 41)]
        # What became of them is told as of anybody: one effect each.
        assert await tx.fetchval("SELECT count(*) FROM effect WHERE before IS NULL") == 44
    assert known["id"] == (await scim.find('userName eq "known"'))[0]["id"]


@pytest.mark.parametrize(
    ("body", "status", "scim_type"),
    [
        ([], 400, "invalidSyntax"),
        ({"schemas": [BULK_REQUEST]}, 400, "invalidSyntax"),
        ({"schemas": [USER_SCHEMA], "Operations": [post("1", "ann")]}, 400, "invalidSyntax"),
        ({"schemas": [BULK_REQUEST], "Operations": []}, 400, "invalidSyntax"),
        ({"schemas": [BULK_REQUEST], "Operations": ["POST"]}, 400, "invalidSyntax"),
        ({"schemas": [BULK_REQUEST], "Operations": [{"method": "GET", "path": "/Users"}]}, 400, "invalidSyntax"),
        ({"schemas": [BULK_REQUEST], "Operations": [{"method": "POST"}]}, 400, "invalidSyntax"),
        ({"schemas": [BULK_REQUEST], "Operations": [post("", "ann")]}, 400, "invalidSyntax"),
        ({"schemas": [BULK_REQUEST], "Operations": [post("1", "ann", roles=NESTED)]}, 400, "invalidSyntax"),
        ({"schemas": [BULK_REQUEST], "Operations": [post("1", "ann")], "failOnErrors": 0}, 400, "invalidValue"),
        ({"schemas": [BULK_REQUEST], "Operations": [post("1", "ann")] * (MAX_OPERATIONS + 1)}, 413, None),
    ],
)
async def test_what_is_no_bulk_request_is_refused_whole(
    scim: Scim, body: Any, status: int, scim_type: str | None
) -> None:
    answer = await scim("POST", "/Bulk", body)
    assert (answer.status_code, answer.json().get("scimType")) == (status, scim_type), answer.text
    assert await scim.find('userName eq "ann"') == []


async def test_another_tenants_users_are_not_there(make_scim: MakeScim) -> None:
    ours, theirs = await make_scim(), await make_scim()
    ann = await theirs.make("ann")
    path = f"/Users/{ann['id']}"
    told = await bulk(
        ours,
        {"method": "PATCH", "path": path, "data": patch_body({"op": "remove", "path": "title"})},
        {"method": "DELETE", "path": path},
        group("g", "Theirs", ann["id"]),
    )
    assert statuses(told) == ["404", "404", "400"]
    assert (await theirs.get(ann["id"]))["userName"] == "ann"
