"""Pages from Jinja2 templates: everything is escaped, and a name that a template does not get is an error.

Each room keeps its templates in a folder `templates`, below a folder of its own name. They are the project's own: a
tenant's wording never becomes one (docs/architecture.md, "Security").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.runtime import Context
from starlette.responses import HTMLResponse

from stoa.web.assets import Assets
from stoa.web.words import SOURCE, languages, locale_of

_ROOMS: Final = Path(__file__).parents[1]


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
        values = {"lang": language, **values}
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


def _environment(assets: Assets, loader: FileSystemLoader, language: str, words: object) -> Environment:
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(words, newstyle=True)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - the extension adds the method
    locale = locale_of(language)

    def count(number: float) -> str:
        return format_decimal(number, locale=locale)

    environment.globals["asset"] = assets.url  # pyright: ignore[reportArgumentType] - Jinja2 types its globals too narrowly
    environment.filters["count"] = count
    return environment
