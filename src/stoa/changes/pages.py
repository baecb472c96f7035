"""The pages of this room: runs, their plans, and what waits for a decision."""

from collections.abc import Sequence

from starlette.routing import Route

from stoa.changes.names import SubjectNames, nobody
from stoa.changes.pages_decide import deciding_pages
from stoa.changes.pages_list import list_pages
from stoa.changes.pages_live import live_pages
from stoa.changes.pages_plan import plan_pages
from stoa.changes.pages_run import one_pages
from stoa.changes.pages_undo import undo_pages
from stoa.changes.undoing import TARGETS
from stoa.web.visiting import Shell


def run_pages(shell: Shell, *, subjects: SubjectNames = nobody, targets: Sequence[str] = TARGETS) -> list[Route]:
    """Their routes.

    subjects: gives the names of people whom a change does not name itself.
    targets: what a source changes.
    The lists come first, for a run's id could be taken for their names otherwise.
    """
    return [
        *list_pages(shell),
        *live_pages(shell, subjects),
        *plan_pages(shell, subjects),
        *deciding_pages(shell, subjects),
        *one_pages(shell, subjects),
        *undo_pages(shell, targets),
    ]
