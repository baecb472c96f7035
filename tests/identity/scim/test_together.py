"""Requests that come at one moment are done in one transaction, and answered as if each were alone."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from stoa.access.actions import revoke
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.identity.scim.joining import lanes
from stoa.identity.scim.joining.lanes import Lanes
from tests.identity.conftest import MakeScim, Scim, patch_body
from tests.identity.scim.test_entrance import assert_error

_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
_WAITING = "SELECT pid FROM pg_locks WHERE NOT granted"


def titled(title: str) -> dict[str, Any]:
    """A PATCH of the title."""
    return patch_body({"op": "replace", "path": "title", "value": title})


async def _waiting(tx: TenantTx) -> int:
    """Who waits for a lock, as soon as somebody does."""
    async with asyncio.timeout(10):
        while (found := await tx.fetchval(_WAITING)) is None:
            pass
        return found


async def _entries(scim: Scim, database: Database) -> list[tuple[str, int]]:
    async with database.tenant(scim.tenant_id) as tx:
        rows = await tx.fetch("SELECT actor, n FROM entry WHERE via = 'scim' AND ord_from IS NOT NULL")
    return [(row["actor"], row["n"]) for row in rows]


async def _moments(scim: Scim, database: Database, action: str) -> int:
    """How many transactions it took."""
    async with database.tenant(scim.tenant_id) as tx:
        return await tx.fetchval("SELECT count(DISTINCT at) FROM change WHERE action = $1", action)


async def test_newcomers_of_one_moment_are_made_in_one_transaction_with_an_entry_each(
    scim: Scim, database: Database
) -> None:
    # By the second request the sender is remembered as one whose use was noted.
    await scim.make("first")
    await scim.make("second")
    before = len(await _entries(scim, database))
    answers = await asyncio.gather(*(scim("POST", "/Users", {"userName": f"u{n}"}) for n in range(12)))
    assert {answer.status_code for answer in answers} == {201}
    for n, answer in enumerate(answers):
        made = answer.json()
        assert made["userName"] == f"u{n}"
        assert answer.headers["location"].endswith(f"/Users/{made['id']}")
        assert (await scim.get(made["id"]))["userName"] == f"u{n}"
    # Those two, and at most one that went ahead of the others.
    assert await _moments(scim, database, "create") <= 4
    entries = (await _entries(scim, database))[before:]
    assert entries == [(f"scim:{scim.issued.credential_id}", 2)] * 12


async def test_changes_of_one_moment_are_made_in_one_transaction(scim: Scim, database: Database) -> None:
    made = [await scim.make(f"u{n}") for n in range(8)]
    group = {"schemas": [_GROUP], "displayName": "Sales", "members": [{"value": made[0]["id"]}]}
    assert (await scim("POST", "/Groups", group)).status_code == 201
    asked = [scim("PATCH", f"/Users/{one['id']}", titled(f"T{n}")) for n, one in enumerate(made[:6])]
    asked += [scim("PUT", f"/Users/{one['id']}", {"userName": one["userName"], "title": "P"}) for one in made[6:]]
    answers = await asyncio.gather(*asked)
    assert [answer.json()["title"] for answer in answers] == [*(f"T{n}" for n in range(6)), "P", "P"]
    assert [one["display"] for one in answers[0].json()["groups"]] == ["Sales"]
    assert "groups" not in answers[1].json()
    for one, answer in zip(made, answers, strict=True):
        assert answer.json()["meta"]["version"] != one["meta"]["version"]
        assert (await scim.get(one["id"]))["title"] == answer.json()["title"]
    assert await _moments(scim, database, "update") <= 2


async def test_each_is_answered_as_if_it_were_alone(scim: Scim) -> None:
    ann, bob = await scim.make("ann"), await scim.make("bob")
    posted = await asyncio.gather(
        scim("POST", "/Users", {"userName": "cleo"}),
        scim("POST", "/Users", {"userName": "CLEO"}),
        scim("POST", "/Users", {"userName": "ann"}),
        scim("POST", "/Users", {"displayName": "nameless"}),
        scim("POST", "/Users", content=b"{"),
        scim("POST", "/Users", {"userName": "dan"}, params={"attributes": "displayName"}),
    )
    assert Counter(answer.status_code for answer in posted) == {201: 2, 409: 2, 400: 2}
    assert_error(posted[2], 409)
    assert_error(posted[3], 400)
    assert_error(posted[4], 400)
    assert [answer.json()["scimType"] for answer in posted[2:5]] == ["uniqueness", "invalidValue", "invalidSyntax"]
    assert "userName" not in posted[5].json()
    changed = await asyncio.gather(
        scim("PATCH", f"/Users/{ann['id']}", titled("Dr")),
        scim("PATCH", f"/Users/{ann['id']}", patch_body({"op": "replace", "path": "nickName", "value": "A"})),
        scim("PATCH", f"/Users/{bob['id']}", titled("Dr"), headers={"If-Match": 'W/"nothing"'}),
        scim("PATCH", "/Users/nobody", titled("Dr")),
        scim("PATCH", f"/Users/{bob['id']}", patch_body({"op": "replace", "path": "nothing[", "value": "A"})),
        scim("PATCH", f"/Users/{bob['id']}", patch_body({"op": "replace", "path": "userName", "value": "ann"})),
    )
    assert [answer.status_code for answer in changed] == [200, 200, 412, 404, 400, 409]
    found = await scim.get(ann["id"])
    assert (found["title"], found["nickName"]) == ("Dr", "A")
    assert (await scim.get(bob["id"]))["userName"] == "bob"


async def test_what_changes_nothing_is_no_change(scim: Scim, database: Database) -> None:
    ann = await scim.make("ann", title="Dr")
    answers = await asyncio.gather(*(scim("PATCH", f"/Users/{ann['id']}", titled("Dr")) for _ in range(4)))
    assert {answer.json()["meta"]["version"] for answer in answers} == {ann["meta"]["version"]}
    assert await _moments(scim, database, "update") == 0


async def test_reads_of_one_moment_are_each_answered_their_own(scim: Scim, make_scim: MakeScim) -> None:
    made = [await scim.make(f"u{n}", title=f"T{n}") for n in range(6)]
    other = await make_scim()
    stranger, _ = await other.make("u0"), await other.make("u9")
    group = {"schemas": [_GROUP], "displayName": "Sales", "members": [{"value": made[0]["id"]}]}
    assert (await scim("POST", "/Groups", group)).status_code == 201
    found = await asyncio.gather(
        *(scim("GET", "/Users", params={"filter": f'userName eq "U{n}"'}) for n in range(6)),
        *(scim("GET", f"/Users/{one['id']}") for one in made),
        scim("GET", "/Users", params={"filter": 'userName eq "nobody"'}),
        scim("GET", "/Users", params={"filter": 'userName xx "u1"'}),
        scim("GET", "/Users", params={"filter": 'title eq "T1"'}),
        scim("GET", "/Users", params={"filter": 'userName eq "u1"', "attributes": "title"}),
        scim("GET", f"/Users/{stranger['id']}"),
        scim("GET", "/Users/nobody"),
        scim("GET", "/Users/.search"),
        scim("GET", f"/Users/{made[0]['id']}", headers={"If-None-Match": made[0]["meta"]["version"]}),
    )
    for n, one in enumerate(made):
        assert [user["id"] for user in found[n].json()["Resources"]] == [one["id"]]
        assert found[6 + n].json()["title"] == f"T{n}"
    assert found[0].json()["Resources"][0]["groups"] == found[6].json()["groups"]
    assert [one["display"] for one in found[6].json()["groups"]] == ["Sales"]
    nobody, wrong, scanned, part, foreign, unknown, search, same = found[12:]
    assert nobody.json()["totalResults"] == 0
    assert_error(wrong, 400)
    assert [user["title"] for user in scanned.json()["Resources"]] == ["T1"]
    assert part.json()["Resources"][0].keys() == {"schemas", "id", "title"}
    assert_error(foreign, 404)
    assert_error(unknown, 404)
    assert_error(search, 405)
    assert same.status_code == 304


async def test_a_token_that_was_taken_back_opens_nothing_more(scim: Scim, database: Database) -> None:
    ann = await scim.make("ann")
    await scim.make("bob")
    async with database.tenant(scim.tenant_id) as tx:
        await revoke(tx, scim.issued.credential_id)
    answers = await asyncio.gather(
        *(scim("POST", "/Users", {"userName": f"u{n}"}) for n in range(3)),
        *(scim("PATCH", f"/Users/{ann['id']}", titled("Dr")) for _ in range(3)),
        *(scim("GET", f"/Users/{ann['id']}") for _ in range(3)),
    )
    for answer in answers:
        assert_error(answer, 401)
    assert await _moments(scim, database, "create") == 2


async def test_whoever_is_locked_keeps_nobody_else_waiting(scim: Scim, database: Database) -> None:
    ann, bob = await scim.make("ann"), await scim.make("bob")
    async with database.tenant(scim.tenant_id) as tx:
        await tx.execute("SELECT FROM source_record WHERE resource_id = $1 FOR UPDATE", ann["id"])
        of_ann, of_bob = (asyncio.create_task(scim("PATCH", f"/Users/{one['id']}", titled("Dr"))) for one in (ann, bob))
        async with asyncio.timeout(5):
            assert (await of_bob).status_code == 200
        assert not of_ann.done()
    assert (await of_ann).status_code == 200


async def test_when_the_database_goes_away_all_are_told_to_come_again(scim: Scim, database: Database) -> None:
    ann, bob = await scim.make("ann"), await scim.make("bob")
    async with database.tenant(scim.tenant_id) as tx:
        await tx.execute("SELECT FROM source_record WHERE tenant_id = $1 FOR UPDATE", tx.tenant_id)
        asked = [asyncio.create_task(scim("PATCH", f"/Users/{one['id']}", titled("Dr"))) for one in (ann, bob)]
        await tx.fetchval("SELECT pg_terminate_backend($1)", await _waiting(tx))
        answers = await asyncio.gather(*asked)
    for answer in answers:
        assert_error(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
    again = await asyncio.gather(*(scim("PATCH", f"/Users/{one['id']}", titled("Dr")) for one in (ann, bob)))
    assert {answer.status_code for answer in again} == {200}


# ------------------------------------------------------------------ lanes


class _Desk:
    """Does work when it is let, and knows what it did at a time."""

    def __init__(self) -> None:
        self.done: list[list[int]] = []
        self.open = asyncio.Event()
        self.begun = asyncio.Event()
        self.lanes: Lanes[int, int] = Lanes(self.work)

    async def work(self, some: Sequence[int]) -> Sequence[int]:
        self.done.append(list(some))
        self.begun.set()
        await self.open.wait()
        if 13 in some:
            raise ZeroDivisionError
        return [10 * one for one in some]


async def test_what_comes_meanwhile_is_done_together() -> None:
    desk = _Desk()
    first = asyncio.create_task(desk.lanes.done("a", 1))
    await desk.begun.wait()
    rest = [asyncio.create_task(desk.lanes.done("a", n)) for n in range(2, 5)]
    other = asyncio.create_task(desk.lanes.done("b", 9))
    desk.open.set()
    assert [await one for one in (first, *rest, other)] == [10, 20, 30, 40, 90]
    assert sorted(desk.done) == [[1], [2, 3, 4], [9]]


async def test_work_that_fails_is_told_to_each_and_the_next_is_done() -> None:
    desk = _Desk()
    desk.open.set()
    found = await asyncio.gather(*(desk.lanes.done("a", n) for n in (12, 13)), return_exceptions=True)
    assert [type(one) for one in found] == [ZeroDivisionError, ZeroDivisionError]
    assert await desk.lanes.done("a", 14) == 140


async def test_a_lane_is_full_and_takes_so_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MOST_WAITING", 5)
    monkeypatch.setattr(lanes, "MOST_TOGETHER", 2)
    desk = _Desk()
    asked = [asyncio.create_task(desk.lanes.done("a", 0))]
    await desk.begun.wait()
    asked += [asyncio.create_task(desk.lanes.done("a", n)) for n in range(1, 6)]
    await asyncio.sleep(0)
    assert desk.lanes.is_full("a")
    assert not desk.lanes.is_full("b")
    desk.open.set()
    assert [await one for one in asked] == [0, 10, 20, 30, 40, 50]
    assert max(map(len, desk.done)) == 2
    assert not desk.lanes.is_full("a")


async def test_whoever_gives_up_waiting_is_left_out() -> None:
    desk = _Desk()
    first = asyncio.create_task(desk.lanes.done("a", 1))
    await desk.begun.wait()
    gone, stays = (asyncio.create_task(desk.lanes.done("a", n)) for n in (2, 3))
    await asyncio.sleep(0)
    gone.cancel()
    desk.open.set()
    assert (await first, await stays) == (10, 30)
    assert desk.done == [[1], [3]]
