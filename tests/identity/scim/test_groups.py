"""Groups over SCIM (RFC 7644): what each request makes of a group and of its members, twice as once."""

from typing import Any
from uuid import uuid4

import pytest

from stoa.identity.scim.model import GROUP_SCHEMA
from tests.identity.conftest import MakeScim, Scim, patch_body


async def people(scim: Scim, *names: str) -> list[str]:
    """Ids of fresh users."""
    return [(await scim.make(name))["id"] for name in names]


async def make_group(scim: Scim, name: str, *members: str, **more: Any) -> str:
    """A group by POST; its id."""
    body: dict[str, Any] = {"schemas": [GROUP_SCHEMA], "displayName": name} | more
    if members:
        body["members"] = [{"value": one} for one in members]
    answer = await scim("POST", "/Groups", body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def members(scim: Scim, group: str) -> set[str]:
    """Who is in a group."""
    answer = await scim("GET", f"/Groups/{group}")
    assert answer.status_code == 200, answer.text
    return {one["value"] for one in answer.json()["members"]}


async def test_first(scim: Scim) -> None:
    a, b, c = await people(scim, "a", "b", "c")
    group = await make_group(scim, "G", a)
    assert await members(scim, group) == {a}
    answer = await scim("PATCH", f"/Groups/{group}", patch_body({"op": "add", "path": "members", "value": [{"value": b}, {"value": c}]}))
    assert answer.status_code == 204, answer.text
    assert await members(scim, group) == {a, b, c}
    answer = await scim("PATCH", f"/Groups/{group}", patch_body({"op": "remove", "path": f'members[value eq "{a}"]'}))
    assert answer.status_code == 204, answer.text
    assert await members(scim, group) == {b, c}
    answer = await scim("GET", f"/Users/{b}")
    print(answer.json())
    answer = await scim("DELETE", f"/Groups/{group}")
    assert answer.status_code == 204, answer.text
    assert await make_group(scim, "g") == group
