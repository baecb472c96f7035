"""Every benchmark runs at a tiny size and says what it measured; goals are not asked of figures as small as these."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import BENCHMARKS
from bench.model import Figure, Verdict
from bench.reports import read_parse_hash_csv, read_parse_hash_json, write_reports
from bench.table import number

ROOT = Path(__file__).parents[2]
TINY = {
    "sync": 1000,
    "scim": 40,
    "scim-groups": 40,
    "commits": 64,
    "jobs": 100,
    "console": 200,
    "api": 300,
    "webhooks": 200,
    "events": 20_000,
    "demo": 120,
}


@pytest.mark.all
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_and_tells(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", name, "--size", str(TINY[name]), "--rounds", "1"]
    found = tmp_path / "figures.json"
    told = subprocess.run(
        [*command, "--json", str(found)], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert told.returncode == 0, told.stderr
    figures = json.loads(found.read_text())["figures"]
    assert len(figures) >= 2
    assert figures[0]["ours"] > 0
    for figure in figures:
        assert figure["bench"] == name
        # A part that the demo tells in tenths of a second may take none of them at this size.
        assert figure["ours"] >= 0
        assert figure["name"].split(",")[0].split(" ")[0] in told.stdout


@pytest.mark.parametrize(
    ("ours", "peer", "unit", "goal", "verdict"),
    [
        (2.0, 1.0, "s", 2.0, Verdict.MET),
        (2.1, 1.0, "s", 2.0, Verdict.NOT_MET),
        (60.0, 100.0, "commits/s", 0.6, Verdict.MET),
        (59.0, 100.0, "commits/s", 0.6, Verdict.NOT_MET),
        (59.0, 100.0, "commits/s", None, Verdict.REPORTED),
        (59.0, None, "commits/s", 0.6, Verdict.REPORTED),
    ],
)
def test_times_are_wanted_small_and_rates_large(
    ours: float, peer: float | None, unit: str, goal: float | None, verdict: Verdict
) -> None:
    assert Figure("b", "n", ours, unit, peer, "", goal).verdict is verdict


def test_figures_are_shown_in_a_unit_that_fits() -> None:
    assert [number(0.0123, "s"), number(75, "s"), number(1234.5, "ops/s"), number(12.34, "MB")] == [
        "12.3 ms",
        "75.00 s",
        "1,234 ops/s",
        "12.3 MB",
    ]


def test_reports_differ_as_they_say(tmp_path: Path) -> None:
    reports = write_reports(2000, tmp_path)
    first, shuffled, changed = (
        path.read_text().splitlines()[1:] for path in (reports.first, reports.shuffled, reports.changed)
    )
    assert first != shuffled
    assert sorted(first) == sorted(shuffled)
    ids = {line.split(",")[0] for line in first}
    assert len({line.split(",")[0] for line in changed} - ids) == reports.new == 2
    assert len(ids - {line.split(",")[0] for line in changed}) == reports.gone == 2
    assert len(set(changed) - set(first)) == reports.new + reports.updated == 18
    assert read_parse_hash_csv(reports.shuffled) == read_parse_hash_json(reports.json) == 2000


def test_an_unknown_benchmark_is_refused() -> None:
    async def told() -> tuple[int | None, bytes]:
        one = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench", "nonsense", cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        _, said = await one.communicate()
        return one.returncode, said

    code, said = asyncio.run(told())
    assert code == 2
    assert b"nonsense" in said
