"""The SQL itself: bound values, identifiers from the binding, and bindings that cannot answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.kernel.filters import (
    Attribute,
    AttrType,
    Binding,
    BindingError,
    Catalogue,
    Column,
    Exists,
    JsonPath,
    check,
    parse,
    require_bound,
    sql,
    successor,
)

CATALOGUE = Catalogue(
    [
        Attribute("title"),
        Attribute("day", AttrType.DATE),
        Attribute("tags", case_exact=True, multi_valued=True),
        Attribute("name", AttrType.COMPLEX, sub_attributes=(Attribute("family"),)),
    ]
)
BINDING: Binding = {
    "title": Column("p.title", "p.title_key"),
    "day": Column("p.day"),
    "tags": Exists("tag t", {"value": Column("t.tag")}, on="t.person = p.n"),
    "name.family": Column("p.family", "p.family_key"),
}


@pytest.mark.parametrize(
    ("text", "condition", "params"),
    [
        ('title eq "A\'; --"', "(p.title_key = $1::text)", ["a'; --"]),
        ('title ne "A"', "(p.title_key IS DISTINCT FROM $1::text)", ["a"]),
        ("title pr", "(p.title IS NOT NULL)", []),
        ("title eq null", "(p.title IS NULL)", []),
        ('title sw "A"', '(p.title_key COLLATE "C" >= $1::text AND p.title_key COLLATE "C" < $2::text)', ["a", "b"]),
        ('not (title co "%")', "((strpos(p.title_key, $1::text) > 0) IS NOT TRUE)", ["%"]),
        ('title ew "_"', "(right(p.title_key, length($1::text)) = $1::text)", ["_"]),
        ('tags eq "x"', "EXISTS (SELECT 1 FROM tag t WHERE (t.person = p.n) AND (t.tag = $1::text))", ["x"]),
        ('tags ne "x"', "(NOT EXISTS (SELECT 1 FROM tag t WHERE (t.person = p.n) AND (t.tag = $1::text)))", ["x"]),
        (
            'title pr and (title eq "a" or title eq "b")',
            "((p.title IS NOT NULL) AND ((p.title_key = $1::text) OR (p.title_key = $2::text)))",
            ["a", "b"],
        ),
    ],
)
def test_values_are_bound_and_identifiers_are_the_bindings(text: str, condition: str, params: list[object]) -> None:
    found = sql(check(parse(text), CATALOGUE), BINDING)
    assert (found.text, found.params) == (condition, params)


def test_placeholders_begin_where_the_caller_says() -> None:
    found = sql(check(parse('title eq "a" or title sw "b"'), CATALOGUE), BINDING, first_param=4)
    assert [f"${number}::" in found.text for number in (3, 4, 5, 6, 7)] == [False, True, True, True, False]
    assert found.params == ["a", "b", "c"]


def test_relative_dates_want_now() -> None:
    typed = check(parse('day gt "-1d"'), CATALOGUE, relative_dates=True)
    with pytest.raises(ValueError, match="pass now"):
        sql(typed, BINDING)


@pytest.mark.parametrize(
    ("name", "place", "says"),
    [
        ("title", None, "title is single-valued"),
        ("title", Column("p.title"), "bind its key column"),
        ("title", JsonPath("p.doc", ("title",)), "folded text"),
        ("title", BINDING["tags"], "title is single-valued"),
        ("day", JsonPath("p.doc", ("day",)), "bind it to a column"),
        ("tags", Column("p.tags"), "bind it to Exists"),
        ("tags", Exists("tag t", {}), "value is single-valued"),
        ("name.family", None, "name.family is single-valued"),
    ],
)
def test_a_binding_that_cannot_answer_is_refused(
    name: str, place: Column | JsonPath | Exists | None, says: str
) -> None:
    binding = {key: value for key, value in BINDING.items() if key != name}
    if place is not None:
        binding[name] = place
    with pytest.raises(BindingError, match=says):
        require_bound(CATALOGUE, binding)
    text = f'{name} sw "2"' if name != "day" else 'day gt "2026-01-01"'
    with pytest.raises(BindingError, match=says):
        sql(check(parse(text), CATALOGUE), binding)


@pytest.mark.parametrize(
    ("prefix", "after"),
    [
        ("a", "b"),
        ("az", "a{"),
        ("\ud7ff", "\ue000"),
        ("a\U0010ffff", "b"),
        ("\U0010ffff\U0010ffff", None),
        ("", None),
        ("\uffff", "\U00010000"),
    ],
)
def test_the_successor_steps_over_what_is_no_character(prefix: str, after: str | None) -> None:
    assert successor(prefix) == after


_CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\ud7ff\U0010ffffa"), max_size=4)


@given(_CHARACTERS.filter(bool), _CHARACTERS)
def test_the_range_of_a_prefix_holds_exactly_the_texts_that_begin_with_it(prefix: str, text: str) -> None:
    after = successor(prefix)
    for candidate in (text, prefix + text):
        in_range = candidate >= prefix and (after is None or candidate < after)
        assert in_range == candidate.startswith(prefix)
        assert (candidate.encode() >= prefix.encode()) == (candidate >= prefix)
