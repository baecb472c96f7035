"""What filters mean: RFC 7644, section 3.4.2.2, and the two-valued logic where it is silent."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from stoa.kernel.filters import Expr, Not, check, evaluate, parse, reads, resolve_date
from stoa.kernel.filters.typed import Relative

from .catalogues import FILTERS, NOW, USER, facts

MIRA: dict[str, object] = {
    "id": UUID(int=1),
    "userName": "Mira.Straße",
    "externalId": "E-1",
    "profileUrl": "https://a.example/Mira",
    "title": "",
    "active": True,
    "level": 3,
    "salary": Decimal("10.5"),
    "hireDate": date(2026, 1, 31),
    "seenAt": datetime(2026, 2, 1, 12, tzinfo=timezone(timedelta(hours=1))),
    "name": {"familyName": "O'Hara", "givenName": None},
    "emails": [{"value": "m@a.example", "type": "work", "primary": True}, {"value": "m@home.example", "type": "home"}],
    "ims": [],
    "schemas": ["urn:a", "urn:b"],
    "tags": ["Red", "blue"],
    "flag": "true",
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('userName eq "mira.STRASSE"', True),
        ('userName sw "MIRA.s"', True),
        ('userName ew "asse"', True),
        ('userName co ".straß"', True),
        ('userName gt "mira"', True),
        ('userName lt "mira"', False),
        ('externalId eq "e-1"', False),
        ('externalId eq "E-1"', True),
        ('profileUrl eq "https://a.example/mira"', False),
        ('id eq "00000000-0000-0000-0000-000000000001"', True),
        ('id eq "{00000000-0000-0000-0000-000000000001}"', False),
        ('id eq "unknown"', False),
        ('id ne "unknown"', True),
        ("active eq true", True),
        ('active eq "True"', True),
        ('active ne "False"', True),
        ("level ge 3", True),
        ("level gt 3.0", False),
        ("salary eq 10.50", True),
        ('hireDate le "2026-01-31"', True),
        ('seenAt eq "2026-02-01T11:00:00Z"', True),
        ('seenAt eq "2026-02-01t12:00:00.0000000+01:00"', True),
        ('seenAt gt "2026-02-01T11:30:00+01:00"', True),
        ('name.familyName co "\'"', True),
        # presence: null is absent, an empty text is a value
        ("title pr", True),
        ('title eq ""', True),
        ('title co ""', True),
        ('title sw ""', True),
        ("userType pr", False),
        ('userType sw ""', False),
        ("userType eq null", True),
        ("userType ne null", False),
        ("title eq null", False),
        ("name.givenName pr", False),
        ("name pr", True),
        ("name eq null", False),
        ("meta pr", False),
        ("meta eq null", True),
        ("emails pr", True),
        ("ims pr", False),
        ("ims eq null", True),
        ("emails ne null", True),
        ("tags pr", True),
        # a missing value: ne is true, every other comparison false, not the exact opposite
        ('userType eq "x"', False),
        ('userType ne "x"', True),
        ('not (userType eq "x")', True),
        ('not (userType ne "x")', False),
        ('userType gt "x"', False),
        ('userType le "x"', False),
        ('not (userType gt "x")', True),
        ('not (not (userType co "x"))', False),
        # several values: some element matches, ne says that none is equal
        ('emails.value eq "m@home.example"', True),
        ('emails eq "M@HOME.example"', True),
        ('emails.value ne "m@home.example"', False),
        ('emails.value ne "x"', True),
        ('emails.type eq "Work"', False),
        ('tags eq "BLUE"', True),
        ('tags ne "blue"', False),
        ('tags ne "green"', True),
        ('tags[value sw "R"]', True),
        ('schemas eq "urn:b"', True),
        ("emails.primary eq null", False),
        ("ims.value eq null", True),
        ('ims.value ne "x"', True),
        # square brackets speak of one element
        ('emails[type eq "work" and value co "@home"]', False),
        ('emails.type eq "work" and emails.value co "@home"', True),
        ('emails[type eq "home" and value co "@home"]', True),
        ('emails[value ne "m@a.example"]', True),
        ("emails[primary eq null]", True),
        ("emails[not (primary eq true)]", True),
        ('not (emails[type eq "other"])', True),
        ('emails[type eq "work"].value eq "m@a.example"', True),
        ('emails[type eq "work"].value ne "m@a.example"', False),
        ('emails[type eq "other"].value ne "m@a.example"', True),
        ('ims[not (type eq "x")]', False),
        # a fact of another type is there, and equals nothing
        ("flag pr", True),
        ("flag eq true", False),
        ("flag ne true", True),
    ],
)
def test_a_filter_means(text: str, holds: bool) -> None:
    assert evaluate(check(parse(text), USER), MIRA) is holds
    assert evaluate(check(parse(f"not ({text})"), USER), MIRA) is not holds


def test_json_forms_of_times_and_ids_are_understood() -> None:
    document = {
        "id": str(UUID(int=1)).upper(),
        "seenAt": "2026-02-01T11:00:00Z",
        "hireDate": "2026-01-31",
        "salary": 0.1,
    }
    text = f'id eq "{UUID(int=1)}" and seenAt ge "2026-02-01T11:00:00Z" and hireDate eq "2026-01-31" and salary eq 0.1'
    assert evaluate(check(parse(text), USER), document)


@pytest.mark.parametrize(
    "document",
    [
        {"emails": {"value": "x"}, "name": "x", "salary": float("nan"), "seenAt": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"emails": ["x"], "salary": float("inf"), "seenAt": "soon", "hireDate": NOW, "level": True},
    ],
)
def test_a_document_of_another_shape_matches_nothing_and_raises_nothing(document: dict[str, object]) -> None:
    for text in (
        'emails.value eq "x"',
        'name.familyName eq "x"',
        "salary gt 0",
        "salary eq 1",
        'seenAt gt "2020-01-01T00:00:00Z"',
        'hireDate gt "2020-01-01"',
        "level ge 1",
    ):
        assert not evaluate(check(parse(text), USER), document)


@given(FILTERS, facts())
def test_logic_is_two_valued_and_not_is_the_exact_opposite(expr: Expr, thing: dict[str, object]) -> None:
    holds = evaluate(check(expr, USER, relative_dates=True), thing, now=NOW)
    assert isinstance(holds, bool)
    assert evaluate(check(Not(expr), USER, relative_dates=True), thing, now=NOW) is (not holds)


@given(FILTERS, facts(), facts())
def test_only_what_reads_names_can_change_the_answer(
    expr: Expr, thing: dict[str, object], other: Mapping[str, object]
) -> None:
    typed = check(expr, USER, relative_dates=True)
    read = {attribute.name for attribute in USER.attributes} & {name for full in reads(typed) for name in _tops(full)}
    mixed = {**other, **{name: thing.get(name) for name in read}}
    assert evaluate(typed, mixed, now=NOW) is evaluate(typed, thing, now=NOW)


def _tops(name: str) -> set[str]:
    return {name, name.rpartition(".")[0]}


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("amount", "unit", "now", "expected"),
    [
        (-90, "d", datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2025, 12, 1, 12, tzinfo=UTC)),
        (2, "w", datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 15, 12, tzinfo=UTC)),
        (-1, "m", datetime(2026, 3, 31, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC)),
        (10, "m", datetime(2026, 3, 31, tzinfo=UTC), datetime(2027, 1, 31, tzinfo=UTC)),
        (9, "m", datetime(2026, 3, 31, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)),
        (1, "y", datetime(2028, 2, 29, tzinfo=UTC), datetime(2029, 2, 28, tzinfo=UTC)),
        # the clock goes forward in the night of 29 March 2026 in Berlin: a day has 23 hours
        (1, "d", datetime(2026, 3, 28, 12, tzinfo=BERLIN), datetime(2026, 3, 29, 10, tzinfo=UTC)),
        (24, "h", datetime(2026, 3, 28, 12, tzinfo=BERLIN), datetime(2026, 3, 29, 11, tzinfo=UTC)),
    ],
)
def test_a_relative_date_counts_on_the_calendar_of_now(
    amount: int, unit: str, now: datetime, expected: datetime
) -> None:
    assert resolve_date(Relative(amount, unit), now, whole_day=False) == expected


def test_a_relative_date_is_resolved_by_the_now_that_is_passed() -> None:
    typed = check(parse('hireDate ge "-90d" and not (seenAt gt "+1h")'), USER, relative_dates=True)
    thing = {"hireDate": date(2025, 12, 1), "seenAt": datetime(2026, 3, 1, 13, 30, tzinfo=UTC)}
    assert typed.needs_now
    assert evaluate(typed, thing, now=NOW)
    assert not evaluate(typed, thing, now=NOW + timedelta(days=1))
    assert not evaluate(typed, thing, now=NOW - timedelta(hours=1))
    with pytest.raises(ValueError, match="pass now"):
        evaluate(typed, thing)
    with pytest.raises(ValueError, match="aware"):
        evaluate(typed, thing, now=NOW.replace(tzinfo=None))


def test_the_day_of_now_is_that_of_its_zone() -> None:
    late = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    assert resolve_date(Relative(0, "d"), late, whole_day=True) == date(2026, 3, 1)
    assert resolve_date(Relative(0, "d"), late.astimezone(BERLIN), whole_day=True) == date(2026, 3, 2)
