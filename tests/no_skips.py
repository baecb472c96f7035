"""A pytest plugin that fails whatever was skipped or expected to fail: a test that does not run proves nothing.

Loaded with `-p tests.no_skips` by the make targets. It changes reports where they are made, so it holds in the workers
of pytest-xdist too, which would not hand a skipped module on.
"""

from collections.abc import Generator

import pytest


def _fail(report: pytest.TestReport | pytest.CollectReport, what: str) -> None:
    reason = (
        report.longrepr[2]
        if isinstance(report.longrepr, tuple)
        else str(report.longrepr or getattr(report, "wasxfail", ""))
    )
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid or 'a test'} was {what} ({reason}); nothing may be."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fails tests that were skipped or expected to fail."""
    report = yield
    if report.outcome == "skipped":
        _fail(report, "expected to fail" if hasattr(report, "wasxfail") else "skipped")
        # Left in place, it would make the terminal report the failure as "xfailed".
        report.__dict__.pop("wasxfail", None)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fails modules that skip themselves."""
    report = yield
    if report.outcome == "skipped":
        _fail(report, "skipped")
    return report
