"""What every command shares: its options, its way to the database, and how it prints."""

import json
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from cyclopts import Parameter
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from stoa.cli.instances import found_store
from stoa.composition import Platform, platform
from stoa.db.transactions import Origin
from stoa.kernel.ids import TenantId
from stoa.kernel.problems import NotFound
from stoa.logs import set_up_logging
from stoa.settings import read_settings
from stoa.tenants.queries import tenant_id_of_slug

OPERATOR = Origin(actor="operator:cli", via="cli")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of every command.

    Args:
        as_json: Print JSON on standard output, for scripts.
        database_url: The database to use: host and database alone. Found by itself when left out.
    """

    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
    database_url: Annotated[str | None, Parameter(name="--database-url")] = None


@dataclass(frozen=True, slots=True)
class Session:
    """An open platform, and the address by which its server is reached, if that is known."""

    platform: Platform
    base_url: str

    async def tenant_id(self, slug: str) -> TenantId:
        """The tenant of a slug. Raises NotFound."""
        async with self.platform.database.platform() as tx:
            tenant_id = await tenant_id_of_slug(tx, slug)
        if tenant_id is None:
            raise NotFound(f"There is no tenant {slug!r}.", hint="`stoa tenant list` shows the tenants there are.")
        return tenant_id


@asynccontextmanager
async def session(options: Options) -> AsyncGenerator[Session]:
    """Opens what a command works with."""
    settings = read_settings()
    set_up_logging(settings.model_copy(update={"log_level": "warning"}), "cli")
    async with found_store(settings, options.database_url) as found:
        here = settings.model_copy(
            update={"mailbox": found.mailbox, "outbound_allow": settings.outbound_allow | found.allow}
        )
        base_url = found.base_url or f"http://{settings.host}:{settings.port}"
        async with platform(here, found.store) as parts:
            yield Session(parts, base_url)


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat else str(value)


def show(options: Options, value: Mapping[str, Any]) -> None:
    """A thing: as JSON, or as a small table of its members."""
    if options.as_json:
        print_json(dict(value))
        return
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, member in value.items():
        table.add_row(name, Text(as_text(member)))
    print_whole(table)


def show_list(options: Options, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], empty: str) -> None:
    """Things: as a JSON array, or as a table; `empty` says what to do when there are none."""
    if options.as_json:
        print_json([dict(row) for row in rows])
        return
    if not rows:
        out.print(empty, markup=False)
        return
    table = Table(*(name.removesuffix("_at").replace("_", " ") for name in columns), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(as_text(row.get(name))) for name in columns))
    print_whole(table)


def print_whole(table: Table) -> None:
    """A table as wide as it is: an id that is cut or folded cannot be copied."""
    wide = out.options.update(max_width=1000)
    width = max(out.width, Measurement.get(out, wide, table).maximum)
    Console(highlight=False, soft_wrap=True, width=width).print(table)


def as_text(value: object) -> str:
    """A member as a person reads it: times in the zone of this machine."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone().isoformat(timespec="seconds")
        case _:
            return str(_plain(value)) if not isinstance(value, str | int | float) else str(value)
