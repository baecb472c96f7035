"""Whom a source could not tell: noted once, decided by an admin, followed by the source's next try."""

from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import pytest
from starlette.types import ASGIApp

from stoa.access.permissions import Role
from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import PersonId, SourceId, TenantId
from stoa.people import actions, deciding
from stoa.people.deciding_queries import Decision, DecisionsAsk, DecisionState, beside, decisions_page
from stoa.people.matching import Word
from stoa.people.merging import merge
from stoa.people.merging_model import MergeAsk
from stoa.people.model import Asserted, Provisioned, Refused
from stoa.people.pages import people_pages
from stoa.people.refs import REFERENCES
from stoa.tenants.queries import tenant as tenant_of

from ..conftest import MakeTenant
from ..web.signed_in import Browsers, application_of, browsers, text_of
from .api import client_of, key
from .making import apply, plan, report, source, sync


@pytest.fixture
def app(database: Database) -> ASGIApp:
    return application_of(database, people_pages)


@pytest.fixture
async def people(app: ASGIApp, database: Database) -> AsyncGenerator[Browsers]:
    async with browsers(app, database) as signed_in:
        yield signed_in


_SAID = {"user_name": "ada", "email": "ada@acme.example", "employee_id": "E1"}
ADA = Asserted(_SAID, True, "00u1", {"userName": "ada"})


class Two:
    """A tenant with two people of one employee id, and a provider that sends it."""

    def __init__(self, database: Database, tenant_id: TenantId, okta: SourceId) -> None:
        self.database, self.tenant_id, self.okta = database, tenant_id, okta

    async def push(self, asserted: Asserted = ADA) -> Provisioned | Refused:
        async with self.database.tenant(self.tenant_id) as tx:
            return await actions.provision(tx, self.okta, asserted)

    async def only(self, state: DecisionState = DecisionState.OPEN) -> Decision:
        async with self.database.tenant(self.tenant_id) as tx:
            (found,) = (await decisions_page(tx, DecisionsAsk(state))).rows
        return found

    async def decide(self, word: Word, person_id: UUID | None = None, **more: Any) -> Decision:
        found = await self.only()
        async with self.database.tenant(self.tenant_id) as tx:
            return await deciding.decide(tx, found.decision_id, word, person_id, **more)


@pytest.fixture
async def two(database: Database, tenant_id: TenantId) -> Two:
    okta = await source(database, tenant_id, "idp", "Okta")
    for name in ("Workday", "Payroll"):
        hr = await source(database, tenant_id, "hris", name)
        async with database.tenant(tenant_id) as tx:
            said = Asserted({"employee_id": "E1", "display_name": f"Ada of {name}"}, True, name)
            made = await actions.make_record(tx, hr, said, actions.CreateNew())
            assert made is not None
    return Two(database, tenant_id, okta)


async def test_tries_count_up_in_one_row_until_the_source_is_understood(two: Two) -> None:
    for times in (1, 2, 3):
        refused = await two.push()
        assert isinstance(refused, Refused)
        found = await two.only()
        assert (found.times, found.rule, found.subject) == (times, "ambiguous_employee_id", "00u1")
        assert set(found.candidates) == set(refused.candidates)
        assert found.said == ADA
    # The provider corrects it by itself.
    assert isinstance(await two.push(Asserted({"user_name": "ada"}, True, "00u1")), Provisioned)
    assert (await two.only(DecisionState.ENDED)).ended == "understood"


async def test_a_decision_is_followed_once_and_can_be_taken_back_until_then(two: Two) -> None:
    refused = await two.push()
    assert isinstance(refused, Refused)
    person_id = refused.candidates[1]
    decided = await two.decide(Word.PERSON, person_id, note=" Asked HR. ")
    assert (decided.state, decided.person_id, decided.note) == (DecisionState.DECIDED, person_id, "Asked HR.")
    async with two.database.tenant(two.tenant_id) as tx:
        await deciding.revoke(tx, decided.decision_id)
    assert isinstance(await two.push(), Refused)
    with pytest.raises(deciding.DecisionChanged):
        await two.decide(Word.NEW, version=decided.version)
    await two.decide(Word.PERSON, person_id)
    made = await two.push()
    assert isinstance(made, Provisioned)
    assert (made.rule, made.linked, made.record.person_id) == ("decided_by_admin", True, person_id)
    over = await two.only(DecisionState.ENDED)
    assert over.ended == "used"
    async with two.database.tenant(two.tenant_id) as tx:
        with pytest.raises(deciding.DecisionOver):
            await deciding.revoke(tx, over.decision_id)


async def test_whoever_was_merged_twice_is_who_is_left(two: Two) -> None:
    refused = await two.push()
    assert isinstance(refused, Refused)
    asked, between = (PersonId(one) for one in refused.candidates)
    other = await source(two.database, two.tenant_id, "hris", "Third")
    async with two.database.tenant(two.tenant_id) as tx:
        made = await actions.make_record(tx, other, Asserted({"display_name": "Ada"}, True), actions.CreateNew())
        assert made is not None
        left = made.record.person_id
        await merge(tx, MergeAsk(between, asked), REFERENCES)
        await merge(tx, MergeAsk(left, between), REFERENCES)
        assert [one.person.person_id for one in await beside(tx, refused.candidates)] == [left]
    assert (await two.decide(Word.PERSON, asked)).person_id == left
    made = await two.push()
    assert isinstance(made, Provisioned)
    assert made.record.person_id == left


async def test_somebody_new_is_made_at_once_and_somebody_ignored_stays_out(two: Two) -> None:
    await two.push()
    with pytest.raises(deciding.CannotApply):
        async with two.database.tenant(two.tenant_id) as tx:
            await deciding.carry_out(tx, (await two.only()).decision_id)
    ignored = await two.decide(Word.IGNORE)
    refused = await two.push()
    assert isinstance(refused, Refused)
    assert refused.rule == "ignored_by_admin"
    standing = await two.only(DecisionState.DECIDED)
    # What it was refused for at first is kept to be read.
    assert (standing.times, standing.rule, standing.version) == (2, "ambiguous_employee_id", ignored.version)
    async with two.database.tenant(two.tenant_id) as tx:
        await deciding.decide(tx, standing.decision_id, Word.NEW)
        made = await deciding.carry_out(tx, standing.decision_id)
    assert isinstance(made, Provisioned)
    assert (made.rule, made.linked) == ("decided_new", False)
    assert made.record.raw == ADA.raw


async def test_a_report_follows_a_decision_and_conflicts_with_one_that_was_taken_back(two: Two) -> None:
    hr = await source(two.database, two.tenant_id, "hris", "Third")
    rows = [{"external_id": "w1", "employee_id": "E1", "display_name": "Ada"}]
    await sync(two.database, two.tenant_id, hr, report(rows))
    assert (await two.only()).said is not None
    chosen = (await two.only()).candidates[0]
    decided = await two.decide(Word.PERSON, chosen)
    planned = await plan(two.database, two.tenant_id, hr, report(rows))
    assert planned.counts == {"link": 1}
    async with two.database.tenant(two.tenant_id) as tx:
        await deciding.revoke(tx, decided.decision_id)
    await apply(two.database, two.tenant_id, planned)
    async with two.database.tenant(two.tenant_id) as tx:
        left = await tx.fetchrow("SELECT state, note FROM change WHERE run_id = $1", planned.run_id)
        assert left is not None
        assert (left["state"], left["note"]["code"]) == ("conflict", "decision_revoked")
    await two.decide(Word.PERSON, chosen)
    from_report = await sync(two.database, two.tenant_id, hr, report(rows))
    assert from_report.counts == {"link": 1}
    over = await two.only(DecisionState.ENDED)
    assert (over.decision_id, over.ended) == (decided.decision_id, "used")


async def test_the_inbox_over_http(two: Two, people: Browsers, make_tenant: MakeTenant) -> None:
    refused = await two.push()
    assert isinstance(refused, Refused)
    found = await two.only()
    async with two.database.tenant(two.tenant_id) as tx:
        base = f"/console/t/{(await tenant_of(tx)).slug}/people/decisions"
    viewer, admin = (
        await people.of(Role.TENANT_VIEWER, two.tenant_id),
        await people.of(Role.TENANT_ADMIN, two.tenant_id),
    )
    inbox = await viewer.get(base, params={"q": "0U1", "filter": 'state eq "open" and source eq "okta"'})
    assert inbox.status_code == 200
    assert "Several people have this employee id" in text_of(inbox)
    one = f"{base}/{found.decision_id}"
    seen = await viewer.get(one)
    assert "Ada of Workday" in text_of(seen)
    assert "Ada of Payroll" in text_of(seen)
    assert 'name="who"' not in seen.text
    assert (await viewer.post(one, data={"who": "new"})).status_code == 403

    nobody = await admin.post(one, data={"who": "other", "person": "me", "version": str(found.version)})
    assert nobody.status_code == 422
    assert "Who it is has not been said" in text_of(nobody)
    late = await admin.post(one, data={"who": "new", "version": str(found.version + 1)})
    assert late.status_code == 409
    chosen = {"who": str(refused.candidates[0]), "version": str(found.version), "note": "Asked."}
    assert (await admin.post(one, data=chosen)).status_code == 303
    assert "It is somebody known" in text_of(await viewer.get(one))
    assert (await admin.post(f"{one}/revoke")).status_code == 303
    address = f"https://stoa.example/console/t/acme/people/{refused.candidates[1]}"
    await admin.post(one, data={"who": "other", "person": address})
    done = await admin.post(f"{one}/carry-out")
    assert done.status_code == 303
    assert str(refused.candidates[1]) in done.headers["location"]
    assert "The source followed the decision" in text_of(await viewer.get(one))
    assert (await viewer.get(f"{base}/ended.csv")).text.count("\n") == 2

    other = await people.of(Role.TENANT_ADMIN, await make_tenant(name="Other"))
    async with two.database.tenant(two.tenant_id) as tx:
        assert (await other.get(one)).status_code == 404


async def test_claims_are_set_on_a_page_and_told(two: Two, people: Browsers) -> None:
    sign_in = await source(two.database, two.tenant_id, "idp", "Okta sign-in")
    async with two.database.tenant(two.tenant_id) as tx:
        base = f"/console/t/{(await tenant_of(tx)).slug}/people/matching"
    viewer, admin = [await people.of(role, two.tenant_id) for role in (Role.TENANT_VIEWER, Role.TENANT_ADMIN)]
    assert "they stay apart" in text_of(await viewer.get(base))
    address = f"{base}/{two.okta}"
    assert (await viewer.post(address, data={f"of-{sign_in}": "user_name"})).status_code == 403
    assert (await admin.post(address, data={f"of-{sign_in}": "shoe_size"})).status_code == 422
    assert (await admin.post(address, data={f"of-{two.okta}": "user_name"})).status_code == 422
    for _ in range(2):
        assert (await admin.post(address, data={f"of-{sign_in}": "user_name"})).status_code == 303
    assert "the same user name" in text_of(await viewer.get(base))
    async with two.database.tenant(two.tenant_id) as tx:
        told = await tx.fetch(
            "SELECT body FROM event WHERE tenant_id = $1 AND type = 'source.claims_changed'", tx.tenant_id
        )
    assert [row["body"]["after"] for row in told] == [{str(sign_in): "user_name"}]


async def test_over_the_api_an_open_one_is_found_decided_and_followed(
    server: embedded.Server, database: Database, two: Two, make_tenant: MakeTenant
) -> None:
    refused = await two.push()
    assert isinstance(refused, Refused)
    assert "Who is it?" in refused.detail
    async with client_of(server, database, two.tenant_id) as client:
        listed = await client.get("/v1/decisions", params={"filter": 'state eq "open" and source eq "okta"'})
        assert listed.status_code == 200, listed.text
        (found,) = listed.json()["items"]
        assert (found["subject"], found["said"]["employee_id"], found["times"]) == ("00u1", "E1", 1)
        for text in ('rule sw "amb"', "times gt 0", 'subject co "0u"', 'began_at gt "2020-01-01T00:00:00Z"', "id pr"):
            again = await client.get("/v1/decisions", params={"filter": text, "updated_since": found["began_at"]})
            assert [item["id"] for item in again.json()["items"]] == [found["id"]], again.text
        one = f"/v1/decisions/{found['id']}"
        etag = (await client.get(one)).headers["etag"]
        nobody = await client.post(f"{one}/decide", json={"verdict": "person"}, headers=key())
        assert nobody.status_code == 400
        said = {"verdict": "person", "person_id": found["candidates"][0], "note": "Asked HR."}
        decided = await client.post(f"{one}/decide", json=said, headers={"If-Match": etag, **key()})
        assert (decided.status_code, decided.json()["state"]) == (200, "decided")
        late = await client.post(f"{one}/revoke", headers={"If-Match": etag, **key()})
        assert late.status_code == 412
        assert (await client.post(f"{one}/revoke", headers=key())).json()["state"] == "open"
        done = await client.post(f"{one}/decide", json=said | {"at_once": True}, headers=key())
        assert (done.json()["state"], done.json()["ended"]) == ("ended", "used")
        over = await client.post(f"{one}/decide", json=said, headers=key())
        assert (over.status_code, over.json()["code"]) == (409, "decision_over")
    async with client_of(server, database, await make_tenant(name="Other")) as stranger:
        assert (await stranger.get(one)).status_code == 404
        assert (await stranger.get("/v1/decisions")).json()["items"] == []
