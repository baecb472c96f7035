"""RFC 7644, section 3.5.2, as a pure function."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.identity.scim.errors import ScimError, ScimType
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, USER_SCHEMA, Document, Operation
from stoa.identity.scim.rules import copied
from tests.identity.scim.factories import MANAGER, apply, op, user

WORK: Document = {"type": "work", "value": "a@w"}
HOME: Document = {"type": "home", "value": "a@h", "primary": True}
CUSTOM = "urn:example:params:scim:schemas:extension:custom:2.0:User"

CASES: list[tuple[str, Document, Operation, Document]] = [
    ("3.5.2.1 add a single value", {}, op("add", "title", "Dr"), {"title": "Dr"}),
    ("3.5.2.1 add over a single value", {"title": "Mr"}, op("add", "title", "Dr"), {"title": "Dr"}),
    ("names in any case", {}, op("add", "TITLE", "Dr"), {"title": "Dr"}),
    ("path with the core schema", {}, op("add", f"{USER_SCHEMA}:title", "Dr"), {"title": "Dr"}),
    ("add a sub-attribute", {}, op("add", "name.givenName", "A"), {"name": {"givenName": "A"}}),
    (
        "add to a complex value keeps the rest",
        {"name": {"familyName": "L", "givenName": "X"}},
        op("add", "name", {"givenName": "A"}),
        {"name": {"familyName": "L", "givenName": "A"}},
    ),
    (
        "3.5.2.3 replace a complex value puts what is given",
        {"name": {"familyName": "L", "givenName": "X"}},
        op("replace", "name", {"givenName": "A"}),
        {"name": {"familyName": "L", "givenName": "A"}},
    ),
    (
        "null takes a sub-attribute away",
        {"name": {"familyName": "L", "givenName": "X"}},
        op("replace", "name", {"givenName": None}),
        {"name": {"familyName": "L"}},
    ),
    ("add appends an element", {"emails": [WORK]}, op("add", "emails", [HOME]), {"emails": [WORK, HOME]}),
    ("add of one element without a list", {}, op("add", "emails", WORK), {"emails": [WORK]}),
    ("add of an element that is there", {"emails": [WORK]}, op("add", "emails", [WORK]), {"emails": [WORK]}),
    ("replace puts all elements", {"emails": [WORK]}, op("replace", "emails", [HOME]), {"emails": [HOME]}),
    ("replace by an empty list clears", {"emails": [WORK]}, op("replace", "emails", []), {}),
    ("replace by null clears", {"title": "Dr"}, op("replace", "title", None), {}),
    (
        "a new primary takes the place of the old one",
        {"emails": [HOME]},
        op("add", "emails", [WORK | {"primary": True}]),
        {"emails": [HOME | {"primary": False}, WORK | {"primary": True}]},
    ),
    (
        "replace in the chosen element",
        {"emails": [WORK, HOME]},
        op("replace", 'emails[type eq "work"].value', "n@w"),
        {"emails": [WORK | {"value": "n@w"}, HOME]},
    ),
    (
        "the filter is case-insensitive",
        {"emails": [WORK]},
        op("replace", 'emails[TYPE eq "WORK"].Value', "n@w"),
        {"emails": [WORK | {"value": "n@w"}]},
    ),
    (
        "replace the chosen element as a whole keeps what chose it",
        {"emails": [WORK | {"display": "x"}]},
        op("replace", 'emails[type eq "work"]', {"value": "n@w"}),
        {"emails": [{"type": "work", "value": "n@w"}]},
    ),
    (
        "add to the chosen element",
        {"emails": [WORK]},
        op("add", 'emails[type eq "work"]', {"display": "x"}),
        {"emails": [WORK | {"display": "x"}]},
    ),
    (
        "an element is made where the operation creates",
        {"emails": [HOME]},
        op("add", 'emails[type eq "work"].value', "n@w", creates=True),
        {"emails": [HOME, {"type": "work", "value": "n@w"}]},
    ),
    (
        "what is made fulfils the whole filter",
        {},
        op("add", 'addresses[type eq "work" and primary eq true].country', "NL", creates=True),
        {"addresses": [{"type": "work", "primary": True, "country": "NL"}]},
    ),
    (
        "a sub-attribute of every element",
        {"emails": [WORK, HOME]},
        op("replace", "emails.display", "x"),
        {"emails": [WORK | {"display": "x"}, HOME | {"display": "x"}]},
    ),
    ("a sub-attribute where there is no element", {}, op("add", "emails.value", "x@y"), {"emails": [{"value": "x@y"}]}),
    ("3.5.2.2 remove", {"title": "Dr"}, op("remove", "title"), {}),
    ("remove what is not there", {}, op("remove", "title"), {}),
    (
        "remove a sub-attribute",
        {"name": {"familyName": "L", "givenName": "A"}},
        op("remove", "name.givenName"),
        {"name": {"familyName": "L"}},
    ),
    ("remove the last sub-attribute", {"name": {"givenName": "A"}}, op("remove", "name.givenName"), {}),
    ("remove chosen elements", {"emails": [WORK, HOME]}, op("remove", 'emails[type eq "work"]'), {"emails": [HOME]}),
    ("remove the last element", {"emails": [WORK]}, op("remove", 'emails[type eq "work"]'), {}),
    ("remove no element", {"emails": [HOME]}, op("remove", 'emails[type eq "work"]'), {"emails": [HOME]}),
    (
        "an element without value and with labels alone is gone",
        {"emails": [WORK, HOME]},
        op("remove", 'emails[type eq "work"].value'),
        {"emails": [HOME]},
    ),
    (
        "an address without street is still an address",
        {"addresses": [{"type": "work", "country": "NL", "streetAddress": "x"}]},
        op("remove", 'addresses[type eq "work"].streetAddress'),
        {"addresses": [{"type": "work", "country": "NL"}]},
    ),
    (
        "without a path the value holds attributes",
        {"title": "Mr"},
        op("replace", None, {"title": "Dr", "emails": [WORK], "nickName": None}),
        {"title": "Dr", "emails": [WORK]},
    ),
    (
        "an extension without a path",
        {ENTERPRISE_SCHEMA: {"division": "d"}},
        op("add", None, {ENTERPRISE_SCHEMA.upper(): {"Department": "x"}}),
        {ENTERPRISE_SCHEMA: {"division": "d", "department": "x"}},
    ),
    (
        "the dot in 2.0 does not split a path",
        {},
        op("add", f"{ENTERPRISE_SCHEMA}:department", "x"),
        {ENTERPRISE_SCHEMA: {"department": "x"}},
    ),
    ("a whole extension goes", {ENTERPRISE_SCHEMA: {"department": "x"}}, op("remove", ENTERPRISE_SCHEMA), {}),
    (
        "the last attribute takes its extension along",
        {ENTERPRISE_SCHEMA: {"department": "x"}},
        op("remove", f"{ENTERPRISE_SCHEMA}:department"),
        {},
    ),
    (
        "a new manager does not keep the old one's name",
        {ENTERPRISE_SCHEMA: {"manager": {"value": "1", "$ref": "http://x/1", "displayName": "One"}}},
        op("replace", f"{MANAGER}.value", "2"),
        {ENTERPRISE_SCHEMA: {"manager": {"value": "2"}}},
    ),
    (
        "the same manager keeps it",
        {ENTERPRISE_SCHEMA: {"manager": {"value": "1", "displayName": "One"}}},
        op("replace", MANAGER, {"value": "1"}),
        {ENTERPRISE_SCHEMA: {"manager": {"value": "1", "displayName": "One"}}},
    ),
    ("a password is never kept", {}, op("replace", "password", "secret"), {}),
    ("an unknown extension is kept", {}, op("add", f"{CUSTOM}:tag", "x"), {CUSTOM: {"tag": "x"}}),
    ("an unknown extension as a whole", {}, op("add", None, {CUSTOM: {"tag": "x"}}), {CUSTOM: {"tag": "x"}}),
    ("from an unknown extension", {CUSTOM: {"tag": "x"}}, op("remove", f"{CUSTOM}:tag"), {}),
]


@pytest.mark.parametrize(
    ("before", "operation", "after"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_an_operation_changes_what_it_names_and_nothing_else(
    before: Document, operation: Operation, after: Document
) -> None:
    document = user(**before)
    kept = copied(document)
    assert apply(document, operation) == user(**after)
    assert document == kept


REFUSED: list[tuple[str, Document, Operation, ScimType]] = [
    ("unknown path", {}, op("add", "shoeSize", 9), ScimType.INVALID_PATH),
    ("unknown sub-attribute", {}, op("add", "name.nick", "x"), ScimType.INVALID_PATH),
    ("a path that cannot be read", {}, op("add", "emails[", "x"), ScimType.INVALID_FILTER),
    ("two levels of sub-attributes", {}, op("add", "a.b.c", "x"), ScimType.INVALID_PATH),
    ("a filter on a single value", {}, op("add", 'name[givenName eq "x"]', {}), ScimType.INVALID_PATH),
    ("an unknown attribute in the filter", {}, op("add", 'emails[size eq "x"]', {}), ScimType.INVALID_FILTER),
    ("too long a path", {}, op("add", "t" * 3000, "x"), ScimType.INVALID_PATH),
    ("the core schema as a whole", {}, op("add", USER_SCHEMA, {"title": "x"}), ScimType.INVALID_SYNTAX),
    ("3.5.2.3 no element fulfils the filter", {}, op("replace", 'emails[type eq "x"].value', "v"), ScimType.NO_TARGET),
    (
        "an element that cannot be made from the filter",
        {},
        op("replace", 'emails[type sw "x"].value', "v", creates=True),
        ScimType.NO_TARGET,
    ),
    ("3.5.2.2 remove without path", {}, op("remove", None), ScimType.NO_TARGET),
    ("read-only", {}, op("replace", "id", "x"), ScimType.MUTABILITY),
    ("read-only groups", {}, op("add", "groups", [{"value": "x"}]), ScimType.MUTABILITY),
    ("a required attribute is not removed", {}, op("remove", "userName"), ScimType.MUTABILITY),
    ("nor emptied by null", {}, op("replace", "userName", None), ScimType.MUTABILITY),
    ("nor by blanks", {}, op("replace", "userName", "  "), ScimType.INVALID_VALUE),
    ("a number for a text", {}, op("replace", "title", 5), ScimType.INVALID_VALUE),
    ("a text for a boolean", {}, op("replace", "active", "yes"), ScimType.INVALID_VALUE),
    ("a number for a boolean", {}, op("replace", "active", 1), ScimType.INVALID_VALUE),
    ("a text for an object", {}, op("replace", "name", "x"), ScimType.INVALID_VALUE),
    ("a list for a single value", {}, op("replace", "title", ["x"]), ScimType.INVALID_VALUE),
    ("no object without a path", {}, op("replace", None, "x"), ScimType.INVALID_VALUE),
    ("an unknown name without a path", {}, op("replace", None, {"shoeSize": 9}), ScimType.INVALID_SYNTAX),
    ("an unknown name in an element", {}, op("add", "emails", [{"size": "x"}]), ScimType.INVALID_SYNTAX),
    ("two primaries", {}, op("add", "emails", [HOME, WORK | {"primary": True}]), ScimType.INVALID_VALUE),
    ("NUL", {}, op("replace", "title", "a\0b"), ScimType.INVALID_VALUE),
    ("no base 64", {}, op("add", "x509Certificates", [{"value": "a"}]), ScimType.INVALID_VALUE),
    ("too many elements", {}, op("add", "emails", [{"value": str(i)} for i in range(501)]), ScimType.INVALID_VALUE),
    (
        "too many elements in the end",
        {"emails": [{"value": str(i)} for i in range(500)]},
        op("add", "emails", [{"value": "x"}]),
        ScimType.INVALID_VALUE,
    ),
]


@pytest.mark.parametrize(
    ("before", "operation", "expected"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_refused_operation_says_which_it_is_and_undoes_those_before(
    before: Document, operation: Operation, expected: ScimType
) -> None:
    document = user(**before)
    kept = copied(document)
    with pytest.raises(ScimError) as refused:
        apply(document, op("replace", "displayName", "new"), operation)
    assert refused.value.scim_type is expected
    assert refused.value.http_status == 400
    assert refused.value.detail.startswith("Operation 1 (") or "required" in refused.value.detail
    assert document == kept


# ------------------------------------------------------------------ against a plain model: a user as a set of facts

_texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=8)
_singles = st.sampled_from(
    ["title", "nickName", "name.givenName", "name.familyName", f"{ENTERPRISE_SCHEMA}:department"]
)
_kinds = st.sampled_from(["work", "home", "other"])


@st.composite
def _operations(draw: st.DrawFn) -> tuple[str, str, str | None]:
    verb = draw(st.sampled_from(["add", "replace", "remove"]))
    path = draw(_singles | _kinds.map(lambda kind: f'emails[type eq "{kind}"].value'))
    return verb, path, None if verb == "remove" else draw(_texts)


def _flat(document: Document) -> dict[str, str]:
    """Every asserted value by the path that names it."""
    flat = {name: document[name] for name in ("title", "nickName") if name in document}
    flat |= {f"name.{name}": value for name, value in document.get("name", {}).items()}
    flat |= {f"{ENTERPRISE_SCHEMA}:{name}": value for name, value in document.get(ENTERPRISE_SCHEMA, {}).items()}
    return flat | {f'emails[type eq "{one["type"]}"].value': one["value"] for one in document.get("emails", [])}


@given(st.lists(_operations(), max_size=12))
def test_any_history_leaves_what_a_dictionary_would_hold(history: list[tuple[str, str, str | None]]) -> None:
    model: dict[str, str] = {}
    for _, path, value in history:
        if value is None:
            model.pop(path, None)
        else:
            model[path] = value
    operations = [op(verb, path, value, creates=True) for verb, path, value in history]
    after = apply(user(), *operations)
    assert _flat(after) == model
    # Order and repetition are harmless: the same request again changes nothing.
    assert apply(after, *[one for one in operations if _last(one, operations)]) == after


def _last(one: Operation, operations: list[Operation]) -> bool:
    return [other for other in operations if other.path == one.path][-1] is one


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["value", "type"]), inner, max_size=4)
    ),
    max_leaves=8,
)
_paths = st.none() | st.text(max_size=30) | st.sampled_from([case[2].path for case in CASES])


@given(st.lists(st.tuples(st.sampled_from(["add", "replace", "remove"]), _paths, _json), min_size=1, max_size=4))
def test_nonsense_is_refused_or_leaves_a_user_that_can_be_patched_on(
    nonsense: list[tuple[str, str | None, Any]],
) -> None:
    document = user(emails=[WORK, HOME])
    status, after = 200, document
    try:
        after = apply(document, *(op(verb, path, value, creates=True) for verb, path, value in nonsense))
    except ScimError as error:
        status = error.http_status
    assert status in {200, 400}
    assert apply(after, op("replace", "title", "x")) == after | {"title": "x"}
