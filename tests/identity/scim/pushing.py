"""A tenant to which a history of requests happens over HTTP, beside a plain model of what each provider has set."""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx2
from starlette.applications import Starlette

from stoa.changes import actions as change_actions
from stoa.changes import queries as runs
from stoa.changes.model import NewRun, Run, RunKind, RunState
from stoa.composition import references
from stoa.identity.scim.bulk.model import BULK_REQUEST
from stoa.identity.scim.routes import scim_routes
from stoa.kernel.ids import RunId, new_id
from stoa.kernel.problems import Problem
from stoa.people.arriving import Arriving, arrive
from stoa.people.authority import set_authority
from stoa.people.deciding import decide
from stoa.people.groups_target import Groups
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.matching import Word
from stoa.people.merging import merge
from stoa.people.merging_model import MergeAsk
from stoa.people.recompute import recompute_everybody
from stoa.people.roles_actions import add_rule
from stoa.people.roles_model import Role
from stoa.people.splitting import split
from stoa.people.target import People
from stoa.people.thresholds import set_guard
from stoa.tenants.actions import ensure_source
from stoa.tenants.queries import tenant as tenant_of
from tests.identity.conftest import HOST, Scim, issue, patch_body
from tests.people import group_runs
from tests.people.conftest import World
from tests.people.making import apply

from .histories import Admin, Arrive, Bulk, Delete, Patch, Post, Push, Put
from .plain_patch import Json, Refused, Step, after, sent

PROVIDERS = ("Okta", "Entra")


@dataclass
class Provider:
    """One identity provider, and what it has set. said: of `active`, where the document no longer says."""

    scim: Scim
    entra: bool
    users: dict[str, Json] = field(default_factory=dict[str, Json])
    said: dict[str, bool] = field(default_factory=dict[str, bool])
    groups: dict[str, tuple[str, set[str]]] = field(default_factory=dict[str, tuple[str, set[str]]])

    def user(self, pick: int) -> str | None:
        ids = sorted(self.users)
        return ids[pick % len(ids)] if ids else None

    def set(self, identity: str, document: Json) -> None:
        self.users[identity] = document
        self.said[identity] = document.get("active", self.said.get(identity, True))

    def drop(self, identity: str) -> None:
        del self.users[identity]
        for _, members in self.groups.values():
            members.discard(identity)


def _spelt(part: Any) -> Any:
    """As Entra ID spells it: booleans as text."""
    match part:
        case bool():
            return str(part)
        case dict():
            return {name: _spelt(value) for name, value in part.items()}
        case list():
            return [_spelt(one) for one in part]
        case _:
            return part


@dataclass
class Tenant:
    """A tenant to which a history happens. moments: the times of its steps."""

    world: World
    http: httpx2.AsyncClient
    providers: list[Provider]
    moments: list[datetime]

    @classmethod
    async def found(cls, world: World, *, guarded: bool) -> "Tenant":
        """One of which nothing is known yet. guarded: whether more than one effect of a kind waits."""
        tenant_id = await world.tenant()
        app = Starlette(routes=list(scim_routes(world.database, base_url=HOST)))
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=HOST)
        async with world.database.tenant(tenant_id) as tx:
            slug = (await tenant_of(tx)).slug
            for kind in GuardKind:
                await set_guard(tx, kind, None, Guard(enabled=guarded, absolute=1, floor=1, percent=100))
        providers = [
            Provider(Scim(http, slug, tenant_id, await issue(world.database, tenant_id, source=name)), name == "Entra")
            for name in PROVIDERS
        ]
        return cls(world, http, providers, [world.now])

    @property
    def tenant_id(self) -> Any:
        return self.providers[0].scim.tenant_id

    async def happen(self, step: object) -> None:
        """Lets a step happen, at a moment of its own."""
        self.world.pass_time(minutes=7)
        match step:
            case Post(number, body):
                await self._post(self.providers[number], dict(body))
            case Bulk(number, several):
                await self._bulk(self.providers[number], [dict(body) for body in several])
            case Put(number, pick, body):
                await self._put(self.providers[number], pick, dict(body))
            case Patch(number, pick, wanted):
                await self._patch(self.providers[number], pick, list(wanted))
            case Delete(number, pick):
                await self._delete(self.providers[number], pick)
            case Push():
                await self._push(self.providers[step.provider], step)
            case Arrive(subject, email):
                await self._arrive(subject, email)
            case Admin():
                await self._administer(step)
            case _:
                raise AssertionError(step)
        self.moments.append(self.world.now)

    # -------------------------------------------------------------- users

    async def _post(self, one: Provider, body: Json) -> None:
        answer = await one.scim("POST", "/Users", _spelt(body) if one.entra else body)
        self._made(one, body, answer.status_code, answer.json().get("id"))

    async def _bulk(self, one: Provider, several: list[Json]) -> None:
        operations = [
            {"method": "POST", "path": "/Users", "bulkId": str(n), "data": body} for n, body in enumerate(several)
        ]
        answer = await one.scim("POST", "/Bulk", {"schemas": [BULK_REQUEST], "Operations": operations})
        assert answer.status_code == 200, answer.text
        for body, told in zip(several, answer.json()["Operations"], strict=True):
            self._made(one, body, int(told["status"]), told.get("location", "").rpartition("/")[2])

    def _made(self, one: Provider, body: Json, status: int, identity: str) -> None:
        assert status in {201, 409}
        named = [
            known
            for known, document in one.users.items()
            if document["userName"].casefold() == body["userName"].casefold()
            or (body.get("externalId") and document.get("externalId") == body["externalId"])
        ]
        if any(one.said[known] for known in named) or len(named) > 1:
            assert status == 409
        if status == 201:
            assert not named or named == [identity]
            one.set(identity, _cleaned({"active": True} | body))

    async def _put(self, one: Provider, pick: int, body: Json) -> None:
        identity = one.user(pick)
        if identity is None:
            return
        answer = await one.scim("PUT", f"/Users/{identity}", body)
        self._check_taken(one, identity, body, answer)
        if answer.status_code == 200:
            standing = one.users[identity]
            kept = {"active": standing["active"]} if "active" in standing else {}
            one.set(identity, _cleaned(kept | body))

    async def _patch(self, one: Provider, pick: int, wanted: list[Step]) -> None:
        identity = one.user(pick)
        if identity is None:
            return
        operations, refused = [sent(step) for step in wanted], ""
        if one.entra:
            operations = [_spelt(told) | {"op": told["op"].capitalize()} for told in operations]
        answer = await one.scim("PATCH", f"/Users/{identity}", patch_body(*operations))
        try:
            document = after(one.users[identity], wanted)
        except Refused as error:
            document, refused = None, error.scim_type
        if document is None:
            assert (answer.status_code, answer.json().get("scimType")) == (400, refused), answer.text
            return
        self._check_taken(one, identity, document, answer)
        if answer.status_code == 200:
            one.set(identity, document)

    def _check_taken(self, one: Provider, identity: str, wanted: Json, answer: httpx2.Response) -> None:
        taken = any(
            known["userName"].casefold() == wanted["userName"].casefold()
            or (wanted.get("externalId") and known.get("externalId") == wanted["externalId"])
            for other, known in one.users.items()
            if other != identity
        )
        assert answer.status_code == (409 if taken else 200), answer.text

    async def _delete(self, one: Provider, pick: int) -> None:
        identity = one.user(pick)
        if identity is not None:
            assert (await one.scim("DELETE", f"/Users/{identity}")).status_code == 204
            one.drop(identity)

    # -------------------------------------------------------------- groups

    async def _push(self, one: Provider, step: Push) -> None:
        members = {found for pick in step.picks if (found := one.user(pick)) is not None}
        values = [{"value": identity} for identity in sorted(members)]
        known = next((identity for identity, (name, _) in one.groups.items() if name == step.name), None)
        if known is None:
            answer = await one.scim("POST", "/Groups", {"displayName": step.name, "members": values})
            assert answer.status_code == 201, answer.text
            one.groups[answer.json()["id"]] = (step.name, members)
            return await self._give_role(UUID(answer.json()["id"]))
        if step.how == "delete":
            assert (await one.scim("DELETE", f"/Groups/{known}")).status_code == 204
            del one.groups[known]
            return None
        if step.how == "put":
            answer = await one.scim("PUT", f"/Groups/{known}", {"displayName": step.name, "members": values})
        else:
            told = patch_body({"op": step.how, "path": "members", "value": values})
            answer = await one.scim("PATCH", f"/Groups/{known}", told)
        assert answer.status_code in {200, 204}, answer.text
        name, standing = one.groups[known]
        if step.how == "remove":
            # A list of nobody takes nobody away.
            members = standing - members
        one.groups[known] = (name, standing | members if step.how == "add" else members)
        return None

    async def _give_role(self, group_id: UUID) -> None:
        async with self.world.database.tenant(self.tenant_id) as tx:
            known = "SELECT EXISTS (SELECT FROM role_rule WHERE tenant_id = $1 AND group_id = $2)"
            if not await tx.fetchval(known, self.tenant_id, group_id):
                await add_rule(tx, group_id, Role.AUTHOR)

    # -------------------------------------------------------------- others

    async def _arrive(self, subject: str, email: str) -> None:
        async with self.world.database.tenant(self.tenant_id) as tx:
            source = await ensure_source(tx, "idp", "Sign-in")
            await arrive(tx, source.source_id, Arriving("https://id", subject, email, email, email_verified=True))

    async def _administer(self, step: Admin) -> None:
        try:
            match step.what:
                case "merge":
                    await self._merge(step)
                case "split":
                    await self._split(step.one)
                case "decide":
                    await self._decide(step)
                case "rank":
                    await self._rank(step)
                case "approve" | "reject":
                    await self._answer_held(step.one, approve=step.what == "approve")
                case _:
                    await self.undo(self.providers[step.one % 2], self.moments[-1 - step.other % len(self.moments)])
        except Problem as problem:
            assert problem.status < 500, problem  # noqa: PT017 - whatever cannot be done is refused with a reason

    async def _merge(self, step: Admin) -> None:
        async with self.world.database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch(
                "SELECT person_id FROM person WHERE tenant_id = $1 AND merged_into IS NULL ORDER BY person_id",
                self.tenant_id,
            )
            people = [row["person_id"] for row in rows]
            if len(people) > 1 and people[step.one % len(people)] != people[step.other % len(people)]:
                await merge(
                    tx, MergeAsk(people[step.one % len(people)], people[step.other % len(people)]), references()
                )

    async def _split(self, pick: int) -> None:
        async with self.world.database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch("SELECT run_id FROM person_merge WHERE state = 'merged' ORDER BY run_id")
            if rows:
                await split(tx, rows[pick % len(rows)]["run_id"])

    async def _decide(self, step: Admin) -> None:
        async with self.world.database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch("SELECT decision_id FROM decision WHERE resolved_at IS NULL ORDER BY decision_id")
            people = await tx.fetch("SELECT person_id FROM person WHERE merged_into IS NULL ORDER BY person_id")
            if rows and people:
                word = list(Word)[step.other % 3]
                person = people[step.one % len(people)]["person_id"] if word is Word.PERSON else None
                await decide(tx, rows[step.one % len(rows)]["decision_id"], word, person)

    async def _rank(self, step: Admin) -> None:
        sources = [one.scim.issued.source_id for one in self.providers]
        name = ("email", "employee_id", "title", "active")[step.one % 4]
        async with self.world.database.tenant(self.tenant_id) as tx:
            await set_authority(tx, {name: sources[:: 1 - 2 * (step.other % 2)]})
        async with self.world.database.tenant(self.tenant_id, role="sync") as tx:
            assert await recompute_everybody(tx, RunId(new_id()), after=None, limit=1_000) is None

    async def undo(self, one: Provider, since: datetime) -> int:
        """All that a provider did since a moment, undone; how much of it conflicted. The model learns what stands."""
        source_id = one.scim.issued.source_id
        database = self.world.database
        groups = await group_runs.undo_since(database, self.tenant_id, source_id, since)
        async with database.tenant(self.tenant_id, role="sync") as tx:
            run = await runs.insert_run(tx, NewRun(RunKind.ROLLBACK, "person", source_id, since=since))
            run = await runs.enter(tx, run, RunState.PLANNING)
            await People().plan_undo_since(tx, run, since)
            counts, conflicts = await runs.count_plan(tx, run.run_id)
            figures = {"conflicts": conflicts}
            run = await runs.enter(tx, run, RunState.PLANNED, counts=counts, figures=figures, planned_at=tx.now)
        await apply(database, self.tenant_id, run, batch_rows=3)
        await self._learn(one)
        return int(groups.figures["conflicts"]) + conflicts

    async def _answer_held(self, pick: int, *, approve: bool) -> None:
        database = self.world.database
        async with database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch("SELECT run_id FROM run WHERE state = 'held' ORDER BY created_at, run_id")
            if not rows:
                return
            held = await runs.run_by_id(tx, rows[pick % len(rows)]["run_id"])
            decided = await (change_actions.approve if approve else change_actions.reject)(tx, held.run_id)
        if approve:
            await self._apply(decided)
            return
        async with database.tenant(self.tenant_id, role="sync") as tx:
            run_id = await tx.fetchval("SELECT run_id FROM run WHERE of_run = $1", held.run_id)
            back = await runs.enter(tx, await runs.run_by_id(tx, run_id), RunState.PLANNING)
            await (Groups() if held.target == "group" else People()).plan_rollback(tx, back, decided)
            counts, conflicts = await runs.count_plan(tx, back.run_id)
            figures = {"conflicts": conflicts}
            back = await runs.enter(tx, back, RunState.PLANNED, counts=counts, figures=figures, planned_at=tx.now)
        await self._apply(back)
        for one in self.providers:
            await self._learn(one)

    async def _apply(self, run: Run) -> None:
        carry_out = group_runs.apply if run.target == "group" else apply
        await carry_out(self.world.database, self.tenant_id, run)

    async def _learn(self, one: Provider) -> None:
        """The provider's state is what the server says now: an admin has changed it."""
        one.users, one.groups = await self.shown(one)
        async with self.world.database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch("SELECT resource_id, asserted_active FROM source_record WHERE present")
            one.said = {str(row["resource_id"]): row["asserted_active"] for row in rows}

    # -------------------------------------------------------------- what the server says

    async def shown(self, one: Provider) -> tuple[dict[str, Json], dict[str, tuple[str, set[str]]]]:
        """Users and groups as the provider reads them, without what the server adds."""
        found = (await one.scim("GET", "/Users", params={"count": "200"})).json()["Resources"]
        listed = (await one.scim("GET", "/Groups", params={"count": "200"})).json()["Resources"]
        groups = {
            group["id"]: (group["displayName"], {member["value"] for member in group.get("members", [])})
            for group in listed
        }
        users: dict[str, Json] = {}
        for user in found:
            belongs = {group["value"] for group in user.pop("groups", [])}
            assert belongs == {identity for identity, (_, members) in groups.items() if user["id"] in members}
            users[user["id"]] = {name: user[name] for name in user if name not in {"id", "schemas", "meta"}}
        return users, groups

    async def check(self) -> None:
        """Each provider reads what it has set, and nothing else."""
        for one in self.providers:
            users, groups = await self.shown(one)
            assert users == one.users
            assert groups == one.groups


def _cleaned(document: Json) -> Json:
    """Without what is empty, which is as good as absent."""
    return {name: deepcopy(value) for name, value in document.items() if value != []}
