"""The pages of this room: connections, and the rows that their runs set aside."""

from starlette.routing import Route

from stoa.sync.opening import Opener
from stoa.sync.pages_desk import Desk
from stoa.sync.pages_list import list_pages
from stoa.sync.pages_new import new_pages
from stoa.sync.pages_one import one_pages
from stoa.sync.pages_quarantine import quarantine_pages
from stoa.sync.pages_settings import settings_pages
from stoa.sync.target import SyncTarget
from stoa.web.visiting import Shell

__all__ = ["connection_pages", "quarantine_pages"]


def connection_pages(shell: Shell, opener: Opener, target: SyncTarget) -> list[Route]:
    """Their routes.

    target: what the runs of connections change.
    The list and the way to a new connection come first, for a connection's id could be taken for their names otherwise.
    """
    desk = Desk(opener, target)
    return [*list_pages(shell, desk), *new_pages(shell, desk), *settings_pages(shell, desk), *one_pages(shell, desk)]
