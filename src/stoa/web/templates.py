"""Pages from Jinja2 templates: everything is escaped, and a name that a template does not get is an error.

The templates are the project's own. A tenant's wording never becomes one (docs/architecture.md, "Security").
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from stoa.web.assets import Assets

_FOLDER: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Pages:
    """What renders pages: handed to the routes by the composition root."""

    assets: Assets
    environment: Environment

    def render(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """A page. Pages hold what only their reader may see, so no cache keeps them."""
        text = self.environment.get_template(template).render(values)
        return HTMLResponse(text, status_code=status, headers={"Cache-Control": "no-store"})


def make_pages(assets: Assets) -> Pages:
    """Prepares the templates, which know the assets as `asset("stoa.css")`."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["asset"] = assets.url  # pyright: ignore[reportArgumentType] - Jinja2 types its globals too narrowly
    return Pages(assets, environment)
