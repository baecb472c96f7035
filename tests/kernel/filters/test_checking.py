"""What a catalogue admits: names, operators and literal types, and where an error points."""

import pytest

from stoa.kernel.filters import (
    Attribute,
    AttrType,
    Catalogue,
    Cost,
    FilterError,
    check,
    evaluate,
    parse,
    parse_path,
    reads,
)

from .catalogues import CORE, ENTERPRISE, USER


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ('titel eq "x"', 0, "Did you mean title?"),
        ('title eq "x" and nope eq "y"', 17, 'Unknown attribute "nope"'),
        ('urn:example:2.0:User:userName eq "x"', 0, "Unknown attribute"),
        (f'{CORE}:department eq "x"', 0, "Unknown attribute"),
        ('department eq "x"', 0, "Unknown attribute"),
        ('name.nope eq "x"', 0, '"name" has no sub-attribute "nope" (at position 0). Known: familyName, givenName.'),
        ('title.value eq "x"', 0, '"title" has no sub-attributes'),
        ('name eq "x"', 0, "Name one, as in name.familyName."),
        ('name[familyName eq "x"]', 0, "takes no filter in square brackets"),
        ('emails[name.familyName eq "x"]', 7, "its own sub-attributes"),
        ('emails[nope eq "x"]', 7, "has no sub-attribute"),
        ("active gt true", 7, 'cannot be compared with "gt" (at position 7). It offers eq, ne, pr.'),
        ("active co true", 7, 'cannot be compared with "co"'),
        ('id sw "0"', 3, "It offers eq, ne, pr."),
        ('hireDate co "2026"', 9, 'cannot be compared with "co"'),
        ('emails.primary ge "x"', 15, '"emails.primary" (boolean) cannot be compared with "ge"'),
        ('secret eq "x"', 7, "It offers pr."),
        ("title eq 5", 9, '"title" is compared with a string, such as "Sales", not with 5'),
        ("title eq true", 9, "not with true"),
        ("title gt null", 9, 'null has no order and no text, so "gt" cannot compare with it'),
        ('active eq "yes"', 10, 'true or false, not with "yes"'),
        ("active eq 1", 10, "true or false, not with 1"),
        ('level eq "5"', 9, 'a whole number within 64 bits, not with "5"'),
        ("level gt 2.5", 9, "a whole number"),
        ("level eq 9223372036854775808", 9, "64 bits"),
        ("level eq true", 9, "not with true"),
        ("level eq 1e100", 9, "64 bits"),
        ('salary eq "1"', 10, "a number, not with"),
        ('hireDate gt "2026-02-30"', 12, "a date, such as"),
        ('hireDate gt "2026-02-01T00:00:00Z"', 12, "a date, such as"),
        ('hireDate gt "-90d"', 12, "Relative dates are not allowed here"),
        ("hireDate gt 20260201", 12, "a date, such as"),
        ('seenAt gt "2026-02-01T00:00:00"', 10, "with its offset"),
        ('seenAt gt "2026-02-01"', 10, "with its offset"),
        ('seenAt gt "2026-02-01T25:00:00Z"', 10, "with its offset"),
        ('seenAt gt "0001-01-01T00:00:00+23:59"', 10, "with its offset"),
        ('seenAt gt "２026-02-01T00:00:00Z"', 10, "with its offset"),
        ('meta.lastModified sw "2026"', 18, '"meta.lastModified" (datetime) cannot be compared with "sw"'),
    ],
)
def test_an_error_points_at_what_is_wrong(text: str, position: int, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        check(parse(text), USER)
    assert caught.value.position == position
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ('hireDate gt "-5h"', 12, "hours cannot be counted"),
        ('hireDate gt "-101y"', 12, "no further than 100 years"),
        ('hireDate gt "-5x"', 12, 'Or a relative one, such as "-90d"'),
        ('title gt "-5d" and level gt "-5d"', 28, "a whole number"),
    ],
)
def test_relative_dates_have_their_errors(text: str, position: int, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        check(parse(text), USER, relative_dates=True)
    assert caught.value.position == position
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ['username eq "x"', 'USERNAME eq "x"', f'{CORE}:userName eq "x"', f'{CORE.upper()}:USERname eq "x"'],
)
def test_rfc7643_2_1_names_ignore_case_and_may_carry_the_core_schema(text: str) -> None:
    assert check(parse(text), USER) == check(parse('userName eq "x"'), USER)


def test_an_extension_is_named_by_its_schema() -> None:
    typed = check(parse(f'{ENTERPRISE.upper()}:Department eq "x" and {ENTERPRISE}:manager eq "7"'), USER)
    assert reads(typed) == {f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager.value"}
    assert evaluate(typed, {f"{ENTERPRISE}:department": "X", f"{ENTERPRISE}:manager": {"value": "7"}})


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('userName eq "x" or not (name.familyName pr)', {"userName", "name.familyName"}),
        ("name pr", {"name.familyName", "name.givenName"}),
        ('emails co "x" and emails.type eq "y"', {"emails.value", "emails.type"}),
        ('emails[type eq "work"].value ne "x"', {"emails.value", "emails.type"}),
        ("emails pr", {"emails"}),
        ('schemas eq "x" and tags[value sw "y"]', {"schemas", "tags"}),
        ("emails[type pr or not (type pr)]", {"emails.type"}),
        ('id eq "not a uuid"', set[str]()),
    ],
)
def test_reads_names_what_decides(text: str, names: set[str]) -> None:
    assert reads(check(parse(text), USER)) == names


@pytest.mark.parametrize(
    ("text", "needs_scan"),
    [
        ('userName eq "x"', False),
        ('userName sw "x"', False),
        ('userName sw ""', True),
        ('hireDate ge "2026-01-01"', False),
        ("userName pr", True),
        ('userName ne "x"', True),
        ('not (userName eq "x")', True),
        ('not (userName ne "x")', False),
        ('userName co "x"', True),
        ('userName ew "x"', True),
        ('title eq "x"', True),
        ('userName co "x" and externalId eq "y"', False),
        ('userName eq "x" or externalId eq "y"', False),
        ('userName eq "x" or title eq "y"', True),
        ('not (userName ne "x" or title pr)', False),
        ('emails.value eq "x"', False),
        ('emails[type eq "work"].value eq "x"', False),
        ('emails[type eq "work"]', True),
        ('emails.value eq "x" or userName eq "x"', True),
        ('(emails.value eq "x" and userName eq "y") or userName eq "x"', False),
        ('emails[value eq "x" or value eq "y"]', False),
        ('emails.value ne "x"', True),
        ('id eq "not a uuid"', False),
        ('id ne "not a uuid"', True),
    ],
)
def test_needs_scan_tells_what_no_index_narrows(text: str, needs_scan: bool) -> None:
    assert check(parse(text), USER).needs_scan is needs_scan


def test_a_patch_filter_is_checked_against_one_element() -> None:
    path = parse_path('emails[type eq "work" and primary eq "True"].value')
    assert path.value_filter is not None
    typed = check(path.value_filter, USER.elements(path.attribute))
    assert evaluate(typed, {"type": "work", "primary": True})
    assert not evaluate(typed, {"type": "work"})


def test_a_patch_filter_needs_a_multi_valued_attribute() -> None:
    for text in ("name", "nope"):
        with pytest.raises(FilterError):
            USER.elements(parse_path(text).attribute)


def test_a_catalogue_refuses_what_it_could_not_answer() -> None:
    with pytest.raises(ValueError, match="same name"):
        Catalogue([Attribute("a"), Attribute("A")])
    with pytest.raises(ValueError, match="complex"):
        Attribute("a", AttrType.COMPLEX)
    with pytest.raises(ValueError, match="complex"):
        Attribute("a", sub_attributes=(Attribute("b"),))
    with pytest.raises(ValueError, match="no index answers a decimal"):
        Attribute("a", AttrType.DECIMAL, cost=Cost.INDEXED)
    with pytest.raises(ValueError, match="neither complex nor multi-valued"):
        Attribute("a", AttrType.COMPLEX, sub_attributes=(Attribute("b", multi_valued=True),))
