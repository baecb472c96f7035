"""One request of a provider: what came, what was answered, what it did and why; and doing it once more."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.access.queries import credential
from stoa.alerts.model import Alert
from stoa.alerts.queries import current_alert, current_alerts
from stoa.changes import words
from stoa.changes.names import actor_names
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.changed import outside
from stoa.events.model import Event
from stoa.identity.scim.failures import FAILED_ALERT, REFUSED_ALERT, TOKEN_ALERT
from stoa.identity.scim.log import masking, replaying
from stoa.identity.scim.log import queries as log_queries
from stoa.identity.scim.log.model import FAILED, Line, Sealed
from stoa.identity.scim.log.pages import ONE, provider_here
from stoa.identity.scim.log.store import Vault
from stoa.identity.scim.log.told import detail_of, told
from stoa.kernel.problems import BadInput, NotFound
from stoa.people.queries import person_names
from stoa.tenants.model import Source
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_REQUEST: Final = f"{ONE}/requests/{{request_id}}"


@dataclass(frozen=True, slots=True)
class _Desk:
    """base_url: scheme, host and port under which clients reach this server."""

    vault: Vault
    base_url: str

    def address(self, visit: Visit) -> str:
        """Where the tenant's identity provider sends its requests."""
        assert visit.tenant is not None
        return f"{self.base_url}/t/{visit.tenant.slug}/scim/v2"


@dataclass(frozen=True, slots=True)
class _Shown:
    """A request as it was read."""

    source: Source
    line: Line
    sealed: Sealed


_Handler = Callable[[Visit, _Desk], Awaitable[Response]]


def request_pages(shell: Shell, vault: Vault, base_url: str) -> list[Route]:
    """Their routes. base_url: as `scim_routes` has it."""
    desk = _Desk(vault, base_url.rstrip("/"))

    def at(handler: _Handler) -> Callable[[Visit], Awaitable[Response]]:
        async def handle(visit: Visit) -> Response:
            return await handler(visit, desk)

        return handle

    see, change = Permission.PEOPLE_VIEW, Permission.CONNECTION_CHANGE
    return [
        tenant_page(shell, _REQUEST, at(_show), needs=see),
        tenant_action(shell, f"{_REQUEST}/reveal", at(_reveal), needs=see),
        tenant_action(shell, f"{_REQUEST}/preview", at(_preview), needs=change),
        tenant_action(shell, f"{_REQUEST}/replay", at(_replay), needs=change),
    ]


async def _read(visit: Visit, desk: _Desk, tx: TenantTx) -> _Shown:
    source = await provider_here(visit, tx)
    request_id = visit.id("request_id")
    line = await log_queries.one_line(tx, source.source_id, request_id)
    if line is None:
        raise NotFound(
            visit.gettext("There is no such request."),
            hint=visit.gettext("Requests are kept for some days alone; the list shows those that there are."),
        )
    return _Shown(source, line, await log_queries.opened(tx, desk.vault, request_id))


async def _show(visit: Visit, desk: _Desk) -> Response:
    return await _page(visit, desk)


async def _reveal(visit: Visit, desk: _Desk) -> Response:
    """The page with all its fields, once. That somebody looked is written down first."""
    async with visit.writing() as tx:
        shown = await _read(visit, desk, tx)
        person_id = shown.line.person_id
        body = {"source_id": str(shown.line.source_id), "person_id": None if person_id is None else str(person_id)}
        emit(tx, Event("scim.request_revealed", f"scim_request:{shown.line.request_id}", body))
    return await _page(visit, desk, revealed=True)


async def _preview(visit: Visit, desk: _Desk) -> Response:
    async with visit.tx() as tx:
        shown = await _read(visit, desk, tx)
    outlook = await replaying.look_ahead(visit, shown.line, shown.sealed, desk.address(visit))
    return await _page(visit, desk, outlook=outlook)


async def _replay(visit: Visit, desk: _Desk) -> Response:
    form = await visit.form()
    why = form.get("why", "")
    async with visit.tx() as tx:
        shown = await _read(visit, desk, tx)
    try:
        done = await replaying.replay(visit, desk.vault, shown.line, shown.sealed, desk.address(visit), why)
    except BadInput as problem:
        return await _page(visit, desk, error=str(problem), why=why)
    well = replaying.succeeded(done.answer)
    return visit.see(
        f"/connections/scim/{shown.source.source_id}/requests/{done.request_id}",
        said=visit.gettext("It was done once more. This page tells what came of it.")
        if well
        else visit.gettext("It was tried once more, and refused again. This page tells why."),
        tone="ok" if well else "warn",
    )


async def _page(
    visit: Visit,
    desk: _Desk,
    *,
    revealed: bool = False,
    outlook: replaying.Outlook | None = None,
    error: str | None = None,
    why: str = "",
) -> Response:
    async with visit.tx() as tx:
        shown = await _read(visit, desk, tx)
        line = shown.line
        written = None if line.run_id is None or line.ord is None else await _written(tx, line)
        names = {} if line.person_id is None else await person_names(tx, [line.person_id])
        token = None if line.credential_id is None else await credential(tx, line.credential_id)
        replays = await log_queries.replays_of(tx, line.request_id)
        alert = await _alert(tx, line)
    actors = await actor_names(visit, [line.actor])
    sealed, may_change = shown.sealed, visit.may(Permission.CONNECTION_CHANGE)
    return visit.page(
        "scim/request.html",
        status=422 if error else 200,
        source=shown.source,
        line=line,
        actors=actors,
        sealed=sealed,
        query=masking.shown_query(sealed.query, revealed=revealed),
        request=masking.shown(sealed.request, cut=sealed.cut, revealed=revealed),
        answer=masking.shown(sealed.answer, cut=sealed.answer_cut, revealed=revealed),
        told=told(line, detail_of(sealed.answer), visit.gettext),
        before=None if written is None else _fields(written.before, revealed=revealed),
        after=None if written is None else _fields(written.after, revealed=revealed),
        written=written,
        membership=written is not None and _is_membership(written),
        labels={} if written is None else _labels(visit, written),
        name=names.get(line.person_id) if line.person_id is not None else None,
        token=token,
        alert=alert,
        replays=replays,
        revealed=revealed,
        refusal=replaying.refusal_of(line, sealed, visit) if may_change else None,
        outlook=None if outlook is None else _outlook(visit, line, outlook),
        error=error,
        why=why,
        longest_why=replaying.LONGEST_WHY,
        may_change=may_change,
        may_decide=visit.may(Permission.RUN_DECIDE),
        address=f"{visit.base}/connections/scim/{shown.source.source_id}",
        here_address=f"{visit.base}/connections/scim/{shown.source.source_id}/requests/{line.request_id}",
    )


def _fields(fields: Any, *, revealed: bool) -> dict[str, Any] | None:
    # The id says nothing beside the name of the group whose membership it is.
    kept = None if fields is None else {name: value for name, value in fields.items() if name != "group_id"}
    kept = outside(kept)
    return kept if revealed or kept is None else masking.masked_fields(kept)


def _labels(visit: Visit, written: log_queries.Written) -> dict[str, str]:
    labels = words.fields(visit.gettext, {**(written.before or {}), **(written.after or {})})
    if _is_membership(written):
        labels |= {"display_name": visit.gettext("In the group")}
    return labels | {"present": visit.gettext("Known to the provider")}


def _is_membership(written: log_queries.Written) -> bool:
    """Whether it is about a member of a group, or a name that one awaits; not about a group itself."""
    return "group_id" in (written.after or written.before or {})


async def _written(tx: TenantTx, line: Line) -> log_queries.Written | None:
    assert line.run_id is not None
    assert line.ord is not None
    return await log_queries.written_at(tx, line.run_id, line.ord)


async def _alert(tx: TenantTx, line: Line) -> Alert | None:
    """The alert that tells of such requests, if one is open."""
    if line.outcome == FAILED:
        return next((one for one in await _failures(tx)), None)
    if line.status == 401 and line.credential_id is not None:
        return await current_alert(tx, TOKEN_ALERT, str(line.credential_id))
    if line.status == 409:
        return await current_alert(tx, REFUSED_ALERT, str(line.source_id))
    return None


async def _failures(tx: TenantTx) -> list[Alert]:
    return [one for one in await current_alerts(tx) if one.kind == FAILED_ALERT]


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What doing it once more would come to, for the template."""

    status: int
    well: bool
    what: str
    why: str
    changes: bool
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def _outlook(visit: Visit, line: Line, outlook: replaying.Outlook) -> _Outlook:
    answer, written = outlook.answer, outlook.written
    word = answer.outcome.word if answer.outcome is not None else "refused"
    reason = answer.outcome.reason if answer.outcome is not None else ""
    said = told(replaying.as_if(line, int(answer.status), word, reason), detail_of(answer.body), visit.gettext)
    return _Outlook(
        status=int(answer.status),
        well=replaying.succeeded(answer),
        what=said.what,
        why=said.why,
        changes=written is not None,
        before=None if written is None else _fields(written.before, revealed=False),
        after=None if written is None else _fields(written.after, revealed=False),
    )
