"""A small company, and a foreign SCIM server that records what it is sent."""

import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast
from urllib.parse import unquote_plus

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoa_simulators.company import Company
from stoa_simulators.scim_client import CycleReport, Dialect, Directory, Mode, ScimWire, run_cycle

START = date(2026, 3, 2)


@dataclass(frozen=True)
class Sent:
    """A request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any


@dataclass
class ForeignServer:
    """Keeps users and groups by id, of a user's PATCH applies `active` alone, and answers from `script` first."""

    sent: list[Sent] = field(default_factory=list)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    script: deque[tuple[int, dict[str, str], bool]] = field(default_factory=deque)

    def app(self) -> Starlette:
        one, many = "/scim/v2/Users/{id}", "/scim/v2/Users"
        return Starlette(
            routes=[
                Route(many, self._many, methods=["GET", "POST"]),
                Route(one, self._one, methods=["GET", "PUT", "PATCH", "DELETE"]),
                Route("/scim/v2/Groups", self._many_groups, methods=["GET", "POST"]),
                Route("/scim/v2/Groups/{id}", self._one_group, methods=["GET", "PUT", "PATCH", "DELETE"]),
            ]
        )

    def of(self, *methods: str) -> list[Sent]:
        return [sent for sent in self.sent if sent.method in methods]

    async def _record(self, request: Request) -> Any:
        raw = await request.body()
        body = json.loads(raw) if raw else None
        path = request.url.path.removeprefix("/scim/v2")
        self.sent.append(Sent(request.method, path, request.url.query, dict(request.headers), body))
        return body

    async def _many(self, request: Request) -> Response:
        body = await self._record(request)
        scripted = self.script.popleft() if self.script and request.method == "POST" else None
        if scripted is not None and not scripted[2]:
            return JSONResponse({"detail": "scripted"}, scripted[0], headers=scripted[1])
        if request.method == "POST":
            if any(user["userName"] == body["userName"] for user in self.users.values()):
                return JSONResponse({"detail": "taken", "scimType": "uniqueness", "status": "409"}, 409)
            body["id"] = f"id-{len(self.users) + 1}"
            self.users[body["id"]] = body
            if scripted is not None:
                return JSONResponse({"detail": "scripted"}, scripted[0], headers=scripted[1])
            return JSONResponse(body, 201)
        wanted = unquote_plus(request.url.query).partition('eq "')[2].partition('"')[0]
        found = [user for user in self.users.values() if wanted in (user["userName"], user["externalId"])]
        return JSONResponse({"totalResults": len(found), "Resources": found})

    async def _one(self, request: Request) -> Response:
        body = await self._record(request)
        user = self.users.get(request.path_params["id"])
        if user is None:
            return JSONResponse({"detail": "no such user", "status": "404"}, 404)
        match request.method:
            case "PUT":
                user.clear()
                user.update(body)
            case "PATCH":
                self._activate(user, body["Operations"])
            case "DELETE":
                del self.users[user["id"]]
                return Response(status_code=204)
            case _:
                pass
        return JSONResponse(user)

    def members(self, name: str) -> set[str]:
        """The user names of the members of the group of that name."""
        group = next(group for group in self.groups.values() if group["displayName"] == name)
        return {self.users[one]["userName"] for one in group["members"]}

    async def _many_groups(self, request: Request) -> Response:
        body = await self._record(request)
        if request.method == "POST":
            identity = f"group-{len(self.groups) + 1}"
            group: dict[str, Any] = {"id": identity, "displayName": body["displayName"], "members": []}
            self.groups[identity] = group
            return JSONResponse(group, 201)
        wanted = unquote_plus(request.url.query).partition('eq "')[2].partition('"')[0]
        found = [group for group in self.groups.values() if wanted == group["displayName"]]
        return JSONResponse({"totalResults": len(found), "Resources": found})

    async def _one_group(self, request: Request) -> Response:
        body = await self._record(request)
        group = self.groups.get(request.path_params["id"])
        if group is None:
            return JSONResponse({"detail": "no such group", "status": "404"}, 404)
        match request.method:
            case "PUT":
                group.update(displayName=body["displayName"], members=[one["value"] for one in body["members"]])
            case "PATCH":
                for operation in body["Operations"]:
                    self._patch_group(group, operation)
                return Response(status_code=204)
            case "DELETE":
                del self.groups[group["id"]]
                return Response(status_code=204)
            case _:
                pass
        return JSONResponse(group)

    @staticmethod
    def _patch_group(group: dict[str, Any], operation: dict[str, Any]) -> None:
        verb: str = operation["op"].lower()
        path: str | None = operation.get("path")
        value: Any = operation.get("value")
        named = _ids(value)
        if path is None:
            group["displayName"] = value["displayName"]
        elif path == "displayName":
            group["displayName"] = value
        elif path.startswith("members["):
            group["members"] = [one for one in group["members"] if one != path.partition('"')[2].partition('"')[0]]
        elif verb == "add":
            group["members"] += [one for one in named if one not in group["members"]]
        elif verb == "remove":
            group["members"] = [one for one in group["members"] if one not in named]
        else:
            group["members"] = named

    @staticmethod
    def _activate(user: dict[str, Any], operations: list[dict[str, Any]]) -> None:
        for operation in operations:
            value = operation.get("value")
            if operation.get("path") == "active":
                user["active"] = str(value).lower() == "true"
            elif isinstance(value, dict) and "active" in value:
                user["active"] = value["active"]


def _ids(members: Any) -> list[str]:
    return [one["value"] for one in cast("list[dict[str, str]]", members)] if isinstance(members, list) else []


@dataclass
class Push:
    """A provider with its memory, pushing to the foreign server; `waits` are the pauses it asked for."""

    server: ForeignServer
    client: httpx2.AsyncClient
    dialect: Dialect
    directory: Directory = field(default_factory=Directory)
    waits: list[float] = field(default_factory=list)

    async def __call__(self, company: Company, mode: Mode = Mode.DELTA, **options: Any) -> CycleReport:
        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        self.server.sent.clear()
        base_url, headers = "http://scim.test/scim/v2", self.dialect.headers("secret")
        wire = ScimWire(self.client, base_url, headers, self.dialect.flag, sleep)
        return await run_cycle(company, self.dialect, self.directory, wire, mode=mode, **options)


@pytest.fixture
def foreign() -> ForeignServer:
    return ForeignServer()


@pytest.fixture
async def push(foreign: ForeignServer) -> AsyncIterator[Callable[[Dialect], Push]]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=foreign.app())) as client:
        yield lambda dialect: Push(foreign, client, dialect)


@pytest.fixture
def make_company() -> Callable[..., Company]:
    def make(size: int = 60, seed: int = 7, slug: str = "acme", start: date = START) -> Company:
        return Company(slug=slug, name=slug.title(), seed=seed, size=size, domain=f"{slug}.example", start=start)

    return make
