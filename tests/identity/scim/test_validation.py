"""Documents of POST and PUT against the schema. Pure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.identity.scim.errors import ScimError, ScimType
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, USER_SCHEMA
from stoa.identity.scim.rules import created, replaced
from stoa.identity.scim.schemas import USERS
from stoa.identity.scim.validation import MAX_EXTENSIONS, clean_document

CUSTOM = "urn:example:custom:1.0:User"


def test_names_are_spelt_as_the_schema_spells_them_and_values_stay() -> None:
    given_body = {
        "SCHEMAS": [USER_SCHEMA],
        "username": " Ada ",
        "NAME": {"GivenName": "Ada", "familyname": None},
        "Emails": [{"Value": "a@b", "TYPE": "Work"}, None, {}],
        ENTERPRISE_SCHEMA.upper(): {"DEPARTMENT": "x", "Manager": {"Value": "m", "$REF": None}},
        CUSTOM: {"Deep": {"a": [1, None, 2.5, True]}, "gone": None},
    }
    assert clean_document(USERS, given_body) == {
        "userName": " Ada ",
        "name": {"givenName": "Ada"},
        "emails": [{"value": "a@b", "type": "Work"}],
        ENTERPRISE_SCHEMA: {"department": "x", "manager": {"value": "m"}},
        CUSTOM: {"Deep": {"a": [1, 2.5, True]}},
    }


def test_nulls_empty_lists_and_what_the_server_says_are_passed_over() -> None:
    body = {
        "userName": "ada",
        "addresses": None,
        "roles": [],
        "name": {},
        ENTERPRISE_SCHEMA: {"manager": None},
        "id": "x",
        "meta": {"resourceType": "User"},
        "groups": [{"value": "g"}],
        "password": "secret",
    }
    assert clean_document(USERS, body) == {"userName": "ada"}


REFUSED: list[tuple[str, Any, ScimType, str]] = [
    ("null", None, ScimType.INVALID_SYNTAX, "null"),
    ("a list", [], ScimType.INVALID_SYNTAX, "a list"),
    ("a string", "x", ScimType.INVALID_SYNTAX, "a string"),
    ("no user name", {}, ScimType.INVALID_VALUE, "userName"),
    ("an empty user name", {"userName": ""}, ScimType.INVALID_VALUE, "userName"),
    ("a null user name", {"userName": None}, ScimType.INVALID_VALUE, "userName"),
    ("a numeric user name", {"userName": 5}, ScimType.INVALID_VALUE, "a number"),
    ("an unknown attribute", {"userName": "a", "shoeSize": 9}, ScimType.INVALID_SYNTAX, "shoeSize"),
    ("an unknown sub-attribute", {"userName": "a", "name": {"nick": "x"}}, ScimType.INVALID_SYNTAX, "nick"),
    ("an unknown one in an element", {"userName": "a", "emails": [{"x": 1}]}, ScimType.INVALID_SYNTAX, "emails[0]"),
    ("an unknown one of an extension", {"userName": "a", ENTERPRISE_SCHEMA: {"x": 1}}, ScimType.INVALID_SYNTAX, "'x'"),
    ("twice", {"userName": "a", "USERNAME": "b"}, ScimType.INVALID_SYNTAX, "twice"),
    (
        "an extension twice",
        {"userName": "a", ENTERPRISE_SCHEMA: {"division": "x"}, ENTERPRISE_SCHEMA.upper(): {"division": "y"}},
        ScimType.INVALID_SYNTAX,
        "twice",
    ),
    ("an object for a list", {"userName": "a", "emails": {"value": "x"}}, ScimType.INVALID_VALUE, "an object"),
    ("texts for objects", {"userName": "a", "emails": ["x"]}, ScimType.INVALID_VALUE, "emails[0]"),
    ("a list for an extension", {"userName": "a", ENTERPRISE_SCHEMA: []}, ScimType.INVALID_VALUE, "a list"),
    ("a text for a boolean", {"userName": "a", "active": "yes"}, ScimType.INVALID_VALUE, "active"),
    ("schemas that are no list", {"userName": "a", "schemas": "x"}, ScimType.INVALID_SYNTAX, "schemas"),
    ("schemas that are no texts", {"userName": "a", "schemas": [1]}, ScimType.INVALID_SYNTAX, "schemas"),
    ("the core schema as an extension", {"userName": "a", USER_SCHEMA: {"title": "x"}}, ScimType.INVALID_SYNTAX, "top"),
    ("too long", {"userName": "a" * 1001}, ScimType.INVALID_VALUE, "1001"),
    ("too long an address", {"userName": "a", "emails": [{"value": "a" * 321}]}, ScimType.INVALID_VALUE, "321"),
    ("NUL", {"userName": "a\0"}, ScimType.INVALID_VALUE, "U+0000"),
    ("a bell", {"userName": "a", "title": "\x07"}, ScimType.INVALID_VALUE, "U+0007"),
    ("half of a pair", {"userName": "a", "title": "\ud800"}, ScimType.INVALID_VALUE, "U+D800"),
    ("NUL in an unknown schema", {"userName": "a", CUSTOM: {"x": ["\0"]}}, ScimType.INVALID_VALUE, "U+0000"),
    ("NUL in its names", {"userName": "a", CUSTOM: {"\0": 1}}, ScimType.INVALID_VALUE, "U+0000"),
    ("NUL in a schema's name", {"userName": "a", "urn:\0": {"a": 1}}, ScimType.INVALID_VALUE, "U+0000"),
    ("a huge number", {"userName": "a", CUSTOM: {"x": 10**30}}, ScimType.INVALID_VALUE, "64 bits"),
    ("no number", {"userName": "a", CUSTOM: {"x": float("inf")}}, ScimType.INVALID_VALUE, "number"),
    (
        "many schemas",
        {"userName": "a"} | {f"urn:x:{i}": {"a": 1} for i in range(MAX_EXTENSIONS + 1)},
        ScimType.INVALID_VALUE,
        "extensions",
    ),
]


@pytest.mark.parametrize(("body", "expected", "named"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_a_document_that_is_none_is_refused_with_what_and_where(body: Any, expected: ScimType, named: str) -> None:
    with pytest.raises(ScimError) as refused:
        clean_document(USERS, body)
    assert (refused.value.scim_type, refused.value.http_status) == (expected, 400)
    assert named in refused.value.detail


def test_what_nests_too_deeply_is_refused() -> None:
    deep: Any = "x"
    for _ in range(30):
        deep = [deep]
    with pytest.raises(ScimError, match="nests"):
        clean_document(USERS, {"userName": "a", CUSTOM: {"x": deep}})


def test_line_breaks_and_every_script_are_text() -> None:
    body = {"userName": "Łucja Ñandú 李", "addresses": [{"formatted": "1 Way\r\nTown\t7"}], "title": "🎓"}
    assert clean_document(USERS, body) == body


def test_a_new_user_is_active_unless_said_otherwise() -> None:
    assert created(USERS, {"userName": "a"}) == {"userName": "a", "active": True}
    assert created(USERS, {"userName": "a", "active": False})["active"] is False


def test_a_put_leaves_nothing_but_what_it_says_and_the_state() -> None:
    before = {"userName": "a", "title": "Dr", "active": False, CUSTOM: {"x": 1}}
    assert replaced(USERS, before, {"userName": "b"}) == {"userName": "b", "active": False}
    assert replaced(USERS, before, {"userName": "b", "active": True}) == {"userName": "b", "active": True}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
_names = st.sampled_from([one.name for one in USERS.schema.attributes] + [ENTERPRISE_SCHEMA, CUSTOM]) | st.text(
    max_size=8
)


@given(st.dictionaries(_names, _json, max_size=6))
def test_cleaning_what_is_clean_changes_nothing(body: dict[str, Any]) -> None:
    try:
        cleaned = clean_document(USERS, body | {"userName": "ada"})
    except ScimError as error:
        cleaned = {"userName": f"refused {error.http_status:d}"}
        assert error.scim_type is not None  # noqa: PT017 - either outcome is right, and each has its own condition
    assert clean_document(USERS, cleaned) == cleaned
