"""The contrast of the tokens in both themes, from their file (WCAG 2.2: 1.4.3 text, 1.4.11 parts of controls)."""

import re
from itertools import product
from pathlib import Path

import pytest

from stoa.tenants.branding import contrast
from stoa.web import assets

SHEET = (Path(assets.__file__).parent / "assets" / "tokens.css").read_text(encoding="utf-8")
TOKENS = {
    name: {"light": light, "dark": dark}
    for name, light, dark in re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", SHEET)
}
THEMES = ("light", "dark")
GROUNDS = ("canvas", "surface", "raised", "sunken", "hover")
TONES = ("ok", "info", "warn", "bad", "held", "stale", "off")
WORDS = [
    *product(("text", "muted", "accent", "accent-hover"), GROUNDS),
    *product(TONES, GROUNDS),
    *((tone, f"{tone}-soft") for tone in TONES),
    *(("text", f"{tone}-soft") for tone in TONES),
    *(("text", "accent-soft"), ("accent", "accent-soft"), ("muted", "off-soft")),
    *product(("on-accent",), ("accent", "accent-hover")),
    *product(("on-bad",), ("bad", "bad-hover")),
]
PARTS = [*product(("control", "accent", "bad"), GROUNDS)]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("words", "ground"), WORDS)
def test_words_can_be_read(words: str, ground: str, theme: str) -> None:
    assert contrast(TOKENS[words][theme], TOKENS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("part", "ground"), PARTS)
def test_parts_of_controls_can_be_seen(part: str, ground: str, theme: str) -> None:
    assert contrast(TOKENS[part][theme], TOKENS[ground][theme]) >= 3
