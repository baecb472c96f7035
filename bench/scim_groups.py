"""SCIM's groups and bulk requests: a group of 10,000 members against single users, and 1,000 users in one request
against one request each.
"""

import os
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from statistics import median
from typing import Any

from bench.ground import Ground
from bench.model import Figure, Plan
from bench.processes import process
from bench.scim_servers import CONNECTIONS, GROUP, PATCH, Process, Request, Server, answered, create, creates, ours

MEMBERS = 10_000
ROUNDS = 5
_CHUNK = 1_000
_CHANGED = 100
_EACH = 40
_IN_BULK = 1_000
_BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
_BULK_GOAL = 5.0
_NAMES = ("members", "user", "group", "read", "bulk", "single", "eight")


async def run(ground: Ground, plan: Plan) -> list[Figure]:
    """Rounds of requests one after the other; then users in bulk and one by one."""
    size = plan.size or MEMBERS
    luck = random.Random(7)
    found: dict[str, list[float]] = {name: [] for name in _NAMES}
    async with AsyncExitStack() as exits:
        client = await exits.enter_async_context(process(["bench.requests"], os.environ))
        server = await exits.enter_async_context(ours(ground))
        plan.report(f"scim-groups: {size:,} users, and a group of them all")
        await create(client, server, size)
        group = await _group(client, server, size)
        for number in range(plan.rounds or ROUNDS):
            plan.report(f"scim-groups: round {number + 1}")
            for name, requests in _asked(server, group, luck, number).items():
                found[name] += (await answered(client, server, requests, connections=1))["latencies"]
        many = min(_IN_BULK, max(10, size))
        for number in range(plan.rounds or ROUNDS):
            plan.report(f"scim-groups: bulk, round {number + 1}")
            for name, requests, connections in (
                ("single", creates(server, many), 1),
                ("eight", creates(server, many), CONNECTIONS),
                ("bulk", [_bulk(creates(server, many))], 1),
            ):
                took = (await answered(client, server, requests, connections=connections))["seconds"]
                found[name].append(many / took)
    return _figures(found, size, many)


async def _group(client: Process, server: Server, size: int) -> str:
    body = {"schemas": [GROUP], "displayName": "Everybody"}
    identity = (await answered(client, server, [("POST", "/Groups", body)]))["ids"][0]
    everybody = [server.users.ids[name] for name in server.users.names]
    for start in range(0, size, _CHUNK):
        await answered(client, server, [_members(identity, "add", everybody[start : start + _CHUNK])], connections=1)
    return str(identity)


def _members(group: str, verb: str, ids: Sequence[str]) -> Request:
    value = [{"value": one} for one in ids]
    operation = {"op": verb, "path": "members", "value": value}
    return "PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": [operation]}


def _asked(server: Server, group: str, luck: random.Random, number: int) -> dict[str, list[Request]]:
    users = server.users
    chosen = [users.ids[name] for name in luck.sample(users.names, min(_CHANGED, len(users.names) // 2))]
    verbs = ("remove", "add") * (_EACH // 2)
    active = number % 2 == 1
    return {
        "members": [_members(group, verb, chosen) for verb in verbs],
        "user": [("PATCH", f"/Users/{users.ids[name]}", _active(value=active)) for name in users.names[:_EACH]],
        "group": [("GET", f"/Groups/{group}?excludedAttributes=members", None)] * _EACH,
        "read": [("GET", f"/Users/{users.ids[name]}", None) for name in users.names[:_EACH]],
    }


def _active(*, value: bool) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": value}]}


def _bulk(requests: Sequence[Request]) -> Request:
    operations = [
        {"method": method, "path": path, "bulkId": f"b{number}", "data": body}
        for number, (method, path, body) in enumerate(requests)
    ]
    return "POST", "/Bulk", {"schemas": [_BULK], "Operations": operations}


def _figures(found: dict[str, list[float]], size: int, many: int) -> list[Figure]:
    def against(title: str, mine: str, theirs: str, other: str, goal: float) -> Figure:
        return Figure("scim-groups", title, median(found[mine]), "s", median(found[theirs]), other, goal)

    return [
        against(f"PATCH of {_CHANGED} members of {size:,}", "members", "user", "PATCH of one user", 5.0),
        against(f"GET of a group of {size:,} without members", "group", "read", "GET of a user", 1.5),
        Figure(
            "scim-groups", f"Bulk of {many:,} users, users a second", median(found["bulk"]), "ops/s",
            median(found["single"]), "one request each; both over one connection", _BULK_GOAL,
            f"one each over {CONNECTIONS} connections: {median(found['eight']):,.0f}/s",
        ),
    ]  # fmt: skip
