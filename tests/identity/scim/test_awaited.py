"""Members that are not here yet, where a tenant has them awaited: shown as they were sent, nobody's, and members once
they come.
"""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from stoa.db.database import Database
from stoa.identity.scim.bulk.model import BULK_REQUEST
from stoa.identity.scim.conformance.bench import Bench
from stoa.people.groups_awaited import LONGEST_NAME
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.roles_actions import add_rule
from stoa.people.roles_model import Role
from stoa.people.thresholds import set_guard
from tests.conftest import MakeTenant
from tests.identity.conftest import HOST, MakeScim, Scim, patch_body
from tests.people.group_runs import codes, rollback, state, window

from .answering import AWAITING, BOTH, GIVING_BACK, REFUSING, answer
from .test_groups import get, make_group, members, patch, people, said

GUID = "5E3C1F0A-77B1-4C6D-9A51-0D6F4B1C2A10"


@pytest.fixture
async def okta(scim: Scim, database: Database) -> Scim:
    """A client whose members who are not here yet are awaited."""
    await answer(database, scim, AWAITING)
    return scim


def add(*values: str) -> dict[str, Any]:
    return {"op": "add", "path": "members", "value": said(*values)}


async def told(database: Database, scim: Scim) -> list[tuple[str, str]]:
    """Changes of groups in the journal: action and reason."""
    async with database.tenant(scim.tenant_id) as tx:
        rows = await tx.fetch(
            """SELECT c.action, c.reason FROM change c JOIN run r USING (tenant_id, run_id)
            WHERE r.target = 'group' AND c.state = 'applied' ORDER BY c.ord"""
        )
    return [(row["action"], row["reason"]) for row in rows]


async def roles(database: Database, scim: Scim) -> int:
    async with database.tenant(scim.tenant_id) as tx:
        return await tx.fetchval("SELECT count(*) FROM person_role")


# ------------------------------------------------------------------ as it is at first


async def test_without_a_choice_they_are_refused_and_the_answer_says_why_and_where_to_choose(scim: Scim) -> None:
    (ada,) = await people(scim, "ada")
    group = await make_group(scim, "Sales", ada)
    for stranger in ("fake-member-id", str(uuid4())):
        refused = await scim("PATCH", f"/Groups/{group}", patch_body(add(stranger)))
        assert refused.status_code == 400
        assert refused.json()["scimType"] == "invalidValue"
        assert stranger in refused.json()["detail"]
        assert "“Answers”" in refused.json()["detail"]
        put = {"displayName": "Sales", "members": said(ada, stranger)}
        assert (await scim("PUT", f"/Groups/{group}", put)).status_code == 400
        assert (await scim("POST", "/Groups", {"displayName": "New", "members": said(stranger)})).status_code == 400
    assert await members(scim, group) == {ada}


# ------------------------------------------------------------------ awaited


async def test_they_are_shown_as_they_were_sent_and_twice_is_as_once(okta: Scim, database: Database) -> None:
    (ada,) = await people(okta, "ada")
    group = await make_group(okta, "Sales")
    before = (await get(okta, group))["meta"]["version"]
    await patch(okta, group, add("fake-member-id", GUID, ada))
    shown = await get(okta, group)
    assert [one for one in shown["members"] if one["value"] != ada] == [{"value": GUID}, {"value": "fake-member-id"}]
    assert shown["meta"]["version"] != before
    # The same one in another spelling of an id is the same.
    await patch(okta, group, add(GUID.lower()))
    assert await get(okta, group) == shown
    assert await told(database, okta) == [
        ("create", "new_group"),
        ("create", "member_added"),
        *[("create", "member_awaited")] * 2,
    ]
    put = {"displayName": "Sales", "members": shown["members"]}
    assert (await okta("PUT", f"/Groups/{group}", put)).json() == shown
    listed = (await okta("GET", "/Groups")).json()["Resources"]
    assert listed == [shown]
    plain = await okta("GET", f"/Groups/{group}", params={"excludedAttributes": "members"})
    assert "members" not in plain.json()


@pytest.mark.parametrize(
    "removal",
    [
        {"op": "remove", "path": "members", "value": [{"value": "x-1"}, {"value": GUID}]},
        {"op": "remove", "path": f'members[value eq "x-1" or value eq "{GUID}"]'},
        {"op": "remove", "path": "members"},
        {"op": "replace", "path": "members", "value": []},
        {"op": "remove", "path": 'members[not (type eq "User")]'},
    ],
)
async def test_they_are_taken_away_as_members_are(okta: Scim, database: Database, removal: dict[str, Any]) -> None:
    group = await make_group(okta, "Sales", "x-1", GUID)
    assert await members(okta, group) == {"x-1", GUID}
    await patch(okta, group, removal)
    assert await members(okta, group) == set()
    assert (await told(database, okta))[-2:] == [("remove", "awaited_dropped")] * 2


async def test_a_put_and_a_deletion_end_the_waiting(okta: Scim) -> None:
    group = await make_group(okta, "Sales", "x-1", "x-2")
    await okta("PUT", f"/Groups/{group}", {"displayName": "Sales", "members": said("x-2")})
    assert await members(okta, group) == {"x-2"}
    assert (await okta("DELETE", f"/Groups/{group}")).status_code == 204
    assert await make_group(okta, "Sales") == group
    assert await members(okta, group) == set()


@pytest.mark.parametrize("value", ["", "x" * (LONGEST_NAME + 1), "a\0b", 4711])
async def test_what_nobody_can_be_called_is_refused(okta: Scim, value: Any) -> None:
    group = await make_group(okta, "Sales")
    operation = {"op": "add", "path": "members", "value": [{"value": value}]}
    refused = await okta("PATCH", f"/Groups/{group}", patch_body(operation))
    assert (refused.status_code, refused.json()["scimType"]) == (400, "invalidValue")
    removal = {"op": "remove", "path": "members", "value": [{"value": "a\0b"}, {"value": "x" * 2000}]}
    assert (await okta("PATCH", f"/Groups/{group}", patch_body(removal))).status_code == 204
    longest = "ẞ" * LONGEST_NAME
    await patch(okta, group, add(longest))
    assert await members(okta, group) == {longest}


async def test_a_group_is_no_member_even_if_it_is_here(okta: Scim) -> None:
    inner, outer = await make_group(okta, "Inner"), await make_group(okta, "Outer")
    refused = await okta("PATCH", f"/Groups/{outer}", patch_body(add(inner, "x-1")))
    assert refused.status_code == 400
    assert "names a group" in refused.json()["detail"]
    assert await members(okta, outer) == set()


async def test_only_so_many_of_a_group_are_awaited(okta: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stoa.people.groups_awaited.MOST_AWAITED", 3)
    group = await make_group(okta, "Sales", "x-1", "x-2", "x-3")
    refused = await okta("PATCH", f"/Groups/{group}", patch_body(add("x-4")))
    assert refused.status_code == 400
    swap = patch_body({"op": "remove", "path": "members", "value": said("x-1")}, add("x-4"))
    assert (await okta("PATCH", f"/Groups/{group}", swap)).status_code == 204
    assert await members(okta, group) == {"x-2", "x-3", "x-4"}


# ------------------------------------------------------------------ who comes


async def test_whoever_bears_the_external_id_already_is_the_member(okta: Scim) -> None:
    ada = (await okta.make("ada", externalId="e-1"))["id"]
    group = await make_group(okta, "Sales", "e-1")
    assert await members(okta, group) == {ada}
    await patch(okta, group, add("e-1"))
    assert await members(okta, group) == {ada}
    await patch(okta, group, {"op": "remove", "path": "members", "value": said("e-1")})
    assert await members(okta, group) == set()
    # An id comes before an external id.
    bob = (await okta.make("bob", externalId=ada))["id"]
    await patch(okta, group, add(ada))
    assert await members(okta, group) == {ada}
    await patch(okta, group, {"op": "remove", "path": f'members[value eq "{ada}"]'}, add(bob))
    assert await members(okta, group) == {bob}


async def test_a_user_who_is_made_takes_the_place_and_gets_the_roles(okta: Scim, database: Database) -> None:
    one, other = await make_group(okta, "Authors", "e-1", "e-2"), await make_group(okta, "Sales", "e-1")
    async with database.tenant(okta.tenant_id) as tx:
        for row in await tx.fetch("SELECT group_id FROM person_group WHERE display_name = 'Authors'"):
            await add_rule(tx, row["group_id"], Role.AUTHOR)
    assert await roles(database, okta) == 0
    made = await okta.make("ada", externalId="e-1")
    assert {one["value"] for one in made["groups"]} == {one, other}
    assert await members(okta, one) == {made["id"], "e-2"}
    assert await members(okta, other) == {made["id"]}
    assert await roles(database, okta) == 1
    assert sorted((await told(database, okta))[-4:]) == [
        *[("create", "member_added")] * 2,
        *[("remove", "awaited_came")] * 2,
    ]


async def test_a_user_who_gets_the_external_id_or_is_back_takes_the_place(okta: Scim) -> None:
    ada, bob = await people(okta, "ada", "bob")
    await okta("DELETE", f"/Users/{bob}")
    group = await make_group(okta, "Sales", "e-1", bob, "e-3")
    assert await members(okta, group) == {"e-1", bob, "e-3"}
    changed = await okta.patch(ada, {"op": "add", "path": "externalId", "value": "e-1"})
    assert [one["value"] for one in changed["groups"]] == [group]
    back = await okta.make("bob")
    assert back["id"] == bob
    assert [one["value"] for one in back["groups"]] == [group]
    put = await okta("PUT", f"/Users/{bob}", {"userName": "bob", "externalId": "e-3"})
    assert put.status_code == 200
    shown = (await get(okta, group))["members"]
    assert {one["value"] for one in shown} == {ada, bob}
    assert all("$ref" in one for one in shown)


async def test_in_a_bulk_request_many_come_at_once_and_groups_await_others(okta: Scim) -> None:
    names = [f"e-{n}" for n in range(14)]
    group = await make_group(okta, "Sales", *names)
    operations: list[dict[str, Any]] = [
        {"method": "POST", "path": "/Users", "bulkId": f"b{n}", "data": {"userName": f"u{n}", "externalId": f"e-{n}"}}
        for n in range(12)
    ]
    crew = {"displayName": "Crew", "members": [{"value": "bulkId:b0"}, {"value": "e-1"}, {"value": "e-20"}]}
    operations.append({"method": "POST", "path": "/Groups", "bulkId": "crew", "data": crew})
    done = (await okta("POST", "/Bulk", {"schemas": [BULK_REQUEST], "Operations": operations})).json()["Operations"]
    assert [one["status"] for one in done] == ["201"] * 13
    ids = [one["location"].rpartition("/")[2] for one in done]
    assert await members(okta, group) == {*ids[:12], "e-12", "e-13"}
    assert await members(okta, ids[12]) == {*ids[:2], "e-20"}


async def test_users_and_groups_that_come_at_one_moment_find_each_other(okta: Scim) -> None:
    group, later = await make_group(okta, "Sales"), await people(okta, *(f"later{n}" for n in range(6)))
    for begin in (0, 20):
        numbers = range(begin, begin + 12)
        asked = [okta("PATCH", f"/Groups/{group}", patch_body(add(f"e-{n}"))) for n in numbers]
        asked += [okta("POST", "/Users", {"userName": f"u{n}", "externalId": f"e-{n}"}) for n in numbers[:9]]
        for n, one in zip(numbers[9:], later[begin // 20 * 3 :], strict=False):
            asked += [okta("PATCH", f"/Users/{one}", patch_body({"op": "add", "value": {"externalId": f"e-{n}"}}))]
        answers = await asyncio.gather(*asked[::2], *asked[1::2])
        assert {one.status_code for one in answers} <= {200, 201, 204}
    shown = (await get(okta, group))["members"]
    assert len(shown) == 24
    assert all("$ref" in one for one in shown)


async def test_a_guard_weighs_who_comes(okta: Scim, database: Database) -> None:
    group = await make_group(okta, "Authors", "e-1", "e-2")
    async with database.tenant(okta.tenant_id) as tx:
        row = await tx.fetchrow("SELECT group_id FROM person_group")
        assert row is not None
        await add_rule(tx, row["group_id"], Role.AUTHOR)
        await set_guard(tx, GuardKind.GRANT_ROLE, None, Guard(absolute=1, percent=0.1, floor=1, window_minutes=60))
    ids = [(await okta.make(f"u{n}", externalId=f"e-{n}"))["id"] for n in (1, 2)]
    assert await members(okta, group) == set(ids)
    assert await roles(database, okta) == 1


# ------------------------------------------------------------------ undone, refused again, of others


async def test_what_was_awaited_is_undone_as_memberships_are(okta: Scim, database: Database) -> None:
    (ada,) = await people(okta, "ada")
    group = await make_group(okta, "Sales", ada, "e-1", GUID)
    here = await state(database, okta.tenant_id)
    run = await rollback(database, okta.tenant_id, await window(database, okta.tenant_id))
    assert (await okta("GET", f"/Groups/{group}")).status_code == 404
    await rollback(database, okta.tenant_id, run.run_id)
    assert await state(database, okta.tenant_id) == here
    assert await members(okta, group) == {ada, "e-1", GUID}
    assert await codes(database, okta.tenant_id, run.run_id) == {}


async def test_whoever_came_is_put_back_among_the_awaited_by_an_undo_and_comes_again(
    okta: Scim, database: Database
) -> None:
    group = await make_group(okta, "Sales", "e-1")
    first = await window(database, okta.tenant_id)
    ada = (await okta.make("ada", externalId="e-1"))["id"]
    await rollback(database, okta.tenant_id, first)
    assert (await okta("GET", f"/Groups/{group}")).status_code == 404
    await make_group(okta, "Sales", "e-1")
    assert await members(okta, group) == {ada}


async def test_refused_again_they_stay_until_they_are_taken_away(okta: Scim, database: Database) -> None:
    group = await make_group(okta, "Sales", "e-1", "e-2")
    await answer(database, okta, REFUSING)
    shown = await get(okta, group)
    assert await members(okta, group) == {"e-1", "e-2"}
    # What was read may be written back.
    assert (await okta("PUT", f"/Groups/{group}", shown)).json() == shown
    await patch(okta, group, add("e-1"))
    assert (await okta("PATCH", f"/Groups/{group}", patch_body(add("e-3")))).status_code == 400
    await okta.make("ada", externalId="e-1")
    assert await members(okta, group) == {"e-1", "e-2"}
    await patch(okta, group, {"op": "remove", "path": "members", "value": said("e-2")})
    assert await members(okta, group) == {"e-1"}
    await answer(database, okta, AWAITING)
    assert (await okta("PATCH", f"/Groups/{group}", patch_body(add("e-1")))).status_code == 204
    assert "e-1" not in await members(okta, group)
    assert len(await members(okta, group)) == 1


async def test_users_of_others_take_nobodys_place(
    okta: Scim, database: Database, make_scim: MakeScim, make_tenant: MakeTenant
) -> None:
    group = await make_group(okta, "Sales", "e-1")
    beside = await make_scim(okta.tenant_id, source="Entra")
    stranger = await make_scim(await make_tenant())
    for other in (beside, stranger):
        await answer(database, other, AWAITING)
        made = await other.make("ada", externalId="e-1")
        assert "groups" not in made
        await patch(okta, group, add(made["id"]))
    # Ids of others are awaited like any name.
    assert len(await members(okta, group)) == 3
    async with database.tenant(stranger.tenant_id) as tx:
        assert await tx.fetchval("SELECT count(*) FROM group_awaited") == 0


async def test_users_of_a_source_that_awaits_nobody_cost_no_statement_more(scim: Scim, database: Database) -> None:
    sent: dict[bool, list[str]] = {}
    for awaits in (False, True):
        await answer(database, scim, AWAITING if awaits else REFUSING)
        texts = sent[awaits] = []
        async with database.tenant(scim.tenant_id) as tx:
            bench = Bench(tx, scim.issued.source_id, HOST, is_scratch=True)
            warm = {"userName": f"warm-{awaits}", "externalId": f"warm-{awaits}"}
            assert (await bench("POST", "/Users", warm)).status == 201
            with tx.connection.query_logger(lambda record, texts=texts: texts.append(record.query)):
                body = {"userName": f"ada-{awaits}", "externalId": f"e-{awaits}"}
                made = await bench("POST", "/Users", body)
                operation = {"op": "replace", "path": "externalId", "value": f"f-{awaits}"}
                done = await bench("PATCH", f"/Users/{made.body['id']}", patch_body(operation))
                assert done.status == 200
    assert not [text for text in sent[False] if "group_awaited" in text]
    # A lock and a look for each.
    assert len([text for text in sent[True] if "group_awaited" in text]) == 2
    assert len(sent[True]) == len(sent[False]) + 4


# ------------------------------------------------------------------ how a PATCH is answered


async def test_a_patch_is_answered_with_the_group_where_that_is_chosen(
    scim: Scim, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ada,) = await people(scim, "ada")
    group = await make_group(scim, "Sales")
    await answer(database, scim, GIVING_BACK)
    for _ in range(2):
        done = await scim("PATCH", f"/Groups/{group}", patch_body(add(ada)))
        assert done.status_code == 200
        assert done.json() == await get(scim, group)
        assert done.headers["etag"] == done.json()["meta"]["version"]
    assert (await scim("PATCH", f"/Groups/{group}", patch_body(add("x-1")))).status_code == 400
    without = {"excludedAttributes": "members"}
    done = await scim("PATCH", f"/Groups/{group}", patch_body(add(ada)), params=without)
    assert "members" not in done.json()
    monkeypatch.setattr("stoa.identity.scim.groups.endpoint.MOST_MEMBERS", 0)
    assert (await scim("PATCH", f"/Groups/{group}", patch_body(add(ada)))).status_code == 204
    assert (await scim("PATCH", f"/Groups/{group}", patch_body(add(ada)), params=without)).status_code == 200
    monkeypatch.undo()
    await answer(database, scim, BOTH)
    done = await scim("PATCH", f"/Groups/{group}", patch_body(add("x-1")))
    assert {"value": "x-1"} in done.json()["members"]


async def test_a_choice_is_told_and_the_same_choice_is_not(scim: Scim, database: Database) -> None:
    for _ in range(2):
        await answer(database, scim, AWAITING)
    async with database.tenant(scim.tenant_id) as tx:
        rows = await tx.fetch("SELECT subject, body FROM event WHERE type = 'scim.answering_changed'")
    assert [(row["subject"], row["body"]) for row in rows] == [
        (
            f"source:{scim.issued.source_id}",
            {
                "before": {"group_patch": "no_content", "strangers": "refuse"},
                "after": {"group_patch": "no_content", "strangers": "await"},
            },
        )
    ]
