"""Group push: the requests of each provider, what it remembers, and that its groups end as the provider has them."""

from collections.abc import Callable
from typing import Any

import pytest

from stoa_simulators.company import Company, Status
from stoa_simulators.pushing import PushedGroup, Pushing
from stoa_simulators.scim_client import CycleReport, Dialect, Entra, GroupMode, Mode, Okta, OktaMode
from tests.stoa_simulators.conftest import ForeignServer, Push, Sent
from tests.stoa_simulators.test_simulated_okta import change, leave

OIN, AIW = Okta(OktaMode.OIN), Okta(OktaMode.AIW)
DEFAULT, FLAGGED = Entra(flagged=False), Entra(flagged=True)
EVERY = [OIN, AIW, DEFAULT, FLAGGED]


class Application:
    """A company's application at a provider, with its groups."""

    def __init__(self, push: Push, company: Company) -> None:
        self.push, self.company, self.pushing = push, company, Pushing()

    def group(self, name: str, count: int, key: str = "g") -> None:
        active = [one.employee_id for one in self.company.with_status(Status.ACTIVE)]
        self.pushing.groups[key] = PushedGroup(name, employee_ids=frozenset(active[:count]))

    async def cycle(self, mode: Mode = Mode.DELTA, **more: Any) -> CycleReport:
        wanted, unassigned = self.pushing.wanted(self.company), self.pushing.unassigned
        report = await self.push(self.company, mode, groups=wanted, unassigned=unassigned, **more)
        assert report.errors == []
        return report

    def names(self, key: str = "g") -> set[str]:
        ids = self.pushing.wanted(self.company)[key].members
        return {self.company.people[one].email for one in ids}

    @property
    def sent(self) -> list[Sent]:
        return [one for one in self.push.server.sent if one.path.startswith("/Groups")]

    @property
    def operations(self) -> list[dict[str, Any]]:
        return [one for sent in self.sent if sent.method == "PATCH" for one in sent.body["Operations"]]


Make = Callable[[Dialect], Application]


@pytest.fixture
def make(push: Callable[[Dialect], Push], make_company: Callable[..., Company]) -> Make:
    return lambda dialect: Application(push(dialect), make_company(size=30))


@pytest.mark.parametrize("dialect", EVERY)
async def test_a_group_lives_as_the_provider_has_it(make: Make, foreign: ForeignServer, dialect: Dialect) -> None:
    app = make(dialect)
    app.group("Engineers", 5)
    report = await app.cycle(Mode.FULL)
    assert (report.groups_created, report.members_added, report.groups_changed) == (1, 5, 1)
    assert foreign.members("Engineers") == app.names()
    report = await app.cycle()
    assert (report.groups_unchanged, app.sent) == (1, [])
    app.group("Engineers", 3)
    report = await app.cycle()
    assert (report.members_removed, foreign.members("Engineers")) == (2, app.names())
    app.group("Engineers", 0)
    await app.cycle()
    assert foreign.members("Engineers") == set()
    app.group("Makers", 7)
    await app.cycle()
    assert foreign.members("Makers") == app.names()
    assert len(app.names()) == 7
    assert len(foreign.groups) == 1
    del app.pushing.groups["g"]
    assert (await app.cycle()).groups_deleted == 1
    assert foreign.groups == {}


async def test_okta_looks_a_group_up_by_name_and_pushes_portions(make: Make) -> None:
    app = make(OIN)
    app.group("Engineers", 2)
    await app.cycle(Mode.FULL)
    assert app.sent[0].query == "filter=displayName%20eq%20%22Engineers%22&startIndex=1&count=100"
    assert app.sent[1].body == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Engineers",
        "members": [],
    }
    (added,) = app.operations
    assert (added["op"], added["path"]) == ("add", "members")
    assert all(set(one) == {"value", "display"} for one in added["value"])
    app.group("Engineers", 1)
    await app.cycle()
    assert [(one["op"], one["path"][:18]) for one in app.operations] == [("remove", 'members[value eq "')]
    app.group("Makers", 1)
    await app.cycle()
    scim_id = app.push.directory.groups["g"].scim_id
    assert app.operations == [{"op": "replace", "value": {"id": scim_id, "displayName": "Makers"}}]


@pytest.mark.parametrize(("dialect", "verb"), [(OIN, "PATCH"), (AIW, "PUT")])
async def test_push_now_replaces_whatever_the_server_has(
    make: Make, foreign: ForeignServer, dialect: Okta, verb: str
) -> None:
    app = make(dialect)
    app.group("Engineers", 4)
    await app.cycle(Mode.FULL)
    group = next(iter(foreign.groups.values()))
    group["members"] = group["members"][:1]
    assert (await app.cycle()).groups_unchanged == 1
    await app.cycle(group_mode=GroupMode.PUSH_NOW)
    assert [one.method for one in app.sent] == [verb]
    assert foreign.members("Engineers") == app.names()
    app.group("Engineers", 0)
    await app.cycle(group_mode=GroupMode.PUSH_NOW)
    assert group["members"] == []
    app.group("Engineers", 4)
    await app.cycle(group_mode=GroupMode.NONE)
    assert (app.sent, group["members"]) == ([], [])


@pytest.mark.parametrize("dialect", EVERY)
async def test_a_full_cycle_tells_the_server_again(make: Make, foreign: ForeignServer, dialect: Dialect) -> None:
    app = make(dialect)
    app.group("Engineers", 4)
    await app.cycle(Mode.FULL)
    next(iter(foreign.groups.values()))["members"] = []
    report = await app.cycle(Mode.FULL)
    assert (report.groups_changed, len(foreign.groups)) == (1, 1)
    assert foreign.members("Engineers") == app.names()


async def test_a_group_that_is_there_is_taken_over(make: Make, foreign: ForeignServer) -> None:
    for dialect in EVERY:
        foreign.users.clear()
        foreign.groups.clear()
        foreign.groups["old"] = {"id": "old", "displayName": "Engineers", "members": []}
        app = make(dialect)
        app.group("Engineers", 3)
        report = await app.cycle(Mode.FULL)
        assert (report.groups_created, list(foreign.groups)) == (0, ["old"])
        assert foreign.members("Engineers") == app.names()


@pytest.mark.parametrize(("dialect", "verb"), [(DEFAULT, "Remove"), (FLAGGED, "remove")])
async def test_entra_reads_without_members_and_removes_in_its_dialect(make: Make, dialect: Entra, verb: str) -> None:
    app = make(dialect)
    app.group("Engineers", 2)
    await app.cycle(Mode.FULL)
    queries = [one.query.removeprefix("aadOptscim062020&") for one in app.sent if one.method == "GET"]
    look_up = "excludedAttributes=members&filter=displayName+eq+%22Engineers%22"
    assert queries == [look_up, "excludedAttributes=members"]
    assert app.sent[1].body["externalId"]
    app.group("Engineers", 1)
    await app.cycle()
    (removed,) = app.operations
    assert removed["op"] == verb
    by_filter = removed["path"].startswith('members[value eq "')
    assert by_filter is dialect.flagged
    assert by_filter or removed["value"][0]["$ref"] is None


async def test_a_leaver_leaves_oktas_groups_and_stays_in_entras(make: Make, foreign: ForeignServer) -> None:
    for dialect, stays in ((OIN, False), (AIW, False), (DEFAULT, True), (FLAGGED, True)):
        foreign.users.clear()
        foreign.groups.clear()
        app = make(dialect)
        app.group("Engineers", 4)
        await app.cycle(Mode.FULL)
        somebody = next(p for p in app.company.with_status(Status.ACTIVE) if p.email in app.names())
        leave(app.company, somebody)
        await app.cycle()
        assert (somebody.email in foreign.members("Engineers")) is stays
        change(app.company, somebody)
        report = await app.cycle()
        # Entra sends nothing on revival; what was pushed once is still there.
        assert report.members_added == (0 if stays else 1)
        assert foreign.members("Engineers") == app.names()


async def test_entra_deletes_after_thirty_days_and_forgets_the_membership(make: Make, foreign: ForeignServer) -> None:
    app = make(DEFAULT)
    app.group("Engineers", 4)
    await app.cycle(Mode.FULL)
    somebody = next(p for p in app.company.with_status(Status.ACTIVE) if p.email in app.names())
    leave(app.company, somebody)
    await app.cycle()
    app.company.today = app.company.today.replace(month=4)
    report = await app.cycle()
    assert (report.deleted, report.members_removed, len(foreign.of("DELETE"))) == (1, 0, 1)
    assert somebody.employee_id not in app.push.directory.groups["g"].members


async def test_a_group_that_vanished_is_made_again_by_the_next_cycle(make: Make, foreign: ForeignServer) -> None:
    app = make(OIN)
    app.group("Engineers", 2)
    await app.cycle(Mode.FULL)
    foreign.groups.clear()
    app.group("Engineers", 3)
    report = await app.push(app.company, groups=app.pushing.wanted(app.company))
    assert report.errors == [f"PATCH /Groups/{'group-1'}: 404 no such group"]
    await app.cycle()
    assert foreign.members("Engineers") == app.names()


async def test_a_wrong_mapping_deactivates_as_many_as_it_says(make: Make, foreign: ForeignServer) -> None:
    app = make(OIN)
    await app.cycle(Mode.FULL)
    gone = app.pushing.unassign(app.company, 9)
    assert (await app.cycle()).deactivated == 9
    inactive = {user["userName"] for user in foreign.users.values() if not user["active"]}
    assert inactive == {app.company.people[one].email for one in gone}
    app.pushing.unassigned.clear()
    assert (await app.cycle()).reactivated == 9


async def test_memory_holds_no_more_than_what_is_pushed(make: Make) -> None:
    app = make(OIN)
    for turn in range(6):
        app.group(f"Group {turn}", 5 if turn % 2 else 20)
        await app.cycle(Mode.FULL if turn == 0 else Mode.DELTA)
    assert len(app.push.directory.groups) == 1
    assert len(app.push.directory.groups["g"].members) == 5


async def test_more_members_than_a_portion_go_in_portions(
    push: Callable[[Dialect], Push], make_company: Callable[..., Company], foreign: ForeignServer
) -> None:
    app = Application(push(OIN), make_company(size=260))
    app.group("Everybody", 230)
    await app.cycle(Mode.FULL)
    assert [len(one["value"]) for one in app.operations] == [100, 100, 30]
    assert len(foreign.members("Everybody")) == 230
