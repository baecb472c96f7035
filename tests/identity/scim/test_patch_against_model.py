"""PATCH against the plain model: for every document and every list of operations the same, or both refuse."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoa.identity.scim.dialects import normalised_patch
from stoa.identity.scim.errors import ScimError
from stoa.identity.scim.rules import created, patched
from stoa.identity.scim.schemas import USERS

from . import plain_patch as plain
from .patches import documents, steps

Outcome = dict[str, Any] | str


def ours(document: dict[str, Any], operations: list[dict[str, Any]]) -> Outcome:
    """What the server makes of it, or the word for why not."""
    try:
        return patched(USERS, document, normalised_patch(USERS, {"Operations": operations}))
    except ScimError as error:
        return str(error.scim_type and error.scim_type.value)


def modelled(document: dict[str, Any], wanted: list[plain.Step]) -> Outcome:
    """What the model makes of it."""
    try:
        return plain.after(document, wanted)
    except plain.Refused as refused:
        return refused.scim_type


def check(document: dict[str, Any], wanted: list[plain.Step]) -> None:
    document = created(USERS, document)
    operations = [plain.sent(step) for step in wanted]
    before = repr(document)
    assert ours(document, operations) == modelled(document, wanted), operations
    assert repr(document) == before


@settings(max_examples=150)
@given(documents, st.lists(steps, min_size=1, max_size=4))
def test_patch_is_as_the_model_has_it(document: dict[str, Any], wanted: list[plain.Step]) -> None:
    check(document, wanted)


@pytest.mark.all
@settings(max_examples=3_000)
@given(documents, st.lists(steps, min_size=1, max_size=5))
def test_patch_is_as_the_model_has_it_at_length(document: dict[str, Any], wanted: list[plain.Step]) -> None:
    check(document, wanted)


@pytest.mark.parametrize(
    ("manager", "left"),
    [
        ({"displayName": "Chief"}, {"displayName": "Chief"}),
        ({"Value": "m2"}, {"value": "m2"}),
        ({"value": "", "displayName": "Chief"}, None),
        ({"displayName": ""}, None),
        ({}, None),
        ("", None),
    ],
)
def test_only_an_empty_reference_clears_the_manager(manager: Any, left: dict[str, str] | None) -> None:
    path = f"{plain.ENTERPRISE}:manager"
    found = ours({"userName": "ada"}, [{"op": "add", "path": path, "value": manager}])
    assert isinstance(found, dict)
    assert found.get(plain.ENTERPRISE, {}).get("manager") == left


def test_a_reference_to_a_list_is_an_invalid_value() -> None:
    for value in ([], {}, [[]]):
        operation = {"op": "add", "path": f"{plain.ENTERPRISE}:manager", "value": {"value": value}}
        assert ours({"userName": "ada"}, [operation]) == "invalidValue"


def test_an_element_stays_when_a_label_goes_or_nothing_does() -> None:
    document = {"userName": "ada", "emails": [{"type": "work", "display": "Desk"}]}
    for sub, left in (("value", {"type": "work", "display": "Desk"}), ("display", {"type": "work"})):
        found = ours(document, [{"op": "remove", "path": f'emails[type eq "work"].{sub}'}])
        assert found == {"userName": "ada", "emails": [left]}
