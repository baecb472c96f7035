"""The audit log: is it what was written, and a copy of it."""

import csv
import io
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from cyclopts import App

from stoa.access.actors import known_actors
from stoa.access.platform_log import PlatformCheck, check_platform_log
from stoa.alerts.chain import check_chain, in_words
from stoa.cli.common import OPERATOR, Options, Session, print_json, session, show_list
from stoa.console.audit import CSV_HEADER, csv_row
from stoa.events.trail import CATALOGUE, TrailAsk, TrailLine, trail_page
from stoa.events.verifying import ChainCheck
from stoa.kernel.filters import check, parse
from stoa.kernel.ids import TenantId
from stoa.kernel.problems import BadInput, Conflict
from stoa.tenants.queries import list_tenants
from stoa.web.exports import cell

audit_app = App(name="audit", help="Check the audit log, and copy it out.")
_AT_ONCE = 1000
_OPERATORS = "(operators)"


class LogBroken(Conflict):
    """An audit log is not what was written.

    The answer names the first entry that does not fit. Put the database beside its backups to see who changed it.
    """

    code = "audit_broken"


@audit_app.command(name="verify")
async def verify(slug: str | None = None, *, all: bool = False, options: Options = Options()) -> None:  # noqa: A002 - the option's name
    """Check that nothing of an audit log was changed, taken out or cut off. Ends with 1, and the place, when it was.

    Args:
        slug: The tenant.
        all: Every tenant, and the log of the operators' accounts.
    """
    if (slug is None) is not all:
        raise BadInput("Say which audit log: a tenant's, or --all.", hint="stoa audit verify acme")
    rows: list[dict[str, Any]] = []
    async with session(options) as s:
        for name, tenant_id in await _wanted(s, slug):
            rows.append(_told(name, await check_chain(s.platform.database, tenant_id, OPERATOR)))
        if all:
            async with s.platform.database.platform(OPERATOR) as tx:
                rows.append(_told(_OPERATORS, await check_platform_log(tx)))
    show_list(
        options, ("tenant", "sound", "up_to", "checked_at", "broken_at", "reason"), rows, "There is no tenant yet."
    )
    broken = [row for row in rows if not row["sound"]]
    if broken:
        raise LogBroken(
            " ".join(f"{row['tenant']}: {row['detail']}" for row in broken),
            hint="Keep the database as it is, compare it with a backup, and find out who can write to it.",
        )


async def _wanted(s: Session, slug: str | None) -> list[tuple[str, TenantId]]:
    if slug is not None:
        return [(slug, await s.tenant_id(slug))]
    async with s.platform.database.platform() as tx:
        return [(one.slug, one.tenant_id) for one in await list_tenants(tx)]


def _told(name: str, found: ChainCheck | PlatformCheck) -> dict[str, Any]:
    broken = found.broken
    return {
        "tenant": name,
        "sound": broken is None,
        "up_to": found.up_to,
        "checked_at": found.checked_at,
        "broken_at": None if broken is None else broken.seq,
        "reason": None if broken is None else broken.reason,
        "detail": None if broken is None else in_words(ChainCheck(found.checked_at, found.up_to, broken)),
    }


@audit_app.command(name="export")
async def export(slug: str, *, filter: str = "", options: Options = Options()) -> None:  # noqa: A002 - the option's name
    """Print a tenant's audit log, the oldest first: as CSV, or with --json one JSON object on each line.

    Args:
        slug: The tenant.
        filter: Only the lines that fit, such as 'type sw "run."'.
    """
    where = check(parse(filter), CATALOGUE) if filter else None
    async with session(options) as s:
        tenant_id = await s.tenant_id(slug)
        if not options.as_json:
            _write(CSV_HEADER)
        async for line, name in _lines(s, tenant_id, TrailAsk(where=where, descending=False, limit=_AT_ONCE)):
            if options.as_json:
                print_json(_as_json(line, name))
            else:
                _write(csv_row(line, name))


async def _lines(s: Session, tenant_id: TenantId, ask: TrailAsk) -> AsyncGenerator[tuple[TrailLine, str]]:
    """The lines with whose they are, some hundreds at a time, each time in a short transaction."""
    while True:
        async with (
            s.platform.database.tenant(tenant_id, OPERATOR, read_only=True) as tx,
            s.platform.database.platform() as platform,
        ):
            page = await trail_page(tx, ask)
            names = await known_actors(platform, tx, {line.actor for line in page.lines})
        for line in page.lines:
            yield line, names[line.actor].name or ""
        if page.next is None:
            return
        ask = replace(ask, after=page.next)


def _write(cells: tuple[object, ...]) -> None:
    out = io.StringIO()
    csv.writer(out).writerow([cell(value) for value in cells])
    sys.stdout.write(out.getvalue())


def _as_json(line: TrailLine, name: str) -> dict[str, Any]:
    return {
        "seq": line.seq,
        "entry_no": line.entry_no,
        "at": line.at,
        "actor": line.actor,
        "name": name or None,
        "via": line.via,
        "address": line.address,
        "request_id": line.request_id,
        "run_id": line.run_id,
        "type": line.type,
        "subject": line.subject,
        "events": line.n,
        "body": line.body,
    }
