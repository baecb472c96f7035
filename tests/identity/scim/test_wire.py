"""From documents to what is asserted, and back. Pure."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from stoa.identity.scim import wire
from stoa.identity.scim.errors import ScimError
from stoa.identity.scim.model import ENTERPRISE_SCHEMA
from stoa.kernel.ids import PersonId, ResourceId, SourceId
from stoa.people.fields import BY_NAME
from stoa.people.model import Record


def values(**document: Any) -> dict[str, Any]:
    """What a document asserts besides its user name."""
    asserted = wire.asserted({"userName": "ada", **document}, active=True)
    return {name: value for name, value in asserted.values.items() if name != "user_name"}


def test_every_attribute_finds_its_field() -> None:
    found = values(
        displayName="Ada L",
        name={"givenName": "Ada", "familyName": "Lovelace"},
        emails=[{"value": "ada@x"}],
        phoneNumbers=[{"value": "1"}],
        title="Countess",
        userType="Employee",
        preferredLanguage="en-GB",
        timezone="Europe/London",
        addresses=[{"locality": "London", "country": "GB"}],
        **{
            ENTERPRISE_SCHEMA: {
                "employeeNumber": "7",
                "costCenter": "c",
                "organization": "o",
                "division": "d",
                "department": "p",
                "manager": {"value": "m"},
            }
        },
    )
    assert found == {
        "display_name": "Ada L",
        "given_name": "Ada",
        "family_name": "Lovelace",
        "email": "ada@x",
        "phone": "1",
        "title": "Countess",
        "worker_type": "Employee",
        "locale": "en-GB",
        "time_zone": "Europe/London",
        "location": "London, GB",
        "employee_id": "7",
        "cost_center": "c",
        "organization": "o",
        "division": "d",
        "department": "p",
        "manager_ref": "m",
    }
    assert found.keys() <= BY_NAME.keys()


@pytest.mark.parametrize(
    ("emails", "expected"),
    [
        ([{"value": "h", "type": "home"}, {"value": "w", "type": "Work"}], "w"),
        ([{"value": "h", "type": "home", "primary": True}, {"value": "w", "type": "work"}], "h"),
        ([{"value": "o"}, {"value": "h", "type": "home"}], "o"),
        ([{"type": "work"}, {"value": "h", "type": "home"}], "h"),
        ([{"value": " ", "type": "work"}], None),
        ([], None),
    ],
)
def test_the_primary_address_counts_else_the_one_for_work_else_the_first(emails: Any, expected: str | None) -> None:
    assert values(emails=emails).get("email") == expected


def test_a_blank_value_asserts_nothing() -> None:
    assert values(title="", displayName="  ", name={"givenName": ""}) == {}


def test_locale_steps_in_for_the_preferred_language() -> None:
    assert values(locale="de-DE")["locale"] == "de-DE"
    assert values(locale="de-DE", preferredLanguage="fr")["locale"] == "fr"


def test_an_address_without_town_is_one_line() -> None:
    assert values(addresses=[{"formatted": "1 Way\nTown"}])["location"] == "1 Way Town"


def test_active_is_the_documents_word_else_what_holds() -> None:
    assert wire.asserted({"userName": "a", "active": False}, active=True).active is False
    assert wire.asserted({"userName": "a"}, active=False).active is False


@pytest.mark.parametrize(
    "document",
    [
        {"userName": "李" * 1000},
        # One character that folds to eighteen.
        {"userName": "\ufdfa" * 200},
        {"userName": "a", "emails": [{"value": "\ufdfa" * 300}]},
        {"userName": "a", "externalId": "李" * 1000},
        {"userName": "a", ENTERPRISE_SCHEMA: {"employeeNumber": "\ufdfa" * 200}},
        {"userName": "a", "displayName": "\ufdfa" * 200},
        {"userName": "a", "roles": [{"value": "x" * 4000}] * 300},
    ],
)
def test_what_no_index_or_row_could_hold_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ScimError, match="bytes"):
        wire.asserted(document, active=True)


def record(raw: dict[str, Any]) -> Record:
    """A stored record."""
    at = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    identity = UUID(int=7)
    return Record(
        source_id=SourceId(identity),
        external_id=str(identity),
        resource_id=ResourceId(identity),
        person_id=PersonId(identity),
        present=True,
        asserted_active=True,
        active=True,
        values={},
        scim_external_id=None,
        raw=raw,
        version=3,
        created_at=at,
        updated_at=at,
    )


def test_what_is_given_back_is_what_was_set_with_schemas_id_and_meta() -> None:
    document = {"userName": "Ada", "title": "Dr", ENTERPRISE_SCHEMA: {"department": "Sales"}}
    stored = wire.stored(document)
    assert stored[wire.FOLDED] == {"title": "dr", "department": "sales"}
    assert wire.rendered(record(stored), "http://x/Users") == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE_SCHEMA],
        "id": str(UUID(int=7)),
        **document,
        "meta": {
            "resourceType": "User",
            "created": "2026-01-02T03:04:05.678000Z",
            "lastModified": "2026-01-02T03:04:05.678000Z",
            "location": f"http://x/Users/{UUID(int=7)}",
            "version": 'W/"3"',
        },
    }
