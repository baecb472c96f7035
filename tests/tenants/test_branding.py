"""One accent colour becomes two themes that can be read, whatever the colour."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stoa.kernel.problems import BadInput
from stoa.tenants import branding as branding_module
from stoa.tenants.branding import GROUNDS, PARTS, TEXT, brand_css, branding, contrast, worst
from stoa.tenants.rules import checked_accent

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


TOKENS_CSS = Path(branding_module.__file__).parents[1] / "web" / "assets" / "tokens.css"


@given(COLOURS)
@example("#000000")
@example("#ffffff")
@example("#ffff00")
@example("#808080")
@example("#0000ff")
def test_every_colour_gives_themes_with_enough_contrast(accent: str) -> None:
    made = branding(accent)
    for tokens, ground in ((made.light, GROUNDS["light"]), (made.dark, GROUNDS["dark"])):
        surfaces = [*ground.surfaces.values(), tokens.soft]
        assert worst(tokens.accent, surfaces) >= TEXT
        assert worst(tokens.hover, surfaces) >= TEXT
        assert worst(tokens.ink, [tokens.accent, tokens.hover]) >= TEXT
        assert contrast(ground.text, tokens.soft) >= TEXT
    assert all(found.ratio >= found.needed for found in made.ratios)
    assert {found.needed for found in made.ratios} == {TEXT, PARTS}


@given(COLOURS)
def test_what_was_adjusted_is_told_with_what_was_given_and_what_it_lacked(accent: str) -> None:
    made = branding(accent)
    told = {(one.theme, one.used) for one in made.adjusted}
    themes = (("light", made.light), ("dark", made.dark))
    assert told == {(theme, tokens.accent) for theme, tokens in themes if tokens.accent != accent}
    assert all(one.ratio < one.needed and one.given == accent for one in made.adjusted)


def test_the_grounds_are_those_of_the_style_sheet() -> None:
    css = TOKENS_CSS.read_text("utf-8")
    for place, theme in enumerate(("light", "dark")):
        for name, colour in {**GROUNDS[theme].surfaces, "text": GROUNDS[theme].text}.items():
            found = re.search(rf"--{name}: light-dark\((#\w+), (#\w+)\)", css)
            assert found is not None, name
            assert found[1 + place] == colour, (theme, name)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert contrast("#0000ff", "#ffffff") == pytest.approx(8.592, abs=0.001)


def test_a_colour_with_enough_contrast_stays_as_it_was_given() -> None:
    made = branding("#0b6058")
    assert made.light.accent == "#0b6058"
    assert {one.theme for one in made.adjusted} == {"dark"}


def test_an_adjusted_colour_keeps_its_hue() -> None:
    used = branding("#ffff00").light.accent
    red, green, blue = (int(used[i : i + 2], 16) for i in (1, 3, 5))
    assert red == green > blue + 60


def test_the_style_sheet_sets_each_property_for_both_themes_and_nothing_else() -> None:
    made = branding("#336699")
    declared = dict(re.findall(r"(--[a-z-]+):light-dark\((#\w{6},#\w{6})\);", brand_css(made)))
    assert declared == {
        "--accent": f"{made.light.accent},{made.dark.accent}",
        "--accent-hover": f"{made.light.hover},{made.dark.hover}",
        "--accent-soft": f"{made.light.soft},{made.dark.soft}",
        "--on-accent": f"{made.light.ink},{made.dark.ink}",
    }
    assert all(f"{name}: light-dark(" in TOKENS_CSS.read_text("utf-8") for name in declared)


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [("#0F766E", "#0f766e"), ("0f766e", "#0f766e"), (" #abc ", "#aabbcc"), ("#000000", "#000000")],
)
def test_a_colour_is_stored_in_one_form(given_text: str, stored: str) -> None:
    assert checked_accent(given_text) == stored


@pytest.mark.parametrize(
    "text", ["", "red", "#12345", "#1234567", "#12345g", "#123456;}", "url(x)", "##123456", "#١٢٣"]
)
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not a colour"):
        checked_accent(text)
