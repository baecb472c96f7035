"""The page at `/`, for whoever started the server and looks whether it runs. It knows no tenant, so it shows none."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stoa.web.assets import assets_route
from stoa.web.templates import Pages


def web_routes(pages: Pages, *, version: str) -> list[BaseRoute]:
    """The routes of the shell: the landing page and the static files.

    version: of Stoa, to be shown.
    """

    async def landing(_: Request) -> Response:
        return pages.render("web/landing.html", version=version)

    return [Route("/", landing, methods=["GET"], name="landing"), assets_route(pages.assets)]
