"""How a provider's requests about groups are answered: the page where its tenant chooses."""

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.identity.scim.answering.model import Answering, GroupPatch, Strangers
from stoa.identity.scim.answering.settings import answer_so, answering_of
from stoa.identity.scim.groups.endpoint import MOST_MEMBERS
from stoa.identity.scim.tokens import provider
from stoa.identity.scim.walks.pages import ONE, source_id_of
from stoa.people.groups_awaited import MOST_AWAITED, count_awaited
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_PATH: Final = f"{ONE}/answers"


def answering_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    return [
        tenant_page(shell, _PATH, _show, needs=Permission.TENANT_VIEW),
        tenant_action(shell, _PATH, _save, needs=Permission.CONNECTION_CHANGE),
    ]


async def _show(visit: Visit) -> Response:
    return await _page(visit)


async def _save(visit: Visit) -> Response:
    form, source_id = await visit.form(), source_id_of(visit)
    try:
        wanted = Answering(GroupPatch(form.get("group_patch", "")), Strangers(form.get("strangers", "")))
    except ValueError:
        return await _page(visit, error=visit.gettext("Choose one of each list."))
    async with visit.writing() as tx:
        await answer_so(tx, source_id, wanted)
    return visit.see(
        f"/connections/scim/{source_id}/answers", said=visit.gettext("Saved. It holds from the next request on.")
    )


async def _page(visit: Visit, *, error: str | None = None) -> Response:
    source_id = source_id_of(visit)
    async with visit.tx() as tx:
        source = await provider(tx, source_id)
        answering = await answering_of(tx, source_id)
        awaited, groups = await count_awaited(tx, source_id)
    return visit.page(
        "scim/answers.html",
        status=422 if error else 200,
        source=source,
        answering=answering,
        awaited=awaited,
        groups=groups,
        most_members=MOST_MEMBERS,
        most_awaited=MOST_AWAITED,
        error=error,
        may_change=visit.may(Permission.CONNECTION_CHANGE),
        may_see_people=visit.may(Permission.PEOPLE_VIEW),
        address=f"{visit.base}/connections/scim/{source_id}",
    )
