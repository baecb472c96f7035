"""RFC 7644, section 3.9. Pure."""

import pytest

from stoa.identity.scim.errors import ScimError
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, USER_SCHEMA
from stoa.identity.scim.projection import projected, projection
from stoa.identity.scim.schemas import USERS

DOCUMENT = {
    "schemas": [USER_SCHEMA],
    "id": "1",
    "userName": "ada",
    "name": {"givenName": "Ada", "familyName": "L"},
    "emails": [{"value": "a", "type": "work"}, {"type": "home"}],
    ENTERPRISE_SCHEMA: {"department": "x", "manager": {"value": "m"}},
    "meta": {"location": "l"},
}
ALWAYS = {"schemas": [USER_SCHEMA], "id": "1"}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("userName", {"userName": "ada"}),
        ("USERNAME, name.familyName", {"userName": "ada", "name": {"familyName": "L"}}),
        (f"{USER_SCHEMA}:userName", {"userName": "ada"}),
        ("emails.value", {"emails": [{"value": "a"}]}),
        ("name,name.givenName", {"name": DOCUMENT["name"]}),
        (f"{ENTERPRISE_SCHEMA}:department", {ENTERPRISE_SCHEMA: {"department": "x"}}),
        (f"{ENTERPRISE_SCHEMA}:manager.value", {ENTERPRISE_SCHEMA: {"manager": {"value": "m"}}}),
        (ENTERPRISE_SCHEMA, {ENTERPRISE_SCHEMA: DOCUMENT[ENTERPRISE_SCHEMA]}),
        ("shoeSize", {}),
        ("meta.location", {"meta": {"location": "l"}}),
    ],
)
def test_attributes_name_what_is_returned_besides_id_and_schemas(attributes: str, expected: dict[str, object]) -> None:
    assert projected(DOCUMENT, projection(USERS, attributes, None)) == ALWAYS | expected


@pytest.mark.parametrize(
    ("excluded", "gone", "left"),
    [
        ("emails", ("emails",), {}),
        ("id,schemas", (), {}),
        ("name.givenName", ("name",), {"name": {"familyName": "L"}}),
        (f"emails.type,{ENTERPRISE_SCHEMA}", ("emails", ENTERPRISE_SCHEMA), {"emails": [{"value": "a"}]}),
        ("shoeSize", (), {}),
    ],
)
def test_excluded_attributes_are_left_out(excluded: str, gone: tuple[str, ...], left: dict[str, object]) -> None:
    expected = {name: value for name, value in DOCUMENT.items() if name not in gone} | left
    assert projected(DOCUMENT, projection(USERS, None, excluded)) == expected


def test_without_either_all_is_returned() -> None:
    assert projected(DOCUMENT, projection(USERS, None, "")) == DOCUMENT


def test_both_at_once_are_refused() -> None:
    with pytest.raises(ScimError, match="exclude each other"):
        projection(USERS, "a", "b")


def test_too_many_names_are_refused() -> None:
    with pytest.raises(ScimError, match="At most"):
        projection(USERS, ",".join(["a"] * 300), None)
