"""Requests about groups at the same moment: one group of a name, every member of every request, no event told twice."""

import asyncio

from stoa.changes.rendering import render_changes
from stoa.db.database import Database
from tests.identity.conftest import Scim, patch_body


async def test_requests_at_the_same_moment_come_to_what_they_say(scim: Scim, database: Database) -> None:
    ids = [(await scim.make(f"user{number}"))["id"] for number in range(24)]
    members = [{"value": one} for one in ids]
    body = {"displayName": "Engines", "externalId": "e", "members": members[:1]}
    answers = await asyncio.gather(*(scim("POST", "/Groups", body) for _ in range(5)))
    assert sorted(one.status_code for one in answers) == [201, 409, 409, 409, 409]
    first = next(one.json()["id"] for one in answers if one.status_code == 201)
    second = (await scim("POST", "/Groups", {"displayName": "Wheels"})).json()["id"]
    adds = [
        scim("PATCH", f"/Groups/{group}", patch_body({"op": "add", "path": "members", "value": members[at : at + 4]}))
        for at in range(0, 24, 4)
        for group in (first, second)
    ]
    leaving = [scim("DELETE", f"/Users/{one}") for one in ids[:3]]
    answers = await asyncio.gather(*adds, *leaving)
    # Who is deleted meanwhile is a member of nothing: the request that adds them comes before, or is refused.
    assert {one.status_code for one in answers} <= {204, 400}
    assert all(one.status_code == 204 for one in answers[2:12])
    for group in (first, second):
        found = (await scim("GET", f"/Groups/{group}")).json()["members"]
        assert {one["value"] for one in found} >= set(ids[4:])
        assert not {one["value"] for one in found} & set(ids[:3])
    async with database.tenant(scim.tenant_id) as tx:
        groups = await tx.fetch("SELECT group_id, member_count FROM person_group")
        for group in groups:
            counted = "SELECT count(*) FROM group_member WHERE group_id = $1 AND asserted"
            assert group["member_count"] == await tx.fetchval(counted, group["group_id"])
        entries = await tx.fetch(
            """SELECT e.run_id, e.ord_from, e.ord_to, e.n FROM entry e JOIN run r USING (tenant_id, run_id)
            WHERE r.target = 'group' ORDER BY e.entry_no"""
        )
        told = 0
        for row in entries:
            events = await render_changes(tx, row["run_id"], row["ord_from"], row["ord_to"], 0, 1_000)
            assert len(events) == row["n"]
            told += len(events)
        written = "SELECT count(*) FROM change c JOIN run r USING (tenant_id, run_id) WHERE r.target = 'group'"
        assert told == await tx.fetchval(written)
