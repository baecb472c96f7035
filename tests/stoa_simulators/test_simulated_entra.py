"""Entra as a SCIM client: the default dialect and the one of aadOptscim062020."""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote_plus

import pytest

from stoa_simulators.company import Company, Person, Status
from stoa_simulators.scim_client import Entra, Mode
from stoa_simulators.scim_client.profile import ENTERPRISE_SCHEMA, PATCH_SCHEMA
from tests.stoa_simulators.conftest import ForeignServer, Push
from tests.stoa_simulators.test_simulated_okta import change, leave

Pushes = Callable[[Entra], Push]
DEFAULT, FLAGGED = Entra(flagged=False), Entra(flagged=True)
DEPARTMENT = f"{ENTERPRISE_SCHEMA}:department"
MAIL = 'emails[type eq "work"].value'


def with_phone(company: Company) -> Person:
    return next(p for p in company.with_status(Status.ACTIVE) if p.phone and p.manager_employee_id)


async def provisioned(entra: Push, company: Company) -> Person:
    assert (await entra(company, Mode.FULL)).failed == 0
    return with_phone(company)


async def test_create_carries_nulls_and_no_manager(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, entra = make_company(), push(DEFAULT)
    person = await provisioned(entra, company)
    body = next(sent.body for sent in foreign.of("POST") if sent.body["userName"] == person.email)
    assert body["active"] is True
    assert body["addresses"] is None
    assert body["meta"] == {"resourceType": "User"}
    assert body[ENTERPRISE_SCHEMA]["manager"] is None
    assert any(sent.body["phoneNumbers"] is None for sent in foreign.of("POST"))
    assert body["emails"] == [{"primary": True, "type": "work", "value": person.email}]


async def test_pre_check_is_by_user_name_or_with_the_flag_by_external_id(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company = make_company()
    person = await provisioned(push(DEFAULT), company)
    text = quote_plus(f'userName eq "{person.email}"')
    assert f"filter={text}" in {sent.query for sent in foreign.of("GET")}
    foreign.users.clear()
    await provisioned(push(FLAGGED), company)
    assert all(sent.query.startswith("aadOptscim062020") for sent in foreign.sent)
    gets = foreign.of("GET")[1:]
    assert all(sent.query.startswith("aadOptscim062020&filter=externalId+eq+%22") for sent in gets)


async def test_managers_are_linked_once_both_exist(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, entra = make_company(), push(DEFAULT)
    person = await provisioned(entra, company)
    account = entra.directory.accounts[person.employee_id]
    manager = entra.directory.accounts[person.manager_employee_id or ""]
    sent = next(sent for sent in foreign.of("PATCH") if sent.path == f"/Users/{account.scim_id}")
    assert sent.body["Operations"] == [
        {
            "op": "Add",
            "path": f"{ENTERPRISE_SCHEMA}:manager",
            "value": [{"$ref": f"http://scim.test/scim/v2/Users/{manager.scim_id}", "value": manager.scim_id}],
        }
    ]
    methods = [sent.method for sent in foreign.sent]
    assert methods.index("PATCH") > len(methods) - 1 - methods[::-1].index("POST")
    assert len(foreign.of("PATCH")) == len(entra.directory.accounts) - 1


async def test_flagged_manager_is_a_plain_id_and_a_new_one_replaces_it(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, entra = make_company(), push(FLAGGED)
    person = await provisioned(entra, company)
    other = next(p for p in company.with_status(Status.ACTIVE) if p.employee_id != person.manager_employee_id)
    change(company, person, manager_employee_id=other.employee_id)
    report = await entra(company)
    assert report.managers_linked == 1
    assert foreign.sent[-1].body["Operations"] == [
        {
            "op": "replace",
            "path": f"{ENTERPRISE_SCHEMA}:manager",
            "value": entra.directory.accounts[other.employee_id].scim_id,
        }
    ]


async def test_default_dialect_gives_each_attribute_its_own_operation(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, entra = make_company(), push(DEFAULT)
    person = await provisioned(entra, company)
    change(company, person, email="n@acme.example", department="Ops", phone="")
    assert (await entra(company)).updated == 1
    body = foreign.sent[-1].body
    assert body["schemas"] == [PATCH_SCHEMA]
    assert body["Operations"] == [
        {"op": "Replace", "path": "userName", "value": "n@acme.example"},
        {"op": "Replace", "path": MAIL, "value": "n@acme.example"},
        {"op": "Replace", "path": DEPARTMENT, "value": "Ops"},
        {"op": "Remove", "path": 'phoneNumbers[type eq "work"].value'},
    ]


async def test_flagged_dialect_gathers_single_values_in_one_operation_without_a_path(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, entra = make_company(), push(FLAGGED)
    person = await provisioned(entra, company)
    change(company, person, email="n@acme.example", department="Ops", given_name="Zoë", preferred_name="Z")
    await entra(company)
    family = person.family_name
    assert foreign.sent[-1].body["Operations"] == [
        {"op": "replace", "path": MAIL, "value": "n@acme.example"},
        {
            "op": "replace",
            "value": {
                "userName": "n@acme.example",
                "displayName": f"Z {family}",
                "name.givenName": "Zoë",
                "name.formatted": f"Zoë {family}",
                DEPARTMENT: "Ops",
            },
        },
    ]


@pytest.mark.parametrize("dialect", [DEFAULT, FLAGGED])
async def test_a_phone_that_was_absent_is_added(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company], dialect: Entra
) -> None:
    company, entra = make_company(), push(dialect)
    await provisioned(entra, company)
    person = next(p for p in company.with_status(Status.ACTIVE) if not p.phone)
    change(company, person, phone="+1 2")
    await entra(company)
    op = "add" if dialect.flagged else "Add"
    path = 'phoneNumbers[type eq "work"].value'
    assert foreign.sent[-1].body["Operations"] == [{"op": op, "path": path, "value": "+1 2"}]


@pytest.mark.parametrize(
    ("dialect", "op", "off", "on"), [(DEFAULT, "Replace", "False", "True"), (FLAGGED, "replace", False, True)]
)
async def test_leaver_is_disabled_and_rehire_enabled(
    push: Pushes,
    foreign: ForeignServer,
    make_company: Callable[..., Company],
    dialect: Entra,
    op: str,
    off: object,
    on: object,
) -> None:
    company, entra = make_company(), push(dialect)
    person = await provisioned(entra, company)
    scim_id = entra.directory.accounts[person.employee_id].scim_id
    leave(company, person)
    assert (await entra(company)).deactivated == 1
    assert foreign.sent[-1].body["Operations"] == [{"op": op, "path": "active", "value": off}]
    change(company, person)
    report = await entra(company)
    assert (report.reactivated, report.created) == (1, 0)
    assert foreign.sent[-1].path == f"/Users/{scim_id}"
    assert foreign.sent[-1].body["Operations"] == [{"op": op, "path": "active", "value": on}]


async def test_disabled_user_is_deleted_thirty_days_later_and_a_rehire_is_created_anew(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, entra = make_company(), push(DEFAULT)
    person = await provisioned(entra, company)
    scim_id = entra.directory.accounts[person.employee_id].scim_id
    leave(company, person)
    await entra(company)
    company.today += timedelta(days=29)
    assert (await entra(company)).deleted == 0
    company.today += timedelta(days=1)
    assert (await entra(company)).deleted == 1
    assert [sent.path for sent in foreign.of("DELETE")] == [f"/Users/{scim_id}"]
    change(company, person)
    assert (await entra(company)).created == 1


async def test_user_found_by_the_pre_check_is_patched_only_where_it_differs(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company = make_company()
    person = await provisioned(push(DEFAULT), company)
    user = next(user for user in foreign.users.values() if user["userName"] == person.email)
    user["title"], user["active"] = "Stranger", False
    entra = push(DEFAULT)
    report = await entra(company, Mode.FULL)
    assert (report.updated, report.created) == (1, 0)
    first = next(sent for sent in foreign.of("PATCH") if sent.path == f"/Users/{user['id']}")
    assert first.body["Operations"] == [
        {"op": "Replace", "path": "active", "value": "True"},
        {"op": "Replace", "path": "title", "value": person.title},
    ]


@pytest.mark.parametrize("dialect", [DEFAULT, FLAGGED])
async def test_weeks_of_deltas_send_every_kind_of_request(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company], dialect: Entra
) -> None:
    company, entra = make_company(size=80), push(dialect)
    await provisioned(entra, company)
    seen = [0, 0, 0, 0, 0]
    for _ in range(14):
        company.advance(1)
        report = await entra(company)
        assert report.failed == 0
        found = (report.created, report.updated, report.deactivated, report.reactivated, report.managers_linked)
        seen = [total + count for total, count in zip(seen, found, strict=True)]
    assert all(seen)
    active = {person.employee_id for person in company.with_status(Status.ACTIVE)}
    assert sum(user["active"] for user in foreign.users.values()) == len(active)
