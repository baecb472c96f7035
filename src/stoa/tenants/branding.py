"""From one accent colour of a tenant, the colours of its pages in both themes, which everybody can read. Pure.

Contrast is WCAG 2.2's (1.4.3: 4.5 to 1 for text; 1.4.11: 3 to 1 for parts of controls and the focus ring). A colour
with too little of it is moved towards black or white, in OKLab (https://bottosson.github.io/posts/oklab/), where equal
steps look equal and the hue stays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal

TEXT: Final = 4.5
PARTS: Final = 3.0
_STEPS: Final = 200
_WHITE: Final = "#ffffff"
_BLACK: Final = "#000000"
_HOVER: Final = 0.25
_INK_TINT: Final = 0.15

ThemeName = Literal["light", "dark"]
_Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Ground:
    """What a theme's colours stand on: the values of web/assets/tokens.css, which a test compares.

    Attributes:
        surfaces: every background of pages, cards, fields and rows: contrast is kept on each of them.
        text: the colour of running text.
        away: where a colour goes that is too close to the ground.
        tint: how much of the accent is in the soft background.
    """

    surfaces: Mapping[str, str]
    text: str
    away: str
    tint: float


GROUNDS: Final[Mapping[ThemeName, Ground]] = {
    "light": Ground(
        {
            "canvas": "#f6f7f8",
            "surface": "#ffffff",
            "raised": "#ffffff",
            "sunken": "#eef0f2",
            "hover": "#f1f3f5",
        },
        *("#1a1f26", _BLACK, 0.10),
    ),
    "dark": Ground(
        {
            "canvas": "#0e1215",
            "surface": "#151a1e",
            "raised": "#1c2227",
            "sunken": "#0b0e11",
            "hover": "#1d2328",
        },
        *("#e4e8eb", _WHITE, 0.18),
    ),
}


@dataclass(frozen=True, slots=True)
class Tokens:
    """The colours of one theme, each as `#rrggbb`.

    Attributes:
        accent: links and other words, buttons, marks, the focus ring.
        hover: the same under the pointer.
        soft: a background with a breath of the accent, under words in either colour.
        ink: words on `accent` and `hover`.
    """

    accent: str
    hover: str
    soft: str
    ink: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """A contrast that was asked for and what it is: the least of all surfaces where it matters."""

    theme: ThemeName
    part: str
    ratio: float
    needed: float


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An accent that is not the one that was given, for want of contrast: `ratio` is what the given one had."""

    theme: ThemeName
    given: str
    used: str
    ratio: float
    needed: float


@dataclass(frozen=True, slots=True)
class Branding:
    """What became of an accent colour."""

    accent: str
    light: Tokens
    dark: Tokens
    ratios: Sequence[Ratio]
    adjusted: Sequence[Adjusted]


def branding(accent: str) -> Branding:
    """The colours of both themes.

    accent: `#rrggbb`, as `rules.checked_accent` gives it.
    """
    light, dark = _tokens(accent, GROUNDS["light"]), _tokens(accent, GROUNDS["dark"])
    adjusted = [
        Adjusted(theme, accent, tokens.accent, _legibility(accent, tokens.soft, GROUNDS[theme]), TEXT)
        for theme, tokens in _themes(light, dark)
        if tokens.accent != accent
    ]
    return Branding(accent, light, dark, [*_ratios("light", light), *_ratios("dark", dark)], adjusted)


def _themes(light: Tokens, dark: Tokens) -> tuple[tuple[ThemeName, Tokens], ...]:
    return ("light", light), ("dark", dark)


def _tokens(accent: str, ground: Ground) -> Tokens:
    soft = _soft(accent, ground)
    used = _moved(accent, ground.away, lambda colour: _legibility(colour, soft, ground) >= TEXT)
    hover = _mixed(used, ground.away, _HOVER)
    tinted = _mixed(_BLACK, used, _INK_TINT)
    ink = next(ink for ink in (_WHITE, tinted, _BLACK) if worst(ink, (used, hover)) >= TEXT)
    return Tokens(used, hover, soft, ink)


def _soft(accent: str, ground: Ground) -> str:
    """As much tint as running text can be read on with ease."""
    tints = [ground.tint * step / 10 for step in range(10, -1, -1)]
    soft = [_mixed(ground.surfaces["surface"], accent, tint) for tint in tints]
    return next(colour for colour in soft if contrast(ground.text, colour) >= 2 * TEXT)


def _legibility(colour: str, soft: str, ground: Ground) -> float:
    return worst(colour, [*ground.surfaces.values(), soft])


def _ratios(theme: ThemeName, tokens: Tokens) -> list[Ratio]:
    ground = GROUNDS[theme]
    return [
        Ratio(theme, "text", _legibility(tokens.accent, tokens.soft, ground), TEXT),
        Ratio(theme, "hover", _legibility(tokens.hover, tokens.soft, ground), TEXT),
        Ratio(theme, "ink", worst(tokens.ink, (tokens.accent, tokens.hover)), TEXT),
        Ratio(theme, "soft", contrast(ground.text, tokens.soft), TEXT),
        Ratio(theme, "parts", worst(tokens.accent, list(ground.surfaces.values())), PARTS),
    ]


_PROPERTIES: Final = {"accent": "--accent", "hover": "--accent-hover", "soft": "--accent-soft", "ink": "--on-accent"}


def brand_css(made: Branding) -> str:
    """The style sheet that puts a tenant's colours in place of Stoa's own, in whichever theme the visitor has."""
    declared = [
        f"{_PROPERTIES[field.name]}:light-dark({getattr(made.light, field.name)},{getattr(made.dark, field.name)});"
        for field in fields(Tokens)
    ]
    return f":root{{{''.join(declared)}}}\n"


def preview_css(made: Branding) -> str:
    """The style sheet of the settings' preview, which shows both themes side by side, whichever the visitor has."""
    return "".join(_preview(theme, tokens) for theme, tokens in _themes(made.light, made.dark))


def _preview(theme: ThemeName, tokens: Tokens) -> str:
    # Whatever stands in the box follows its colour scheme.
    own = "".join(f"{_PROPERTIES[field.name]}:{getattr(tokens, field.name)};" for field in fields(Tokens))
    return f".theme-preview-{theme}{{color-scheme:{theme};{own}}}\n"


# ------------------------------------------------------------------ colours


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def worst(colour: str, on: Sequence[str]) -> float:
    """The least contrast of a colour on any of these."""
    return min(contrast(colour, surface) for surface in on)


def _luminance(colour: str) -> float:
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _moved(colour: str, towards: str, enough: Callable[[str], bool]) -> str:
    """The colour itself if it is enough, else the first on its way that is."""
    steps = (_mixed(colour, towards, step / _STEPS) for step in range(_STEPS + 1))
    return colour if enough(colour) else next((step for step in steps if enough(step)), towards)


def _mixed(one: str, other: str, share: float) -> str:
    """So much of `other` in `one`, in OKLab."""
    pairs = zip(_oklab(_linear(one)), _oklab(_linear(other)), strict=True)
    light, a, b = (first + (second - first) * share for first, second in pairs)
    return _hex(_from_oklab((light, a, b)))


def _linear(colour: str) -> _Triple:
    red, green, blue = (_decoded(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return red, green, blue


def _decoded(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _encoded(value: float) -> float:
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


def _hex(linear: _Triple) -> str:
    return "#" + "".join(f"{round(_encoded(min(max(value, 0.0), 1.0)) * 255):02x}" for value in linear)


def _oklab(linear: _Triple) -> _Triple:
    red, green, blue = linear
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def _from_oklab(lab: _Triple) -> _Triple:
    light, a, b = lab
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
