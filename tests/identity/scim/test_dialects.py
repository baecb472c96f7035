"""What identity providers send, as operations of the RFC. Pure."""

from typing import Any

import pytest

from stoa.identity.scim.catalogue import CATALOGUE
from stoa.identity.scim.dialects import CLIENTS, entra, normalised_patch, normalised_resource
from stoa.identity.scim.errors import ScimError, ScimType
from stoa.identity.scim.lists.searching import compiled
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, Document
from stoa.identity.scim.schemas import USERS
from tests.identity.scim.factories import MANAGER, sent, user

WORK_MAIL = 'emails[type eq "work"].value'
CUSTOM = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"

PATCHES: list[tuple[str, Document, list[dict[str, Any]], Document]] = [
    ("entra, default: disable", {}, [{"op": "Replace", "path": "active", "value": "False"}], {"active": False}),
    ("entra, default: enable", {"active": False}, [{"op": "Add", "path": "active", "value": "true"}], {"active": True}),
    ("entra, flagged: disable", {}, [{"op": "replace", "path": "active", "value": False}], {"active": False}),
    (
        "entra, default: each attribute has its operation",
        {"displayName": "x"},
        [
            {"op": "Add", "path": "title", "value": "Dr"},
            {"op": "Replace", "path": "displayName", "value": "Ada"},
            {"op": "Add", "path": f"{ENTERPRISE_SCHEMA}:department", "value": "Sales"},
        ],
        {"displayName": "Ada", "title": "Dr", ENTERPRISE_SCHEMA: {"department": "Sales"}},
    ),
    (
        "entra, flagged: single values together, filtered paths apart",
        {},
        [
            {"op": "add", "path": WORK_MAIL, "value": "a@b"},
            {
                "op": "replace",
                "value": {
                    "displayName": "Ada",
                    "name.givenName": "Ada",
                    "name.familyName": "Lovelace",
                    f"{ENTERPRISE_SCHEMA}:employeeNumber": "7",
                },
            },
        ],
        {
            "displayName": "Ada",
            "name": {"givenName": "Ada", "familyName": "Lovelace"},
            "emails": [{"type": "work", "value": "a@b"}],
            ENTERPRISE_SCHEMA: {"employeeNumber": "7"},
        },
    ),
    (
        "entra: a filtered path as a key",
        {},
        [{"op": "add", "value": {WORK_MAIL: "a@b", 'phoneNumbers[type eq "mobile"].value': "1"}}],
        {"emails": [{"type": "work", "value": "a@b"}], "phoneNumbers": [{"type": "mobile", "value": "1"}]},
    ),
    (
        "entra: the missing element is made with its type",
        {},
        [{"op": "Replace", "path": 'addresses[type eq "work"].streetAddress', "value": "1 Way"}],
        {"addresses": [{"type": "work", "streetAddress": "1 Way"}]},
    ),
    (
        "entra: primary as text in the filter",
        {},
        [{"op": "Add", "path": 'roles[primary eq "True"].value', "value": "teacher"}],
        {"roles": [{"primary": True, "value": "teacher"}]},
    ),
    (
        "entra: primary as text in an element",
        {},
        [{"op": "Add", "path": "emails", "value": [{"value": "a@b", "primary": "True", "$ref": None}]}],
        {"emails": [{"value": "a@b", "primary": True}]},
    ),
    (
        "entra: the manager as a plain id",
        {},
        [{"op": "Add", "path": MANAGER, "value": "m1"}],
        {ENTERPRISE_SCHEMA: {"manager": {"value": "m1"}}},
    ),
    (
        "entra: the manager as a list",
        {},
        [{"op": "Add", "path": MANAGER, "value": [{"$ref": "http://x/Users/m1", "value": "m1"}]}],
        {ENTERPRISE_SCHEMA: {"manager": {"$ref": "http://x/Users/m1", "value": "m1"}}},
    ),
    (
        "entra: the manager as a list with a null reference",
        {},
        [{"op": "Add", "path": MANAGER, "value": [{"$ref": None, "value": "m1"}]}],
        {ENTERPRISE_SCHEMA: {"manager": {"value": "m1"}}},
    ),
    (
        "entra: no manager any more",
        {ENTERPRISE_SCHEMA: {"manager": {"value": "m1"}, "division": "d"}},
        [{"op": "Replace", "path": MANAGER, "value": ""}],
        {ENTERPRISE_SCHEMA: {"division": "d"}},
    ),
    (
        "entra: no manager's value any more",
        {ENTERPRISE_SCHEMA: {"manager": {"value": "m1", "$ref": "http://x"}}},
        [{"op": "Replace", "path": f"{MANAGER}.value", "value": ""}],
        {},
    ),
    (
        "entra: an attribute of the extension without its schema",
        {},
        [{"op": "Add", "path": "manager", "value": "m1"}, {"op": "Add", "value": {"department": "Sales"}}],
        {ENTERPRISE_SCHEMA: {"manager": {"value": "m1"}, "department": "Sales"}},
    ),
    (
        "entra: values to take away in the value",
        {"emails": [{"value": "a@b"}, {"value": 'c"d'}, {"value": "e@f"}]},
        [
            {
                "op": "Remove",
                "path": "emails",
                "value": [{"value": "a@b", "$ref": None}, {"value": 'c"d'}, {"value": "no"}],
            }
        ],
        {"emails": [{"value": "e@f"}]},
    ),
    (
        "entra: an extension of the customer's own",
        {},
        [{"op": "Add", "path": f"{CUSTOM}:tag", "value": "x"}, {"op": "add", "value": {f"{CUSTOM}:size": 4}}],
        {CUSTOM: {"tag": "x", "size": 4}},
    ),
    ("okta: deactivate", {}, [{"op": "replace", "value": {"active": False}}], {"active": False}),
    (
        "okta: what only the server may say is passed over",
        {},
        [{"op": "replace", "value": {"id": "x", "schemas": ["y"], "meta": {}, "groups": [], "displayName": "Ada"}}],
        {"displayName": "Ada"},
    ),
    ("okta: nothing else in it", {}, [{"op": "replace", "value": {"id": "x"}}], {}),
    (
        "python-scim: an extension with schemas",
        {},
        [{"op": "add", "path": ENTERPRISE_SCHEMA, "value": {"schemas": [ENTERPRISE_SCHEMA], "department": "x"}}],
        {ENTERPRISE_SCHEMA: {"department": "x"}},
    ),
    (
        "jumpcloud: one operation for each attribute",
        {},
        [
            {"op": "replace", "path": "name.givenName", "value": "Ada"},
            {"op": "replace", "path": "title", "value": "Countess"},
            {"op": "replace", "path": "active", "value": False},
        ],
        {"name": {"givenName": "Ada"}, "title": "Countess", "active": False},
    ),
    (
        "members of a message in any case",
        {},
        [{"OP": "REPLACE", "Path": "title", "Value": "Dr"}],
        {"title": "Dr"},
    ),
]


@pytest.mark.parametrize(("before", "operations", "after"), [case[1:] for case in PATCHES], ids=[c[0] for c in PATCHES])
def test_a_clients_patch_does_what_the_client_means_once_or_twice(
    before: Document, operations: list[dict[str, Any]], after: Document
) -> None:
    once = sent(user(**before), *operations)
    assert once == user(**after)
    assert sent(once, *operations) == once


MALFORMED: list[tuple[str, Any, ScimType]] = [
    ("no object", [], ScimType.INVALID_SYNTAX),
    ("no operations", {"schemas": []}, ScimType.INVALID_SYNTAX),
    ("no list", {"Operations": {"op": "add"}}, ScimType.INVALID_SYNTAX),
    ("an empty list", {"Operations": []}, ScimType.INVALID_SYNTAX),
    ("null", {"Operations": None}, ScimType.INVALID_SYNTAX),
    ("an operation that is none", {"Operations": ["add"]}, ScimType.INVALID_SYNTAX),
    ("no verb", {"Operations": [{"path": "title", "value": "x"}]}, ScimType.INVALID_SYNTAX),
    ("another verb", {"Operations": [{"op": "move", "path": "title", "value": "x"}]}, ScimType.INVALID_SYNTAX),
    ("a verb of another type", {"Operations": [{"op": 1}]}, ScimType.INVALID_SYNTAX),
    ("a path of another type", {"Operations": [{"op": "add", "path": 5, "value": 1}]}, ScimType.INVALID_PATH),
    ("no value", {"Operations": [{"op": "replace", "path": "title"}]}, ScimType.INVALID_VALUE),
    ("too many", {"Operations": [{"op": "remove", "path": "title"}] * 1001}, ScimType.INVALID_VALUE),
]


@pytest.mark.parametrize(("body", "expected"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_a_malformed_patch_is_refused(body: Any, expected: ScimType) -> None:
    with pytest.raises(ScimError) as refused:
        normalised_patch(USERS, body)
    assert (refused.value.scim_type, refused.value.http_status) == (expected, 400)


def test_a_resource_gets_real_booleans_and_references() -> None:
    given = {
        "active": "True",
        "emails": [{"value": "a@b", "primary": "false"}],
        "title": "True",
        ENTERPRISE_SCHEMA.lower(): {"manager": "m1", "department": "False"},
        CUSTOM: {"active": "True"},
    }
    assert normalised_resource(USERS, given) == {
        "active": True,
        "emails": [{"value": "a@b", "primary": False}],
        "title": "True",
        ENTERPRISE_SCHEMA.lower(): {"manager": {"value": "m1"}, "department": "False"},
        CUSTOM: {"active": "True"},
    }


def test_onelogins_template_gives_lists_and_the_manager_by_its_name_of_today() -> None:
    given = {
        "id": None,
        "active": "True",
        "emails": {"value": "a@b", "primary": "true"},
        "name": {"givenName": "Ada"},
        ENTERPRISE_SCHEMA: {"department": "", "manager": {"managerId": "m1", "displayName": "Boss"}},
        CUSTOM: {"emails": {"value": "x"}},
    }
    assert normalised_resource(USERS, given) == {
        "id": None,
        "active": True,
        "emails": [{"value": "a@b", "primary": True}],
        "name": {"givenName": "Ada"},
        ENTERPRISE_SCHEMA: {"department": "", "manager": {"value": "m1", "displayName": "Boss"}},
        CUSTOM: {"emails": {"value": "x"}},
    }
    both = {ENTERPRISE_SCHEMA: {"manager": {"managerId": "old", "value": "new"}}}
    assert normalised_resource(USERS, both) == {ENTERPRISE_SCHEMA: {"manager": {"value": "new"}}}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ('email Co "a@b"', 'emails co "a@b"'),
        (
            'username Eq "x" and not (Email pr or active eq true)',
            'userName eq "x" and not (emails pr or active eq true)',
        ),
        ('email[type eq "work"] or email.value sw "a"', 'emails[type eq "work"] or emails.value sw "a"'),
        ('userName eq "email"', 'userName eq "email"'),
    ],
)
def test_pings_filters_mean_the_e_mails_of_scim_2(given: str, meant: str) -> None:
    assert compiled(CATALOGUE, given) == compiled(CATALOGUE, meant)


def test_clients_whose_ways_are_known_say_where_they_are_documented() -> None:
    assert len({client.name for client in CLIENTS}) == len(CLIENTS) == 6
    assert all(page.startswith("https://") for client in CLIENTS for page in client.pages)


@pytest.mark.parametrize(
    "unchanged", [5, None, [1], {"active": "maybe", "emails": "x", "name": 7, ENTERPRISE_SCHEMA: 3}]
)
def test_what_no_dialect_knows_passes_to_the_core_as_it_is(unchanged: Any) -> None:
    assert normalised_resource(USERS, unchanged) == unchanged


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/t/a/scim/v2/Users", "aadOptscim062020", ("/t/a/scim/v2/Users", "")),
        ("/t/a/scim/v2/Users", "aadOptscim062020&filter=x", ("/t/a/scim/v2/Users", "filter=x")),
        ("/t/a/scim/v2/Users", "filter=x&aadOptscim062020", ("/t/a/scim/v2/Users", "filter=x")),
        ("/t/a/scim/v2/Users", "filter=x?aadOptscim062020", ("/t/a/scim/v2/Users", "filter=x")),
        ("/t/a/scim/v2/Users", "a=1&aadOptscim062020=&b=2", ("/t/a/scim/v2/Users", "a=1&b=2")),
        ("/t/a/scim/v2", "aadOptscim062020/Users?filter=x", ("/t/a/scim/v2/Users", "filter=x")),
        ("/t/a/scim/v2/", "aadOptscim062020/Users/1", ("/t/a/scim/v2/Users/1", "")),
        ("/t/a/scim/v2/?aadOptscim062020/Users", "filter=x", ("/t/a/scim/v2/Users", "filter=x")),
        ("/t/a/scim/v2/Users/1?aadOptscim062020", "", ("/t/a/scim/v2/Users/1", "")),
        ("/t/a/scim/v2/Users", "AADOPTSCIM062020", ("/t/a/scim/v2/Users", "")),
    ],
)
def test_entras_flag_is_taken_out_wherever_it_was_joined(path: str, query: str, expected: tuple[str, str]) -> None:
    assert entra.has_flag(path, query)
    assert entra.without_flag(path, query) == expected
