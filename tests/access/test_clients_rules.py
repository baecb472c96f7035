"""What API clients may be."""

import pytest

from stoa.access.clients_rules import Terms, checked_addresses, checked_scopes, checked_terms, may_call_from
from stoa.access.rules import token_text
from stoa.access.scopes import SCOPES, granted, narrowed
from stoa.kernel.problems import BadInput

NETWORKS = ("203.0.113.0/24", "2001:db8::/32")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("203.0.113.9", True),
        ("203.0.114.9", False),
        ("::ffff:203.0.113.9", True),
        ("2001:db8::1", True),
        ("2001:db8::1%eth0", True),
        ("2001:db9::1", False),
        ("unknown", False),
        ("", False),
        (None, False),
    ],
)
def test_only_the_networks_named_may_call(address: str | None, allowed: bool) -> None:
    assert may_call_from(NETWORKS, address) is allowed
    assert may_call_from((), address)


def test_addresses_are_kept_as_networks() -> None:
    given = [" 203.0.113.7 ", "", "2001:DB8::/32", "203.0.113.7/32", "0.0.0.0/0"]
    assert checked_addresses(given) == ["203.0.113.7/32", "2001:db8::/32", "0.0.0.0/0"]


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "example.com", "010.0.0.1", "1.2.3", "'; --", "x" * 900])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        checked_addresses([text])
    assert len(str(caught.value)) < 250


def test_too_many_networks_are_refused() -> None:
    with pytest.raises(BadInput):
        checked_addresses([f"10.0.0.{number}" for number in range(51)])


def test_scopes_are_those_of_the_api() -> None:
    assert checked_scopes(["people:write", "api:read", "api:read"]) == ["api:read", "people:write"]
    assert checked_scopes(SCOPES) == sorted(SCOPES)
    for wrong in ([], ["scim"], ["people:read", "people:delete"], ["people:*"]):
        with pytest.raises(BadInput):
            checked_scopes(wrong)


@pytest.mark.parametrize(
    ("scopes", "limit", "left"),
    [
        ({"api:read"}, {"people:read"}, {"people:read"}),
        ({"people:read"}, {"api:read"}, {"people:read"}),
        ({"people:read", "people:write"}, {"api:read"}, {"people:read"}),
        ({"api:read", "api:write"}, {"people:read", "webhooks:write"}, {"people:read", "webhooks:write"}),
        ({"people:read"}, {"events:read"}, set[str]()),
        ({"api:read"}, {"api:read"}, {"api:read"}),
    ],
)
def test_a_token_may_what_both_it_and_its_client_may(scopes: set[str], limit: set[str], left: set[str]) -> None:
    both = narrowed(frozenset(scopes), frozenset(limit))
    assert both == left
    for wanted in SCOPES:
        assert granted(both, wanted) == (granted(frozenset(scopes), wanted) and granted(frozenset(limit), wanted))


def test_whoever_may_write_people_needs_a_source() -> None:
    assert Terms("x", ["api:write"]).writes_people
    assert Terms("x", ["people:write", "people:read"]).writes_people
    assert not Terms("x", ["api:read", "webhooks:write"]).writes_people
    assert checked_terms(Terms(" x ", ["api:read"])) == Terms("x", ["api:read"], [])


@pytest.mark.parametrize(
    ("scopes", "kind"), [(["api:read", "api:write"], "api"), (["people:read"], "api"), (["scim"], "scim")]
)
def test_a_token_says_what_it_opens(scopes: list[str], kind: str) -> None:
    assert token_text(scopes, "s" * 43) == f"stoa_{kind}_{'s' * 43}"
