"""The table, and the same as JSON."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.model import Figure, Verdict

_COLOURS = {Verdict.MET: "green", Verdict.NOT_MET: "red", Verdict.REPORTED: "dim"}


def show(figures: Sequence[Figure], server: str) -> None:
    """Prints the table and what it was measured on."""
    table = Table(title="Ours against a peer or a limit, in the same run", title_justify="left")
    for name in ("benchmark", "figure"):
        table.add_column(name, overflow="fold")
    for name in ("ours", "peer or limit", "ratio", "goal"):
        table.add_column(name, justify="right", overflow="fold")
    for name in ("verdict", "against", "note"):
        table.add_column(name, overflow="fold")
    before = ""
    for one in figures:
        if before and one.bench != before:
            table.add_section()
        before = one.bench
        verdict = f"[{_COLOURS[one.verdict]}]{one.verdict}[/]"
        table.add_row(
            one.bench, one.name, number(one.ours, one.unit), "" if one.peer is None else number(one.peer, one.unit),
            "" if one.ratio is None else f"{one.ratio:.2f}", _goal(one), verdict, one.against, one.note,
        )  # fmt: skip
    console = Console(width=None if os.isatty(1) else 190)
    console.print(table)
    console.print(
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {server}, fsync and "
        "synchronous_commit on for both sides. Absolute figures are this machine's at this moment; read the ratios."
    )


def number(value: float, unit: str) -> str:
    """A figure with its unit."""
    if unit.endswith("/s"):
        return f"{value:,.0f} {unit}"
    if unit == "s":
        return f"{value * 1000:,.1f} ms" if value < 1 else f"{value:,.2f} s"
    return f"{value:,.1f} {unit}"


def _goal(one: Figure) -> str:
    return "" if one.goal is None else f"{'>=' if one.is_rate else '<='} {one.goal:g}"


def write_json(figures: Sequence[Figure], server: str, path: Path) -> None:
    """Writes the figures with their ratios and verdicts."""
    rows = [asdict(one) | {"ratio": one.ratio, "verdict": str(one.verdict)} for one in figures]
    about = {"cores": os.cpu_count(), "python": platform.python_version(), "server": server, "fsync": True}
    path.write_text(json.dumps({"machine": about, "figures": rows}, indent=2) + "\n", encoding="utf-8")
