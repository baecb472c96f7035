"""The log of a provider's requests: to look through, to follow, and to take away; and for how long it is kept."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.api.lists import ListAsk
from stoa.db.transactions import TenantTx
from stoa.identity.scim.log import keeping as log_keeping
from stoa.identity.scim.log import queries as log_queries
from stoa.identity.scim.log.model import OUTCOMES, Line
from stoa.identity.scim.log.queries import CATALOGUE, LINES, Looking
from stoa.identity.scim.log.store import CHANNEL, Vault
from stoa.kernel.cursors import Position
from stoa.kernel.filters import Typed, evaluate
from stoa.kernel.ids import SourceId, new_id, parse_id
from stoa.kernel.problems import BadInput, NotFound
from stoa.people.queries import person_names
from stoa.tenants import queries as tenants
from stoa.tenants.model import Source
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.streams import LONGEST_SECONDS, Frame, sse_answer
from stoa.web.visiting import Shell, Visit

ONE: Final = "/connections/scim/{source_id}"
LIST: Final = Listing(name="scim-requests", sorts={"came": LINES}, default="-came", catalogue=CATALOGUE)
CSV_HEADER: Final = (
    *("request_id", "at", "method", "path", "status", "duration_us", "outcome", "reason", "resource_id", "person_id"),
    *("run_id", "credential_id", "address", "user_agent", "trace_id", "actor", "replay_of", "lost"),
)
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
STATUSES: Final = {"2": "status lt 300", "4": "status ge 400 and status lt 500", "5": "status ge 500"}
_EXPORTED_AT_ONCE: Final = 500
_ROWS_AT_ONCE: Final = 50
_POLL_SECONDS: Final = 1.0
# Lines of several processes are written some hundred milliseconds after their ids were made: they are looked for again.
_LATE_MILLISECONDS: Final = 10_000
_LONGEST_PICK: Final = 30


def log_pages(shell: Shell, vault: Vault) -> list[Route]:
    """Their routes."""
    view = Permission.PEOPLE_VIEW

    def at(handler: Callable[[Visit, Vault], Awaitable[Response]]) -> Callable[[Visit], Awaitable[Response]]:
        async def handle(visit: Visit) -> Response:
            return await handler(visit, vault)

        return handle

    return [
        tenant_page(shell, f"{ONE}/requests", at(_list), needs=view),
        tenant_page(shell, f"{ONE}/requests.csv", at(_csv), needs=view),
        tenant_page(shell, f"{ONE}/requests/{{request_id}}/live", _live, needs=view),
        tenant_action(shell, f"{ONE}/requests/keep", _keep, needs=Permission.TENANT_CHANGE),
    ]


async def provider_here(visit: Visit, tx: TenantTx) -> Source:
    """The identity provider that the address names. Raises NotFound."""
    source = await tenants.source(tx, SourceId(visit.id("source_id")))
    if source is None or source.kind != "idp":
        raise NotFound(
            visit.gettext("There is no such identity provider."),
            hint=visit.gettext("The list of connections shows those there are."),
        )
    return source


# ------------------------------------------------------------------ the list


async def _list(visit: Visit, vault: Vault) -> Response:
    picked = _picked(visit)
    if picked is not None:
        return visit.see(picked)
    ask = read_ask(visit, LIST)
    async with visit.tx() as tx:
        source = await provider_here(visit, tx)
        rows, after = ([], None) if ask.problem else await _found(tx, vault, source.source_id, ask)
        days = await log_keeping.kept_days(tx)
        fresh = await log_queries.freshness(tx, source.source_id)
        names = await names_in(tx, rows)
    live = ask.after is None and visit.request.query_params.get("live") == "1" and _may_follow(ask)
    newest = rows[0].request_id if rows else earlier(new_id())
    address = f"{visit.base}/connections/scim/{source.source_id}"
    return visit.page(
        "scim/log.html",
        source=source,
        listed=LIST.page(visit, ask, Slice(rows, after)),
        outcomes=OUTCOMES,
        methods=METHODS,
        statuses=STATUSES,
        fresh=fresh,
        names=names,
        days=days,
        least_days=log_keeping.SHORTEST_DAYS,
        most_days=log_keeping.LONGEST_DAYS,
        may_change=visit.may(Permission.TENANT_CHANGE),
        address=address,
        live=live,
        live_url=f"{address}/requests/{newest}/live?{_query(q=ask.search, filter=ask.filter)}".rstrip("?"),
        follow_url=f"{visit.here}?{_query(q=ask.search, filter=ask.filter, live='1')}" if _may_follow(ask) else None,
    )


async def names_in(tx: TenantTx, rows: Sequence[Line]) -> dict[UUID, str]:
    """What the people are called whom lines are about."""
    return await person_names(tx, [one.person_id for one in rows if one.person_id is not None])


def _may_follow(ask: Ask) -> bool:
    """Who is searched for by name cannot be followed: a line tells no names."""
    return ask.problem is None and (not ask.search or ask.search.startswith("/"))


def _picked(visit: Visit) -> str | None:
    """Where a choice of the form leads: it becomes a part of the filter, to be changed there. None without a choice."""
    given = visit.request.query_params
    parts = [text for text in [given.get("filter", "").strip()] if text]
    chosen = {name: given.get(name, "")[:_LONGEST_PICK] for name in ("outcome", "method", "class")}
    if not any(chosen.values()):
        return None
    if chosen["outcome"] in OUTCOMES:
        parts.append(f'outcome eq "{chosen["outcome"]}"')
    if chosen["method"] in METHODS:
        parts.append(f'method eq "{chosen["method"]}"')
    if chosen["class"] in STATUSES:
        parts.append(STATUSES[chosen["class"]])
    joined = " and ".join(f"({part})" if len(parts) > 1 else part for part in parts)
    # The address without what was chosen; the source in it was read as an id by then.
    return f"/connections/scim/{visit.id('source_id')}/requests?{_query(q=given.get('q', ''), filter=joined)}"


def _query(**parts: str) -> str:
    return urlencode({name: value for name, value in parts.items() if value})


async def _found(tx: TenantTx, vault: Vault, source_id: SourceId, ask: Ask) -> tuple[list[Line], Position | None]:
    looking = Looking(source_id)
    if ask.search.startswith("/"):
        looking = Looking(source_id, on_path=ask.search)
    elif ask.search:
        looking = Looking(source_id, named=await log_queries.requests_about(tx, vault, source_id, ask.search))
    asked = ListAsk(ask.typed, ask.sort, ask.descending, ask.after, ask.limit, None, None, "")
    return await log_queries.lines(tx, looking, asked)


async def _csv(visit: Visit, vault: Vault) -> Response:
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)
    async with visit.tx() as tx:
        source = await provider_here(visit, tx)

    async def rows() -> AsyncGenerator[tuple[object, ...]]:
        wanted = replace(ask, limit=_EXPORTED_AT_ONCE, after=None)
        while True:
            async with visit.tx() as tx:
                found, after = await _found(tx, vault, source.source_id, wanted)
            for one in found:
                yield tuple(getattr(one, name) for name in CSV_HEADER)
            if after is None:
                return
            wanted = replace(wanted, after=after)

    return await csv_export(visit, "scim-requests.csv", CSV_HEADER, rows())


# ------------------------------------------------------------------ following


@dataclass(frozen=True, slots=True)
class _Numbered(Frame):
    """A frame with the id of its last line, which a browser that connects anew tells us."""

    last: UUID

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        return b"id: %b\n%b" % (str(self.last).encode(), Frame.encoded(self))


async def _live(visit: Visit) -> Response:
    """Sends the lines that come after one, as they are written."""
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)
    after = parse_id(visit.request.headers.get("last-event-id", "")) or visit.id("request_id")
    async with visit.tx() as tx:
        source = await provider_here(visit, tx)
    on_path = ask.search if ask.search.startswith("/") else ""
    return sse_answer(visit, _frames(visit, source.source_id, after, ask.typed, on_path))


async def _frames(
    visit: Visit, source_id: SourceId, after: UUID, where: Typed | None, on_path: str
) -> AsyncGenerator[Frame]:
    shell, clock = visit.shell, asyncio.get_running_loop().time
    ends, seen, began = clock() + LONGEST_SECONDS, set[UUID](), after
    async with shell.database.notifier.listening(CHANNEL) as bell:
        while not shell.stopping.is_set() and clock() < ends:
            bell.clear()
            async with visit.tx() as tx:
                found = await log_queries.lines_since(tx, source_id, earlier(after), _ROWS_AT_ONCE)
            # What the page shows already came before it was drawn; whatever comes up later is shown, late or not.
            fresh = [one for one in found if one.request_id not in seen and (seen or one.request_id > began)]
            after = max([after, *(one.request_id for one in fresh)])
            seen = {one for one in seen if one > earlier(after)} | {one.request_id for one in found} | {began}
            rows = [one for one in fresh if _fits(one, where, on_path, visit)]
            if rows:
                async with visit.tx() as tx:
                    names = await names_in(tx, rows)
                html = bytes(visit.page("scim/log_rows.html", rows=rows, names=names).body).decode()
                yield _Numbered("rows", html, after)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), _POLL_SECONDS)


def earlier(after: UUID) -> UUID:
    """The least id of some seconds before one: from there on a page that shows no line yet asks for more. Lines are
    written some hundred milliseconds late.
    """
    return UUID(int=max(0, (after.int >> 80) - _LATE_MILLISECONDS) << 80)


def _fits(line: Line, where: Typed | None, on_path: str, visit: Visit) -> bool:
    if on_path not in line.path:
        return False
    facts = {name: getattr(line, name) for name in (one.name for one in CATALOGUE.attributes)}
    return where is None or evaluate(where, facts, now=visit.now)


# ------------------------------------------------------------------ keeping


async def _keep(visit: Visit) -> Response:
    form = await visit.form()
    given = form.get("days", "").strip()
    if not (given.isascii() and given.isdigit() and len(given) <= 4):
        raise BadInput(visit.gettext("For how many days is a whole number."))
    async with visit.writing() as tx:
        source = await provider_here(visit, tx)
        await log_keeping.keep_for(tx, int(given))
    return visit.see(
        f"/connections/scim/{source.source_id}/requests",
        said=visit.gettext("Requests of all identity providers are kept for %(days)s days from now on.")
        % {"days": int(given)},
    )
