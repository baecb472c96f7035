"""Reading filters and paths: RFC 7644, section 3.4.2.2 (grammar, tables 3 to 5) and section 3.5.2 (paths)."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stoa.kernel.filters import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_TERMS,
    And,
    AttrPath,
    Compare,
    Expr,
    FilterError,
    Not,
    Operator,
    Or,
    Path,
    PathError,
    Present,
    ValuePath,
    check,
    parse,
    parse_path,
    render,
)

from .catalogues import ANY_FILTERS, CORE, ENTERPRISE, SCRAPS, USER


def eq(name: str, value: str | bool | int | Decimal | None = "x", sub: str | None = None) -> Compare:
    return Compare(AttrPath(name, sub), Operator.EQ, value)


def compare(name: str, op: str, value: str | bool | int | Decimal | None, sub: str | None = None) -> Compare:
    return Compare(AttrPath(name, sub), Operator(op), value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('userName eq "mira"', eq("userName", "mira")),
        ('name.familyName co "O\'Hara"', compare("name", "co", "O'Hara", "familyName")),
        ('userName sw "M"', compare("userName", "sw", "M")),
        (f'{CORE}:userName sw "M"', Compare(AttrPath("userName", None, CORE), Operator.SW, "M")),
        ("title pr", Present(AttrPath("title"))),
        ('meta.lastModified gt "2026-01-02T03:04:05Z"', compare("meta", "gt", "2026-01-02T03:04:05Z", "lastModified")),
        ('meta.lastModified ge "2026-01-02T03:04:05Z"', compare("meta", "ge", "2026-01-02T03:04:05Z", "lastModified")),
        ('meta.lastModified lt "2026-01-02T03:04:05Z"', compare("meta", "lt", "2026-01-02T03:04:05Z", "lastModified")),
        ('meta.lastModified le "2026-01-02T03:04:05Z"', compare("meta", "le", "2026-01-02T03:04:05Z", "lastModified")),
        ('title pr and userType eq "Staff"', And((Present(AttrPath("title")), eq("userType", "Staff")))),
        ('title pr or userType eq "Trainee"', Or((Present(AttrPath("title")), eq("userType", "Trainee")))),
        (f'schemas eq "{ENTERPRISE}"', eq("schemas", ENTERPRISE)),
        (
            'userType eq "Staff" and (emails co "a.example" or emails.value co "b.example")',
            And(
                (
                    eq("userType", "Staff"),
                    Or((compare("emails", "co", "a.example"), compare("emails", "co", "b.example", "value"))),
                )
            ),
        ),
        (
            'userType ne "Staff" and not (emails co "a.example" or emails.value co "b.example")',
            And(
                (
                    compare("userType", "ne", "Staff"),
                    Not(Or((compare("emails", "co", "a.example"), compare("emails", "co", "b.example", "value")))),
                )
            ),
        ),
        (
            'userType eq "Staff" and (emails.type eq "work")',
            And((eq("userType", "Staff"), eq("emails", "work", "type"))),
        ),
        (
            'userType eq "Staff" and emails[type eq "work" and value co "@a.example"]',
            And(
                (
                    eq("userType", "Staff"),
                    ValuePath(AttrPath("emails"), And((eq("type", "work"), compare("value", "co", "@a.example")))),
                )
            ),
        ),
        (
            'emails[type eq "work" and value co "@a.example"] or ims[type eq "xmpp" and value co "@b.example"]',
            Or(
                (
                    ValuePath(AttrPath("emails"), And((eq("type", "work"), compare("value", "co", "@a.example")))),
                    ValuePath(AttrPath("ims"), And((eq("type", "xmpp"), compare("value", "co", "@b.example")))),
                )
            ),
        ),
    ],
)
def test_3_4_2_2_figure_2_every_shape_of_example(text: str, expected: Expr) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("op", ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"])
def test_3_4_2_2_table_3_operators_in_any_case(op: str) -> None:
    assert parse(f'title {op.upper()} "x"') == parse(f'title {op} "x"') == compare("title", op, "x")
    assert parse("title PR") == Present(AttrPath("title"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a pr or b pr and c pr", "a pr or (b pr and c pr)"),
        ("a pr and b pr or c pr", "(a pr and b pr) or c pr"),
        ("not (a pr) and b pr", "(not (a pr)) and b pr"),
        ("not (a pr) or b pr and c pr", "(not (a pr)) or (b pr and c pr)"),
        ("a pr AND b pr Or NOT(c pr)", "(a pr and b pr) or (not (c pr))"),
        ("((a pr))", "a pr"),
        ("  a\tpr\n", "a pr"),
    ],
)
def test_3_4_2_2_table_4_precedence_is_not_then_and_then_or(text: str, expected: str) -> None:
    assert parse(text) == parse(expected)


def test_precedence_is_visible_in_the_tree() -> None:
    a, b, c = (Present(AttrPath(name)) for name in "abc")
    assert parse("a pr or b pr and c pr") == Or((a, And((b, c))))
    assert parse("(a pr or b pr) and c pr") == And((Or((a, b)), c))
    assert parse("not (a pr) and b pr") == And((Not(a), b))


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('"a\\"b\\\\c\\/d\\b\\f\\n\\r\\t\\u00e9"', 'a"b\\c/d\b\f\n\r\té'),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ('""', ""),
        ('"and (or) [not]"', "and (or) [not]"),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("0", 0),
        ("-12", -12),
        ("1.50", Decimal("1.50")),
        ("-2e3", Decimal(-2000)),
        ("1E-2", Decimal("0.01")),
    ],
)
def test_json_literals(literal: str, value: object) -> None:
    found = parse(f"a eq {literal}")
    assert isinstance(found, Compare)
    assert found.value == value
    assert type(found.value) is type(value)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"{ENTERPRISE}:department pr", AttrPath("department", None, ENTERPRISE)),
        (f"{ENTERPRISE}:manager.value pr", AttrPath("manager", "value", ENTERPRISE)),
        ("urn:x:2.0:y-z.9:User:a_b-1.$ref pr", AttrPath("a_b-1", "$ref", "urn:x:2.0:y-z.9:User")),
        ("members.$ref pr", AttrPath("members", "$ref")),
    ],
)
def test_a_schema_with_dots_and_versions_stays_whole(text: str, path: AttrPath) -> None:
    assert parse(text) == Present(path)


@pytest.mark.parametrize(
    ("entra", "same"),
    [
        ('emails[type eq "work"].value eq "x"', 'emails[type eq "work" and value eq "x"]'),
        ('emails[type eq "work"].value ne "x"', 'not (emails[type eq "work" and value eq "x"])'),
        ('emails[type eq "work"].value pr', 'emails[type eq "work" and value pr]'),
        ('emails[type eq "work"].value eq null', 'not (emails[type eq "work" and value pr])'),
        ('emails[type eq "work"].value ne null', 'emails[type eq "work" and value pr]'),
        ('emails[a pr or b pr].value co "x"', 'emails[(a pr or b pr) and value co "x"]'),
    ],
)
def test_entra_compares_a_sub_attribute_of_picked_elements(entra: str, same: str) -> None:
    assert parse(entra) == parse(same)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("members", Path(AttrPath("members"))),
        ("name.familyName", Path(AttrPath("name"), None, "familyName")),
        ('addresses[type eq "x"]', Path(AttrPath("addresses"), eq("type"))),
        ('members[value eq "x"].displayName', Path(AttrPath("members"), eq("value"), "displayName")),
        (f"{ENTERPRISE}:department", Path(AttrPath("department", None, ENTERPRISE))),
        (f"{ENTERPRISE}:manager.value", Path(AttrPath("manager", None, ENTERPRISE), None, "value")),
        (f'{CORE}:emails[type eq "x"].value', Path(AttrPath("emails", None, CORE), eq("type"), "value")),
    ],
)
def test_3_5_2_figure_7_patch_paths(text: str, path: Path) -> None:
    assert parse_path(text) == path


def test_a_whole_extension_is_told_by_its_key() -> None:
    assert parse_path(ENTERPRISE.upper()).attribute.key == ENTERPRISE.lower()


@pytest.mark.parametrize(
    ("text", "position"),
    [("", 0), ("a b", 2), ("a.b.c", 3), ('a[b eq "x"] .c', 12), ('a[b eq "x"].', 11), ("1a", 0), ("a]", 1), ("(a)", 0)],
)
def test_a_broken_path_says_where(text: str, position: int) -> None:
    with pytest.raises(PathError) as caught:
        parse_path(text)
    assert (caught.value.position, caught.value.code, caught.value.status) == (position, "invalid_path", 400)


def test_a_broken_filter_in_a_path_is_a_filter_error() -> None:
    with pytest.raises(FilterError) as caught:
        parse_path('emails[type is "work"].value')
    assert (caught.value.position, caught.value.code) == (12, "invalid_filter")


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "Expected an attribute name"),
        ("   ", 3, "the text ends"),
        ("title", 5, "Expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr)"),
        ('title = "x"', 6, 'Write "eq".'),
        ('title contains "x"', 6, 'Write "co".'),
        ("title eq", 8, "Expected a value"),
        ("title eq 'x'", 9, "double quotes"),
        ("title eq Sales", 9, "double quotes"),
        ('title="x"', 5, "Leave a space before the operator"),
        ('title eq "x', 9, "no closing"),
        ('title eq "a\\qb"', 11, "Unknown escape"),
        ('title eq "a\\u12g4"', 11, "Unknown escape"),
        ('title eq "a\tb"', 11, "control character U+0009"),
        ('title eq "\\ud800"', 9, "surrogate"),
        ('title eq "\ud800"', 9, "surrogate"),
        ('title eq "a\\u0000"', 9, "U+0000"),
        ("level eq 01", 9, "Expected a value"),
        ("level eq +1", 9, "Expected a value"),
        ("level eq 1.", 9, "Expected a value"),
        ("level eq ١", 9, "Expected a value"),
        ("level eq " + "9" * 41, 9, "more than 40 digits"),
        ("level eq 1e101", 9, "exponent beyond 100"),
        ("level eq 1e" + "9" * 5000, 9, "exponent beyond 100"),
        ("title pr and", 12, "the text ends"),
        ("title pr and and active pr", 13, 'found "and"'),
        ("title pr active pr", 9, 'Expected "and", "or" or the end'),
        ("(title pr", 9, "for the ( at position 0"),
        ("title pr)", 8, "There is no ( for this )"),
        ("title pr]", 8, "There is no [ for this ]"),
        ("(title pr]", 9, "for the ( at position 0"),
        ("not title pr", 4, 'Expected "(" after "not"'),
        ("()", 1, "Expected an attribute name"),
        ("emails[]", 7, "Expected an attribute name"),
        ("emails[ims[type pr]]", 10, "cannot hold another one"),
        ("emails.value[type pr]", 12, "cannot follow the sub-attribute"),
        ("emails[type pr].value[type pr]", 21, "cannot follow a sub-attribute"),
        ('emails[type pr].a.b eq "x"', 15, 'such as ".value"'),
        ("a.b.c pr", 3, "more than one level"),
        ("a.1 pr", 1, "Expected an attribute name"),
        ("1a pr", 0, "Expected an attribute name"),
        ("foo:bar pr", 0, "Expected a schema URN"),
        ("urn:x:y: pr", 8, "it ends"),
        ("títle pr", 1, 'found "í"'),
        ('"title" eq "x"', 0, "Expected an attribute name"),
    ],
)
def test_an_error_says_where_and_what_was_expected(text: str, position: int, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    problem = caught.value
    assert (problem.position, problem.extra["position"]) == (position, position)
    assert (problem.code, problem.status) == ("invalid_filter", 400)
    assert says in str(problem)
    assert f"(at position {position})" in problem.detail


def test_the_limits_are_reached_and_not_passed() -> None:
    parse("(" * MAX_DEPTH + "a pr" + ")" * MAX_DEPTH)
    parse(" and ".join(["a pr"] * MAX_TERMS))
    parse("a pr" + " " * (MAX_LENGTH - 4))
    for text, position in (
        ("(" * (MAX_DEPTH + 1) + "a pr" + ")" * (MAX_DEPTH + 1), MAX_DEPTH),
        ("not (" * 2000, MAX_DEPTH * 5 + 4),
        (" or ".join(["a pr"] * (MAX_TERMS + 1)), MAX_TERMS * 8),
        ("a pr" + " " * (MAX_LENGTH - 3), MAX_LENGTH),
    ):
        with pytest.raises(FilterError) as caught:
            parse(text)
        assert caught.value.position == position


@given(ANY_FILTERS)
def test_what_is_printed_reads_as_the_same_filter(expr: Expr) -> None:
    assert parse(render(expr)) == expr


@given(SCRAPS.map(" ".join) | SCRAPS.map("".join) | st.text())
@example('a eq "\\')
@example("a\x85pr")
def test_any_text_is_a_filter_or_a_filter_error(text: str) -> None:
    for read in (lambda: check(parse(text), USER, relative_dates=True), lambda: parse_path(text)):
        position = 0
        try:
            read()
        except FilterError as error:
            position = error.position
        assert 0 <= position <= len(text)


@given(SCRAPS.map(" ".join))
def test_what_reads_prints_and_reads_again(text: str) -> None:
    try:
        expr = parse(text)
    except FilterError:
        return
    assert parse(render(expr)) == expr
