"""The pages of this room."""

from starlette.routing import Route

from stoa.console.board import board_pages
from stoa.console.overview import overview_pages
from stoa.web.visiting import Shell


def console_pages(shell: Shell) -> list[Route]:
    """Their routes: the board of tenants, and the overview of each."""
    return [*board_pages(shell), *overview_pages(shell)]
