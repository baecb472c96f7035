"""The platform's own log: what happened to the operators' accounts. For administrators of the platform."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from stoa.access.actors import Actor, actors_named, known_actors
from stoa.access.permissions import Permission
from stoa.access.platform_log import PlatformEntry, check_platform_log, last_platform_check, platform_entry
from stoa.access.platform_trail import CATALOGUE, PlatformAsk, PlatformPage, platform_page_of
from stoa.console.audit_words import told_by, who
from stoa.db.transactions import PlatformTx
from stoa.kernel.problems import BadInput, NotFound
from stoa.web.exports import csv_export
from stoa.web.guarding import platform_action, platform_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import CONSOLE, Shell, Visit

_AUDIT: Final = f"{CONSOLE}/audit"
LIST: Final = Listing(name="platform-audit", sorts={"at": "at"}, default="-at", catalogue=CATALOGUE)
_EXPORTED_AT_ONCE: Final = 500
CSV_HEADER: Final = (
    *("entry_no", "at", "actor", "name", "via", "address", "request_id", "type", "subject", "of"),
    *("before", "after", "more"),
)


def platform_audit_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    needs = Permission.PLATFORM_AUDIT_VIEW
    return [
        platform_page(shell, _AUDIT, _list, needs=needs),
        platform_page(shell, f"{_AUDIT}.csv", _export, needs=needs),
        platform_action(shell, f"{_AUDIT}/check", _check, needs=needs),
        platform_page(shell, f"{_AUDIT}/{{line_no}}", _entry, needs=needs),
    ]


async def _asked(tx: PlatformTx, ask: Ask) -> PlatformAsk:
    named = await actors_named(tx, None, ask.search)
    return PlatformAsk(ask.search, named, ask.typed, ask.descending, ask.after, ask.limit)


async def _names(tx: PlatformTx, lines: Sequence[PlatformEntry]) -> Mapping[str, Actor]:
    return await known_actors(tx, None, {one for line in lines for one in (line.actor, line.subject)})


async def _list(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    async with visit.platform() as tx:
        found = PlatformPage((), None) if ask.problem else await platform_page_of(tx, await _asked(tx, ask))
        names = await _names(tx, found.lines)
        check = await last_platform_check(tx)
    return visit.page(
        "audit/platform.html",
        listed=LIST.page(visit, ask, Slice(found.lines, found.next)),
        check=check,
        who=partial(who, visit, known=names),
    )


async def _entry(visit: Visit) -> Response:
    text = str(visit.request.path_params["line_no"])
    async with visit.platform() as tx:
        line = await platform_entry(tx, int(text)) if text.isascii() and text.isdigit() and len(text) < 19 else None
        names = await _names(tx, [] if line is None else [line])
    if line is None:
        raise NotFound("There is no such line.", hint="The log shows those there are.")
    return visit.page(
        "audit/platform_entry.html", line=line, told=told_by(line.body), who=partial(who, visit, known=names)
    )


async def _check(visit: Visit) -> Response:
    async with visit.platform() as tx:
        found = await check_platform_log(tx)
    if found.broken is None:
        return visit.see(_AUDIT, said=visit.gettext("Every line is as it was written."))
    return visit.see(_AUDIT, said=visit.gettext("The log is not what was written."), tone="bad")


async def _export(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)
    return await csv_export(visit, "platform-audit.csv", CSV_HEADER, _rows(visit, ask))


async def _rows(visit: Visit, ask: Ask) -> AsyncGenerator[Sequence[object]]:
    """The lines some hundreds at a time, each time in a short transaction."""
    asked: PlatformAsk | None = None
    while True:
        async with visit.platform() as tx:
            asked = asked or replace(await _asked(tx, ask), after=None, limit=_EXPORTED_AT_ONCE)
            found = await platform_page_of(tx, asked)
            names = await _names(tx, found.lines)
        for line in found.lines:
            told = told_by(line.body)
            yield (
                *(line.entry_no, line.at, line.actor, who(visit, line.actor, names), line.via, line.address),
                *(line.request_id, line.type, line.subject, who(visit, line.subject, names) if line.subject else None),
                *(
                    None if part is None else msgspec.json.encode(part).decode()
                    for part in (told.before, told.after, told.rest or None)
                ),
            )
        if found.next is None:
            return
        asked = replace(asked, after=found.next)
