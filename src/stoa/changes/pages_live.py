"""A run while it moves: server-sent events that renew its page, or only its progress, until it comes to rest."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes.model import RunState
from stoa.changes.names import SubjectNames
from stoa.changes.pages_run import ONE, told
from stoa.changes.queries import run_by_id
from stoa.changes.story import Story, story_of
from stoa.kernel.ids import RunId
from stoa.web.guarding import tenant_page
from stoa.web.streams import Frame, sse_answer
from stoa.web.visiting import Shell, Visit

_POLL_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was sent last."""

    state: RunState
    waits: bool
    done: int


def live_pages(shell: Shell, subjects: SubjectNames) -> list[Route]:
    """Their routes."""

    async def live(visit: Visit) -> Response:
        async with visit.tx() as tx:
            # Whoever asks for a run that is not there gets an answer, not an empty stream.
            await run_by_id(tx, visit.id("run_id"))
        return sse_answer(visit, _frames(visit, subjects))

    return [tenant_page(shell, f"{ONE}/live", live, needs=Permission.TENANT_VIEW)]


async def _frames(visit: Visit, subjects: SubjectNames) -> AsyncGenerator[Frame]:
    """`run` when its state changed, `progress` when only its progress did, `end` when nothing more will come."""
    last: _Seen | None = None
    while True:
        async with visit.tx() as tx:
            story = await story_of(tx, RunId(visit.id("run_id")))
        seen = _Seen(story.run.state, story.waiting, story.run.changes_done)
        if last is None or (seen.state, seen.waits) != (last.state, last.waits):
            yield Frame("run", _html(visit, "runs/part.html", {**_quiet(), **await told(visit, subjects)}))
        elif seen.done != last.done:
            yield Frame("progress", _html(visit, "runs/progress.html", _progress(visit, story)))
        last = seen
        if not story.moving:
            yield Frame("end", "")
            return
        await asyncio.sleep(_POLL_SECONDS)


def _quiet() -> dict[str, Any]:
    return {"refused": None, "given": "", "error": None}


def _progress(visit: Visit, story: Story) -> dict[str, Any]:
    return {"story": story, "run": story.run, "address": f"{visit.base}/runs/{story.run.run_id}"}


def _html(visit: Visit, template: str, values: dict[str, Any]) -> str:
    return bytes(visit.page(template, **values).body).decode()
