"""The audit log of a tenant: every write, by whom, from where, and what it was before and after."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from stoa.access.actors import Actor, actors_named, known_actors
from stoa.access.permissions import Permission
from stoa.console.audit_words import page_of, told_by, who
from stoa.db.transactions import TenantTx
from stoa.events.trail import CATALOGUE, TrailAsk, TrailLine, TrailPage, trail_entry, trail_page
from stoa.events.verifying import last_check
from stoa.jobs.actions import enqueue
from stoa.kernel.problems import BadInput, NotFound
from stoa.tenants.actions import CHAIN_JOB
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

_AUDIT: Final = "/audit"
LIST: Final = Listing(name="audit", sorts={"at": "at"}, default="-at", catalogue=CATALOGUE)
_EXPORTED_AT_ONCE: Final = 500
_SHOWN: Final = 200
_GREATEST: Final = 2**63 - 1
CSV_HEADER: Final = (
    *("seq", "entry_no", "at", "actor", "name", "via", "address", "request_id", "run_id", "type", "subject"),
    *("events", "before", "after", "more"),
)


def audit_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    needs = Permission.AUDIT_VIEW
    return [
        tenant_page(shell, _AUDIT, _list, needs=needs),
        tenant_page(shell, f"{_AUDIT}.csv", _export, needs=needs),
        tenant_action(shell, f"{_AUDIT}/check", _check, needs=needs),
        tenant_page(shell, f"{_AUDIT}/{{entry_no}}", _entry, needs=needs),
    ]


async def _asked(visit: Visit, tx: TenantTx, ask: Ask) -> TrailAsk:
    actors: tuple[str, ...] = ()
    if ask.search:
        async with visit.platform() as platform:
            actors = await actors_named(platform, tx, ask.search)
    return TrailAsk(ask.search, actors, ask.typed, ask.descending, ask.after, ask.limit)


async def _names(visit: Visit, tx: TenantTx, lines: Iterable[TrailLine]) -> Mapping[str, Actor]:
    async with visit.platform() as platform:
        return await known_actors(platform, tx, (line.actor for line in lines))


async def _list(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    async with visit.tx() as tx:
        found = TrailPage((), None) if ask.problem else await trail_page(tx, await _asked(visit, tx, ask))
        names = await _names(visit, tx, found.lines)
        check = await last_check(tx)
    return visit.page(
        "audit/audit.html",
        listed=LIST.page(visit, ask, Slice(found.lines, found.next)),
        looked_until=found.looked_until,
        check=check,
        who=partial(who, visit, known=names),
        page_of=partial(page_of, visit),
        told_by=told_by,
    )


async def _entry(visit: Visit) -> Response:
    text = str(visit.request.path_params["entry_no"])
    entry_no = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    async with visit.tx() as tx:
        lines = await trail_entry(tx, entry_no, limit=_SHOWN + 1) if 0 < entry_no <= _GREATEST else []
        names = await _names(visit, tx, lines)
    if not lines:
        raise NotFound("There is no such entry.", hint="The audit log shows those there are.")
    return visit.page(
        "audit/entry.html",
        first=lines[0],
        lines=lines[:_SHOWN],
        more=len(lines) > _SHOWN,
        who=partial(who, visit, known=names),
        page_of=partial(page_of, visit),
        told_by=told_by,
    )


async def _check(visit: Visit) -> Response:
    async with visit.writing() as tx:
        await enqueue(tx, CHAIN_JOB, "")
    return visit.see(_AUDIT, said=visit.gettext("The check has begun. Look again in a moment."), tone="info")


# ------------------------------------------------------------------ export


async def _export(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)
    return await csv_export(visit, "audit.csv", CSV_HEADER, _rows(visit, ask))


async def _rows(visit: Visit, ask: Ask) -> AsyncGenerator[Sequence[object]]:
    """The lines some hundreds at a time, each time in a short transaction."""
    asked: TrailAsk | None = None
    while True:
        async with visit.tx() as tx:
            asked = asked or replace(await _asked(visit, tx, ask), after=None, limit=_EXPORTED_AT_ONCE)
            found = await trail_page(tx, asked)
            names = await _names(visit, tx, found.lines)
        for line in found.lines:
            yield csv_row(line, who(visit, line.actor, names))
        if found.next is None:
            return
        asked = replace(asked, after=found.next)


def csv_row(line: TrailLine, name: str) -> tuple[object, ...]:
    """A line in the order of CSV_HEADER; what it was before and after as JSON."""
    told = told_by(line.body)
    parts = (told.before, told.after, told.rest or None)
    return (
        *(line.seq, line.entry_no, line.at, line.actor, name, line.via, line.address, line.request_id),
        *(line.run_id, line.type, line.subject, line.n),
        *(None if part is None else msgspec.json.encode(part).decode() for part in parts),
    )
