"""Okta as a SCIM client: the requests of its protocol reference, in both modes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from urllib.parse import quote

import pytest

from stoa_simulators.company import Company, Person, Status
from stoa_simulators.scim_client import Mode, Okta, OktaMode
from stoa_simulators.scim_client.profile import ENTERPRISE_SCHEMA, PATCH_SCHEMA
from tests.stoa_simulators.conftest import ForeignServer, Push

Pushes = Callable[[Okta], Push]
OIN, AIW = Okta(OktaMode.OIN), Okta(OktaMode.AIW)


def somebody(company: Company) -> Person:
    return list(company.with_status(Status.ACTIVE))[12]


def change(company: Company, person: Person, **fields: object) -> Person:
    changed = replace(person, **fields)
    company.people[person.employee_id] = changed
    return changed


def leave(company: Company, person: Person, day: date | None = None) -> Person:
    return change(company, person, status=Status.TERMINATED, termination_date=day or company.today)


async def test_first_cycle_asks_for_everyone_and_creates_the_active(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company = make_company()
    okta = push(OIN)
    report = await okta(company, Mode.FULL)
    active = list(company.with_status(Status.ACTIVE))
    assert (report.created, report.failed, report.people) == (len(active), 0, len(active))
    assert report.requests == 1 + 2 * len(active) == len(foreign.sent)
    assert foreign.sent[0].query == "startIndex=1&count=2"
    queries = {sent.query for sent in foreign.of("GET")[1:]}
    text = quote(f'userName eq "{active[3].email}"', safe="")
    assert f"filter={text}&startIndex=1&count=100" in queries
    assert {user["userName"] for user in foreign.users.values()} == {person.email for person in active}


async def test_create_sends_what_okta_sends(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company = make_company()
    person = somebody(company)
    await push(OIN)(company, Mode.FULL)
    sent = next(sent for sent in foreign.of("POST") if sent.body["userName"] == person.email)
    assert sent.headers["user-agent"] == "Okta SCIM Client 1.0.0"
    assert sent.headers["content-type"] == "application/scim+json; charset=utf-8"
    assert sent.headers["authorization"] == "Bearer secret"
    body = sent.body
    assert body["active"] is True
    assert body["groups"] == []
    assert body["emails"] == [{"primary": True, "value": person.email, "type": "work"}]
    assert body["externalId"].startswith("00u")
    assert len(body["externalId"]) == 20
    manager = company.people[person.manager_employee_id or ""]
    assert body[ENTERPRISE_SCHEMA] == {
        "employeeNumber": person.employee_id,
        "department": person.department,
        "division": person.division,
        "costCenter": person.cost_center,
        "organization": "Acme",
        "manager": {"value": manager.employee_id, "displayName": manager.display_name},
    }


async def test_a_second_delta_sends_nothing_but_the_connection_test(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, okta = make_company(), push(OIN)
    await okta(company, Mode.FULL)
    report = await okta(company)
    assert len(foreign.sent) == report.requests == 1
    assert report.unchanged == report.people


async def test_user_already_there_is_read_and_put(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company = make_company()
    await push(OIN)(company, Mode.FULL)
    report = await push(OIN)(company, Mode.FULL)
    assert report.updated == report.people
    assert not foreign.of("POST")
    assert len(foreign.of("PUT")) == report.people


async def test_rename_puts_the_whole_user_and_keeps_what_okta_does_not_know(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, okta = make_company(), push(OIN)
    await okta(company, Mode.FULL)
    leaf = next(
        p
        for p in company.with_status(Status.ACTIVE)
        if p.employee_id not in {q.manager_employee_id for q in company.people.values()}
    )
    scim_id = okta.directory.accounts[leaf.employee_id].scim_id
    foreign.users[scim_id]["nickName"] = "kept"
    change(company, leaf, family_name="Ćwikła", email="new.name@acme.example")
    report = await okta(company)
    assert [(sent.method, sent.path) for sent in foreign.sent[1:]] == [
        ("GET", f"/Users/{scim_id}"),
        ("PUT", f"/Users/{scim_id}"),
    ]
    body = foreign.sent[-1].body
    assert (body["id"], body["userName"], body["nickName"]) == (scim_id, "new.name@acme.example", "kept")
    assert body["name"]["familyName"] == "Ćwikła"
    assert report.updated == 1


async def test_oin_deactivates_and_reactivates_by_patch(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, okta = make_company(), push(OIN)
    await okta(company, Mode.FULL)
    person = somebody(company)
    scim_id = okta.directory.accounts[person.employee_id].scim_id
    leave(company, person)
    assert (await okta(company)).deactivated == 1
    patch = foreign.sent[-1]
    assert (patch.method, patch.path) == ("PATCH", f"/Users/{scim_id}")
    assert patch.body == {
        "schemas": [PATCH_SCHEMA],
        "Operations": [{"op": "replace", "value": {"active": False}}],
    }
    change(company, person)
    assert (await okta(company)).reactivated == 1
    assert foreign.sent[1].body["Operations"] == [{"op": "replace", "value": {"active": True}}]
    assert foreign.users[scim_id]["active"] is True


async def test_aiw_deactivates_and_reactivates_by_put(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, okta = make_company(), push(AIW)
    await okta(company, Mode.FULL)
    person = somebody(company)
    scim_id = okta.directory.accounts[person.employee_id].scim_id
    leave(company, person)
    await okta(company)
    assert [sent.method for sent in foreign.sent[1:]] == ["GET", "PUT"]
    assert foreign.sent[-1].body["active"] is False
    assert foreign.sent[-1].body["userName"] == person.email
    change(company, person)
    await okta(company)
    assert [sent.method for sent in foreign.sent[1:]] == ["GET", "PUT"]
    assert foreign.users[scim_id]["active"] is True


async def test_okta_never_deletes(push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]) -> None:
    company, okta = make_company(), push(OIN)
    await okta(company, Mode.FULL)
    leave(company, somebody(company))
    await okta(company)
    company.today = company.today.replace(year=company.today.year + 1)
    assert (await okta(company)).deleted == 0
    assert not foreign.of("DELETE")


async def test_leavers_can_lag_behind_hr(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, okta = make_company(), push(OIN)
    await okta(company, Mode.FULL)
    person = leave(company, somebody(company))
    assert (await okta(company, leaver_lag_days=1)).deactivated == 0
    leave(company, person, company.today.replace(day=1))
    assert (await okta(company, leaver_lag_days=1)).deactivated == 1


@pytest.mark.parametrize("dialect", [OIN, AIW])
async def test_weeks_of_deltas_end_in_the_truth(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company], dialect: Okta
) -> None:
    company, okta = make_company(size=80), push(dialect)
    await okta(company, Mode.FULL)
    seen = [0, 0, 0, 0]
    for _ in range(14):
        company.advance(1)
        report = await okta(company)
        assert report.failed == 0
        found = (report.created, report.updated, report.deactivated, report.reactivated)
        seen = [total + count for total, count in zip(seen, found, strict=True)]
    assert all(seen)
    there = {user["userName"] for user in foreign.users.values() if user["active"]}
    assert there == {person.email for person in company.with_status(Status.ACTIVE)}
