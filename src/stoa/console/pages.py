"""The pages of this room."""

from starlette.routing import Route

from stoa.console.audit import audit_pages
from stoa.console.board import board_pages
from stoa.console.overview import overview_pages
from stoa.console.platform_audit import platform_audit_pages
from stoa.web.visiting import Shell


def console_pages(shell: Shell) -> list[Route]:
    """Their routes: the board of tenants, the overview of each, and the audit logs."""
    return [*board_pages(shell), *overview_pages(shell), *audit_pages(shell), *platform_audit_pages(shell)]
