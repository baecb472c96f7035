"""Pages from Jinja2 templates: everything is escaped, and a name that a template does not get is an error.

Each room keeps its templates in a folder `templates`, below a folder of its own name. They are the project's own: a
tenant's wording never becomes one (docs/architecture.md, "Security").
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.responses import HTMLResponse

from stoa.web.assets import Assets
from stoa.web.compiling import IMPORTED, QuickEnvironment
from stoa.web.words import PSEUDO, SOURCE, languages, locale_of, telling

_ROOMS: Final = Path(__file__).parents[1]
# Texts are the templates' own, and few; numbers repeat from page to page.
_REMEMBERED: Final = 8192
# Characters of a text that is shown whole, where `value` of the components would show it whole too.
_SHORT: Final = 300


@dataclass(frozen=True, slots=True)
class Pages:
    """What renders pages: handed to the routes by the composition root.

    environments: by language.
    """

    assets: Assets
    environments: Mapping[str, Environment]

    @property
    def environment(self) -> Environment:
        """That of the source language."""
        return self.environments[SOURCE]

    def render(
        self, template: str, *, status: int = 200, language: str = SOURCE, block: str | None = None, **values: object
    ) -> HTMLResponse:
        """A page, or one block of it. Pages hold what only their reader may see, so no cache keeps them."""
        text = self.text(template, language=language, block=block, **values)
        return HTMLResponse(text, status_code=status, headers={"Cache-Control": "no-store"})

    def text(self, template: str, *, language: str = SOURCE, block: str | None = None, **values: object) -> str:
        """The page's HTML."""
        found = self.environments[language].get_template(template)
        values = {"lang": language, **values, IMPORTED: {}}
        if block is None:
            return found.render(values)
        context: Context = found.new_context(values)
        return "".join(found.blocks[block](context))


def make_pages(assets: Assets, *, development: bool = False) -> Pages:
    """Prepares the templates of every room, which know the assets as `asset("stoa.css")`.

    development: offers the pseudo-language, in which a text that cannot be translated stands out.
    """
    loader = FileSystemLoader(sorted(str(folder) for folder in _ROOMS.glob("**/templates") if folder.is_dir()))
    offered = languages(pseudo=development)
    return Pages(assets, {name: _environment(assets, loader, name, offered[name]) for name in offered})


def _environment(assets: Assets, loader: FileSystemLoader, language: str, words: NullTranslations) -> Environment:
    environment = QuickEnvironment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    # What {% trans %} compiles to; the functions themselves are those below.
    environment.install_gettext_translations(words, newstyle=True)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - the extension adds the method
    locale = locale_of(language)

    @lru_cache(_REMEMBERED, typed=True)
    def count(number: float) -> str:
        return format_decimal(number, locale=locale)

    names: dict[str, Any] = {"asset": assets.url, **_texts(words)}
    environment.globals.update(names)
    filters: dict[str, Any] = {"count": count, "with_names_of": _with_names_of, "iso": _iso, "by_clock": _by_clock}
    environment.filters.update(filters)
    environment.tests["short"] = _is_short

    @lru_cache(_REMEMBERED)
    def state_badge(word: str) -> str:
        return environment.get_template("web/ui/states.html").module.state(word)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType] - what a template exports is known when it is compiled

    environment.globals["state_badge"] = state_badge
    environment.filters["told"] = _telling(language)
    return environment


def _telling(language: str) -> Callable[[object], object]:
    """What templates put sentences through that were made below the pages. A text that a page has translated, or put
    together as HTML, stays as it is.
    """
    tell = telling(language, pseudo=language == PSEUDO)
    return lambda text: tell(text) if type(text) is str else text


@lru_cache(_REMEMBERED)
def _iso(moment: datetime) -> str:
    """A moment for programs, to the second (RFC 3339)."""
    return moment.isoformat(timespec="seconds")


@lru_cache(_REMEMBERED)
def _by_clock(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as the clocks of a zone have it, to the second, with the zone's abbreviation."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _with_names_of(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """The names of the members of either, in the order of an index."""
    return sorted({**old, **new}, key=lambda name: (name.lower(), name))


def _is_short(value: object) -> bool:
    """Whether it is a text that is shown as it is, without a fold."""
    return isinstance(value, str) and 0 < len(value) <= _SHORT


def _texts(words: NullTranslations) -> dict[str, Callable[..., str]]:
    """What templates call for a text: as the extension's own functions do (a text is HTML, what is put into it is
    escaped), without asking the context for each and translating anew.
    """

    @lru_cache(_REMEMBERED)
    def plain(text: str) -> Markup:
        return Markup(words.gettext(text)) % {}  # noqa: S704 - the project's own text

    def gettext(text: str, /, **values: object) -> str:
        return Markup(words.gettext(text)) % values if values else plain(text)  # noqa: S704 - the project's own text

    @lru_cache(_REMEMBERED)
    def counted(one: str, many: str, num: int) -> Markup:
        return Markup(words.ngettext(one, many, num)) % {"num": num}  # noqa: S704 - the project's own text

    def ngettext(one: str, many: str, num: int, /, **values: object) -> str:
        if not values:
            return counted(one, many, num)
        return Markup(words.ngettext(one, many, num)) % {"num": num, **values}  # noqa: S704 - the project's own text

    return {"_": gettext, "gettext": gettext, "ngettext": ngettext}
