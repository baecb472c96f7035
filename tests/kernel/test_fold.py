"""Making text comparable without regard to case."""

from unicodedata import is_normalized, normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stoa.kernel.fold import fold


@given(st.text())
@example("ẞ")
@example("ŉ")
@example("\u0345")
@example("ﬁ")
@example("ΐ")
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_what_is_folded_is_in_nfkc(text: str) -> None:
    assert is_normalized("NFKC", fold(text))


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_goes_the_short_way_to_the_same_end(text: str) -> None:
    # The long way, which a character beyond ASCII forces.
    assert fold(text) == fold(f"{text}é").removesuffix("é")


@given(st.text())
def test_case_makes_no_difference(text: str) -> None:
    # In NFKC first: a iota below a letter (U+0345) becomes a letter of its own, and marks after it would be its marks.
    assert fold(normalize("NFKC", text).casefold()) == fold(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna.Smith@Example.COM", "anna.smith@example.com"),
        ("STRASSE", "straße"),
        ("ﬁn", "FIN"),
        ("e\u0301", "É"),
        ("Ａ１", "a1"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("K", "k"),
    ],
)
def test_these_are_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("a", "á"), ("o", "ö"), ("a b", "ab"), ("l", "1"), ("ı", "i")])
def test_these_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)
