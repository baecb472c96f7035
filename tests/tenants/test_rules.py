from datetime import timedelta
from uuid import UUID

import pytest

from stoa.kernel.ids import SourceId
from stoa.kernel.problems import BadInput
from stoa.tenants import rules
from stoa.tenants.model import NewConnection, NewTenant

ZONES = frozenset({"UTC", "Europe/Berlin"})


@pytest.mark.parametrize("slug", ["a", "acme", "a1", "1a", "acme-eu", "a" * 63, "a-b-c", "ab-c"])
def test_a_dns_label_is_a_slug(slug: str) -> None:
    assert rules.checked_slug(slug) == slug


@pytest.mark.parametrize(
    "slug",
    ["", "Acme", "-a", "a-", "a_b", "a.b", "a b", "a" * 64, "ä", "a\n", "acme/..", "xn--80ak6aa92e", "www", "api"],
)
def test_what_cannot_stand_in_an_address_is_refused_with_advice(slug: str) -> None:
    with pytest.raises(rules.BadSlug) as refusal:
        rules.checked_slug(slug)
    assert refusal.value.hint
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("example.com", "example.com"),
        ("  Example.COM. ", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("a.b.co.uk", "a.b.co.uk"),
    ],
)
def test_a_domain_is_stored_in_ascii_and_lower_case(text: str, domain: str) -> None:
    assert rules.checked_domain(text) == domain


@pytest.mark.parametrize(
    "text",
    [
        *("", "example", "@example.com", "https://example.com", "a..b", "-a.com", "a.com/x", "10.0.0.1", "a b.com"),
        *("." + "a" * 250 + ".com", "exa_mple.com", "a" * 64 + ".com"),
    ],
)
def test_what_is_not_a_domain_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        rules.checked_domain(text)


@pytest.mark.parametrize("text", ["a@example.com", "first.last+tag@sub.example.com", "ü@bücher.example"])
def test_an_address_is_kept_as_it_is(text: str) -> None:
    assert rules.checked_email(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "a", "a@", "@b", "a@b@c", "A <a@b.com>", "a@b.com,c@d.com", "a@b.com\r\nBcc: x@y.z", "a b@c.d", "a@b.com;c"],
)
def test_what_is_not_one_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        rules.checked_email(text)


def test_a_new_tenant_is_brought_into_its_stored_form() -> None:
    new = NewTenant("acme", "  Acme  ", "Europe/Berlin", domains=("B.example", "a.example", "b.example."))
    checked = rules.checked_new_tenant(new, ZONES)
    assert checked.name == "Acme"
    assert checked.domains == ("a.example", "b.example")


@pytest.mark.parametrize(
    "new",
    [
        NewTenant("acme", ""),
        NewTenant("acme", " \t "),
        NewTenant("acme", "x" * 201),
        NewTenant("acme", "Ac\nme"),
        NewTenant("acme", "Acme", "europe/berlin"),
        NewTenant("acme", "Acme", "../../etc/passwd"),
        NewTenant("acme", "Acme", owner_email="nobody"),
        NewTenant("acme", "Acme", owner_name="  "),
        NewTenant("acme", "Acme", domains=("nodots",)),
    ],
)
def test_a_part_that_cannot_be_accepted_is_named(new: NewTenant) -> None:
    with pytest.raises(BadInput):
        rules.checked_new_tenant(new, ZONES)


@pytest.mark.parametrize("connector", ["", "Workday", "work day", "../x", "1st"])
def test_a_connectors_name_is_an_identifier(connector: str) -> None:
    with pytest.raises(BadInput):
        rules.checked_new_connection(NewConnection(SourceId(UUID(int=1)), connector, "Workday", {}))


def test_secrets_do_not_show_in_the_representation() -> None:
    new = NewConnection(SourceId(UUID(int=1)), "workday", "Workday", {}, {"password": "hunter2"})
    assert "hunter2" not in repr(new)


def test_a_clock_moves_forward_only_and_not_for_ever() -> None:
    day = timedelta(days=1)
    assert rules.moved_offset(day, day) == 2 * day
    for offset, delta in ((day, -day), (timedelta(0), timedelta.max), (rules.FARTHEST_OFFSET, day)):
        with pytest.raises(BadInput):
            rules.moved_offset(offset, delta)
