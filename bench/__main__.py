"""`python -m bench [NAME ...]`: measures and prints the table (docs/benchmarks.md)."""

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console

from bench import api, commits, console, demo, events, jobs, scim, scim_groups, sync, webhooks
from bench.ground import ground
from bench.model import Benchmark, Figure, Plan, Verdict
from bench.table import show, write_json
from stoa.logs import set_up_logging
from stoa.settings import Settings

BENCHMARKS: dict[str, Benchmark] = {
    "sync": sync.run,
    "scim": scim.run,
    "scim-groups": scim_groups.run,
    "commits": commits.run,
    "jobs": jobs.run,
    "console": console.run,
    "api": api.run,
    "webhooks": webhooks.run,
    "events": events.run,
    "demo": demo.run,
}
# Takes minutes and measures nothing against anything.
ON_DEMAND = frozenset({"demo"})


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmarks; the exit code tells of goals that were missed only with --gate."""
    options = _options(arguments)
    names = options.names or [name for name in BENCHMARKS if options.all or name not in ON_DEMAND]
    say = Console(stderr=True)
    plan = Plan(options.size, options.rounds, lambda text: say.print(f"[dim]{text}[/dim]", highlight=False))
    figures, server = asyncio.run(_measure(names, plan))
    show(figures, server)
    if options.json is not None:
        write_json(figures, server, options.json)
    missed = any(one.verdict is Verdict.NOT_MET for one in figures)
    return 1 if options.gate and missed else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)}")
    parser.add_argument("--all", action="store_true", help="also those that take minutes: demo")
    parser.add_argument("--size", type=int, help="rows, users, jobs or people, instead of each benchmark's own")
    parser.add_argument("--rounds", type=int, help="interleaved repetitions, of which the median is shown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    parser.add_argument("--gate", action="store_true", help="exit 1 if a ratio misses its goal")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    return options


async def _measure(names: list[str], plan: Plan) -> tuple[list[Figure], str]:
    set_up_logging(Settings().model_copy(update={"log_level": "error"}), "bench")
    figures: list[Figure] = []
    async with ground() as place:
        for name in names:
            plan.report(f"{name} ...")
            await place.settle()
            figures += await BENCHMARKS[name](place, plan)
        return figures, f"PostgreSQL {place.server.major}"


if __name__ == "__main__":
    sys.exit(main())
