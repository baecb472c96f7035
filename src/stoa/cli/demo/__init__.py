"""`stoa demo`: thirty companies onboarded over real protocols before one's eyes, then what a day, a broken report and
an undo look like.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from stoa.access.operators import NewOperator, create_operator
from stoa.access.permissions import Role
from stoa.cli.children import Child
from stoa.cli.common import OPERATOR, Options, Session, err, out, session
from stoa.cli.demo.companies import Simulators, read_simulators
from stoa.cli.demo.onboarding import Onboarded, count_people, in_parallel, make_tenant, push_people, sync_people
from stoa.cli.demo.scenes import SceneFailed, Stage, play, something_to_decide
from stoa.cli.serving import unless_stopped
from stoa.cli.showing import seconds
from stoa.cli.stack import Stack, stack
from stoa.logs import set_up_logging
from stoa.settings import read_settings
from stoa.sync.scratch import scratch_folder

_READY_SECONDS = 60.0
# Companies whose identity providers push at the same time, and requests of each at a time.
_PUSHING = 3
_CONCURRENCY = 8
_SYNCING = 4
_EMAIL = "operator@demo.example"


async def demo(*, exit: bool = False, tenants: int = 30, people: int = 40_000, seed: int = 7) -> None:  # noqa: A002 - the option's name
    """Onboard simulated companies over SCIM and Workday reports, then show a day, a held report and a rollback.

    Args:
        exit: Do not wait at the end; the exit code tells whether everything was as it should be.
        tenants: How many companies.
        people: How many people they have together.
        seed: The same seed gives the same companies.
    """
    good = await unless_stopped(_demo(wait_at_end=not exit, tenants=tenants, people=people, seed=seed))
    if good is None:
        out.print("Ended; nothing is left behind.")
        if exit:
            sys.exit(130)
    elif not good:
        sys.exit(1)


async def _demo(*, wait_at_end: bool, tenants: int, people: int, seed: int) -> bool:
    started = time.monotonic()
    times: dict[str, float] = {}
    async with AsyncExitStack() as exits:
        folder = exits.enter_context(scratch_folder("stoa-demo-"))
        with _progress() as progress:
            steps = progress.add_task("environment", total=6)
            settings = read_settings().model_copy(
                update={
                    "port": 0,
                    "web_processes": max(1, min(3, (os.cpu_count() or 2) - 1)),
                    "log_level": "warning",
                    "development": True,
                }
            )
            set_up_logging(settings, "demo")
            progress.update(steps, advance=1, description="simulators")
            simulators = await exits.enter_async_context(_simulators(folder, tenants, people, seed))
            settings = settings.model_copy(update={"outbound_allow": frozenset({simulators.address})})

            def report(step: str) -> None:
                progress.update(steps, advance=1, description=step)

            running = await exits.enter_async_context(
                stack(settings, ephemeral=True, report=report, log=folder / "log")
            )
            s = await exits.enter_async_context(session(Options(database_url=running.store.url)))
            progress.update(steps, completed=6, description="started")
            times["start"] = time.monotonic() - started
            everybody = await _onboard(s, simulators, progress, times)
        good = _table(everybody)
        out.print(_where_time_went(times, everybody))
        good = await _scenes(s, simulators, everybody) and good
        if wait_at_end:
            password = await _make_operator(s)
            _what_next(running, simulators, everybody)
            _how_to_sign_in(running, password, _to_decide(everybody))
            await asyncio.Event().wait()
        return good


async def _onboard(s: Session, simulators: Simulators, progress: Progress, times: dict[str, float]) -> list[Onboarded]:
    companies = await simulators.companies()
    mark = time.monotonic()
    made = progress.add_task("tenants", total=len(companies))
    everybody: list[Onboarded] = []
    for company in companies:
        everybody.append(await make_tenant(s, simulators, company))
        progress.advance(made)
    times["tenants"], mark = time.monotonic() - mark, time.monotonic()
    pushed = progress.add_task("people over SCIM", total=sum(c.counts["active"] for c in companies))
    largest_first = sorted(everybody, key=lambda one: -one.company.size)
    watch = asyncio.create_task(_watch_people(s, everybody, progress, pushed))
    await in_parallel([partial(push_people, s, simulators, one, _CONCURRENCY) for one in largest_first], _PUSHING)
    watch.cancel()
    progress.update(pushed, completed=sum(one.company.counts["active"] for one in everybody))
    times["scim"], mark = time.monotonic() - mark, time.monotonic()
    synced = progress.add_task("Workday syncs", total=len(companies))

    async def sync_one(one: Onboarded) -> None:
        await sync_people(s, one)
        await count_people(s, one)
        progress.advance(synced)

    await in_parallel([partial(sync_one, one) for one in largest_first], _SYNCING)
    times["sync"] = time.monotonic() - mark
    return everybody


async def _watch_people(s: Session, everybody: Sequence[Onboarded], progress: Progress, task: object) -> None:
    while True:
        for one in everybody:
            if not one.pushed:
                await count_people(s, one)
            else:
                one.people = one.company.counts["active"]
        progress.update(task, completed=sum(one.people for one in everybody))  # pyright: ignore[reportArgumentType] - rich's TaskID
        await asyncio.sleep(1)


def _progress() -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=err)


@asynccontextmanager
async def _simulators(folder: Path, companies: int, people: int, seed: int) -> AsyncGenerator[Simulators]:
    ready = folder / "simulators.json"
    command = [
        sys.executable, "-m", "stoa_simulators", "--companies", str(companies), "--people", str(people),
        "--seed", str(seed), "--ready-file", str(ready), "--die-with-parent",
    ]  # fmt: skip
    with (folder / "simulators.log").open("ab") as log:
        child = Child("simulators", command, dict(os.environ), log=log.fileno())
        await child.start()
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while not ready.exists():
                    await asyncio.sleep(0.05)
            async with read_simulators(ready) as simulators:
                yield simulators
        finally:
            await child.stop()


def _table(everybody: Sequence[Onboarded]) -> bool:
    """Prints what became of each tenant, and tells whether every one has the simulators' own count of people."""
    table = Table("tenant", *(), title="Onboarded", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("people", "created", "linked", "updated", "deactivated", "held", "seconds"):
        table.add_column(name, justify="right")
    good = True
    totals = [0] * 6
    for one in everybody:
        run = one.run
        assert run is not None
        counts = run.counts
        created = one.pushed.get("created", 0) + counts.get("create", 0)
        held = sum(counts.values()) if run.state == "held" else 0
        row = [one.people, created, counts.get("link", 0), counts.get("update", 0), counts.get("deactivate", 0), held]
        totals = [a + b for a, b in zip(totals, row, strict=True)]
        right = run.state == "applied" and one.people == one.company.size and one.active == one.company.counts["active"]
        right = right and not one.pushed.get("failed") and not run.figures.get("quarantined")
        good = good and right
        name = one.company.slug if right else f"[red]{one.company.slug}[/red]"
        table.add_row(name, *(f"{n:,}" for n in row), f"{one.seconds['scim'] + seconds(run):.1f}")
        if not right:
            err.print(f"{one.company.slug}: {one.people} people, {one.active} active, run {run.state} {run.reasons}")
            err.print(
                f"  the simulators count {one.company.size} and {one.company.counts['active']}; pushed {one.pushed}"
            )
    table.add_section()
    table.add_row("all", *(f"{n:,}" for n in totals), "")
    out.print(table)
    if good:
        out.print("Every tenant has exactly the people that its company counts itself.")
    return good


def _where_time_went(times: dict[str, float], everybody: Sequence[Onboarded]) -> str:
    requests = sum(one.pushed.get("requests", 0) for one in everybody)
    rate = requests / times["scim"] if times["scim"] else 0
    return (
        f"Time: start {times['start']:.1f} s, tenants {times['tenants']:.1f} s, "
        f"SCIM {times['scim']:.1f} s ({requests:,} requests, {rate:,.0f}/s), "
        f"Workday syncs {times['sync']:.1f} s."
    )


async def _scenes(s: Session, simulators: Simulators, everybody: Sequence[Onboarded]) -> bool:
    """The scenes play at a company of middle size, where every kind of event happens and none trips a guard."""
    try:
        await play(Stage(s, simulators, _of_middle_size(everybody)[0]))
        if (other := _to_decide(everybody)) is not None:
            await something_to_decide(Stage(s, simulators, other))
    except SceneFailed as failed:
        err.print(f"[red]The demo failed:[/red] {failed}.")
        return False
    return True


def _to_decide(everybody: Sequence[Onboarded]) -> Onboarded | None:
    """The company whose run is left held: neither that of the scenes nor the one to try things at."""
    return next(iter(_of_middle_size(everybody)[2:3]), None)


def _of_middle_size(everybody: Sequence[Onboarded]) -> list[Onboarded]:
    return sorted(everybody, key=lambda one: abs(one.company.size - 600))


def _what_next(running: Stack, simulators: Simulators, everybody: Sequence[Onboarded]) -> None:
    # Not the company of the scenes, if there is another: its next run is held, for it would redo what was undone.
    slug = _of_middle_size(everybody)[:2][-1].company.slug
    out.print()
    out.rule("It goes on running; try in another terminal", align="left", style="cyan")
    for line in (
        "stoa tenant list",
        f"stoa sync run {slug} workday",
        f"stoa sync list {slug}",
        f"stoa sync show {slug} RUN",
        f"curl -X POST {simulators.base_url}/control/companies/{slug}/advance -d '{{\"days\": 1}}'",
        f"stoa tenant clock {slug} --days 1",
        f"stoa sync run {slug} workday",
        f"stoa sync rollback {slug} RUN",
        f"stoa token create {slug} --scope api:read,api:write",
        f"curl -H 'Authorization: Bearer TOKEN' '{running.base_url}/v1/people?limit=3&fields=display_name,email'",
        f"curl -N -H 'Authorization: Bearer TOKEN' {running.base_url}/v1/events/stream",
        f"curl {running.base_url}/readyz",
    ):
        out.print(f"  {line}")
    out.print(f"The server is at {running.base_url}, the simulated companies at {simulators.base_url}.")


async def _make_operator(s: Session) -> str:
    async with s.platform.database.platform(OPERATOR) as tx:
        _, password = await create_operator(tx, NewOperator(_EMAIL, "Demo operator", Role.PLATFORM_ADMIN))
    return password


def _how_to_sign_in(running: Stack, password: str, waiting: Onboarded | None) -> None:
    out.print()
    out.rule("The console", align="left", style="cyan")
    out.print(f"  address    {running.base_url}/console")
    out.print(f"  sign in    {_EMAIL}")
    out.print(f"  password   {password}   (you choose your own at the first sign-in)", highlight=False, markup=False)
    if waiting is not None:
        out.print(f"  At {waiting.company.name} runs are held and wait for your decision.")
    out.print(f"The reference of the public API is at {running.base_url}/docs/api; its calls can be tried there.")
    out.print("Mail that would have been sent lies in the console's mailbox.")
    out.print("Ctrl-C ends everything and leaves nothing behind.")
