"""What can be made to happen at will: to people, to the groups that are pushed, and to whom the application is given.

Nothing is sent by it: the next provisioning cycle sends what became of it, as in the real products.
"""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stoa_simulators.company import EventKind
from stoa_simulators.control_shared import BadRequest, Handler, decoded, json_answer, tenancy_of
from stoa_simulators.estate import Estate, Tenancy
from stoa_simulators.pushing import PushedGroup, members_of

MOST_GROUPS: Final = 1000
LONGEST_NAME: Final = 200


class HappenOrder(msgspec.Struct, forbid_unknown_fields=True):
    """One thing that happens to one worker: joined, moved, renamed, left or rehired. Without an id to anybody."""

    event: EventKind
    employee_id: str | None = None


class GroupOrder(msgspec.Struct, forbid_unknown_fields=True):
    """A group that is pushed: its name, and a department or a list of workers. An empty list clears it."""

    name: str
    department: str | None = None
    employee_ids: list[str] | None = None


class AssignOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Who gets the application or loses it."""

    employee_ids: list[str]
    assigned: bool


class WrongMappingOrder(msgspec.Struct, forbid_unknown_fields=True):
    """How many active workers lose the application by a mistake."""

    count: int


def provider_table(one: str) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of every order below the path of a company."""
    return [
        ("POST", f"{one}/happen", _happen),
        ("GET", f"{one}/groups", _groups),
        ("PUT", f"{one}/groups/{{key}}", _set_group),
        ("DELETE", f"{one}/groups/{{key}}", _drop_group),
        ("GET", f"{one}/assignments", _assignments),
        ("POST", f"{one}/assignments", _assign),
        ("POST", f"{one}/wrong-mapping", _wrong_mapping),
        ("DELETE", f"{one}/wrong-mapping", _mended_mapping),
    ]


async def _happen(estate: Estate, request: Request) -> Response:
    tenancy = tenancy_of(estate, request)
    order = decoded(await request.body(), HappenOrder)
    try:
        happened = tenancy.company.happen(order.event, order.employee_id)
    except ValueError as error:
        raise BadRequest(400, str(error)) from error
    return json_answer({"slug": tenancy.company.slug, "today": tenancy.company.today, "events": happened})


async def _groups(estate: Estate, request: Request) -> Response:
    tenancy = tenancy_of(estate, request)
    return json_answer({"groups": [_told(tenancy, key) for key in tenancy.pushing.groups]})


async def _set_group(estate: Estate, request: Request) -> Response:
    tenancy = tenancy_of(estate, request)
    order = decoded(await request.body(), GroupOrder)
    key: str = request.path_params["key"]
    if not order.name.strip() or len(order.name) > LONGEST_NAME:
        raise BadRequest(400, f"name has 1 to {LONGEST_NAME} characters")
    if (order.department is None) == (order.employee_ids is None):
        raise BadRequest(400, "a group has either a department or employee_ids")
    people = tenancy.company.people
    if unknown := [one for one in order.employee_ids or () if one not in people]:
        raise BadRequest(400, f"there is no worker {unknown[0]!r}")
    groups = tenancy.pushing.groups
    if key not in groups and len(groups) >= MOST_GROUPS:
        raise BadRequest(409, f"a company pushes at most {MOST_GROUPS} groups")
    groups[key] = PushedGroup(order.name, order.department, frozenset(order.employee_ids or ()))
    return json_answer(_told(tenancy, key))


async def _drop_group(estate: Estate, request: Request) -> Response:
    if tenancy_of(estate, request).pushing.groups.pop(request.path_params["key"], None) is None:
        raise BadRequest(404, "there is no such group")
    return Response(status_code=204)


async def _assignments(estate: Estate, request: Request) -> Response:
    return json_answer({"unassigned": sorted(tenancy_of(estate, request).pushing.unassigned)})


async def _assign(estate: Estate, request: Request) -> Response:
    tenancy = tenancy_of(estate, request)
    order = decoded(await request.body(), AssignOrder)
    if unknown := [one for one in order.employee_ids if one not in tenancy.company.people]:
        raise BadRequest(400, f"there is no worker {unknown[0]!r}")
    unassigned = tenancy.pushing.unassigned
    if order.assigned:
        unassigned.difference_update(order.employee_ids)
    else:
        unassigned.update(order.employee_ids)
    return json_answer({"unassigned": sorted(unassigned)})


async def _wrong_mapping(estate: Estate, request: Request) -> Response:
    tenancy = tenancy_of(estate, request)
    order = decoded(await request.body(), WrongMappingOrder)
    try:
        chosen = tenancy.pushing.unassign(tenancy.company, order.count)
    except ValueError as error:
        raise BadRequest(400, str(error)) from error
    return json_answer({"unassigned": sorted(chosen)})


async def _mended_mapping(estate: Estate, request: Request) -> Response:
    tenancy_of(estate, request).pushing.unassigned.clear()
    return Response(status_code=204)


def _told(tenancy: Tenancy, key: str) -> dict[str, Any]:
    group = tenancy.pushing.groups[key]
    return {
        "key": key,
        "name": group.name,
        "department": group.department,
        "members": sum(1 for _ in members_of(tenancy.company, group)),
    }
