# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false
"""Trying a connection without a run: its source is read for a short time, and what was read is judged.

Nothing is stored, and nothing of the target is asked or changed.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from pydantic import BaseModel

from stoa.kernel.problems import BadInput, Problem
from stoa.outbound.http import HttpClient
from stoa.outbound.model import MEBIBYTE, OutboundRefused, RemoteDown, RemoteRefused, TooLarge
from stoa.sync.connectors import Connector
from stoa.sync.contract import admit
from stoa.sync.feeds import Feed, FeedRefused
from stoa.sync.model import Admitted, ColumnClass, FeedMapping, Fields
from stoa.sync.scratch import scratch_folder

SECONDS: Final = 20.0
MOST_BYTES: Final = 16 * MEBIBYTE
ROWS: Final = 1000
# Longer than the source's own limit, so that its refusal comes first, with its reason.
_SPARE_SECONDS: Final = 5.0
# What cannot be judged by the first rows alone.
_OF_WHOLE_REPORTS: Final = frozenset({"manager_absent", "rows_dropped"})


@runtime_checkable
class Sampling(Protocol):
    """A connector that can read its source for a short time. One that cannot is read as for a run, and cut short."""

    async def sample(
        self,
        config: Any,
        client: HttpClient,
        into: Path,
        *,
        seconds: float,
        most_bytes: int,
        allow: frozenset[str] = frozenset(),
    ) -> Feed:
        """As `Connector.read`, once and without patience. Raises what that raises; TooLarge for more than
        `most_bytes`.
        """
        ...


class Outcome(StrEnum):
    """What a trial came to.

    OK: it was read. LARGE, SLOW: it answers, and more than that only a run can say. ADDRESS: nothing was sent. AUTH,
    NOT_FOUND, REFUSED: the source said no. DOWN: it did not answer. FORMAT: what it sent is no report that can be used.
    """

    OK = "ok"
    LARGE = "large"
    SLOW = "slow"
    ADDRESS = "address"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    DOWN = "down"
    FORMAT = "format"


@dataclass(frozen=True, slots=True)
class Probed:
    """What a trial found. It holds no values of the report.

    Attributes:
        detail, hint: what happened; what to do, and who can.
        rows: how many rows the answer had; None if it was not read.
        looked_at: how many of them were judged.
        set_aside: how many of those would be set aside.
        columns: the columns of the answer, and what the mapping does with each; None: nothing.
        missing: required columns that are not there.
        drift: what else is unusual, in words.
    """

    outcome: Outcome
    detail: str
    hint: str = ""
    seconds: float = 0.0
    rows: int | None = None
    looked_at: int = 0
    set_aside: int = 0
    columns: tuple[tuple[str, ColumnClass | None, float], ...] = ()
    missing: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether a run may be tried."""
        return self.outcome in {Outcome.OK, Outcome.LARGE, Outcome.SLOW}


async def probe(
    connector: Connector,
    config: BaseModel,
    client: HttpClient,
    fields: Fields,
    *,
    allow: frozenset[str] = frozenset(),
    seconds: float = SECONDS,
) -> Probed:
    """Tries a configuration. What the source does wrong is an outcome; raises BadInput for settings that contradict
    themselves.
    """
    mapping = connector.mapping(config)
    started = time.monotonic()
    try:
        with scratch_folder("stoa-probe-") as folder:
            async with asyncio.timeout(seconds + _SPARE_SECONDS):
                feed = await _read(connector, config, client, folder, allow, seconds)
                found = await asyncio.to_thread(_judge, connector, config, feed, mapping, fields)
    except BadInput:
        raise
    except TimeoutError:
        found = _slow(seconds)
    except Problem as problem:
        found = _failed(problem, seconds, took=time.monotonic() - started)
    return replace(found, seconds=round(time.monotonic() - started, 1))


async def _read(
    connector: Connector, config: BaseModel, client: HttpClient, into: Path, allow: frozenset[str], seconds: float
) -> Feed:
    if isinstance(connector, Sampling):
        return await connector.sample(config, client, into, seconds=seconds, most_bytes=MOST_BYTES, allow=allow)
    return await connector.read(config, client, into, allow=allow)


def _judge(connector: Connector, config: BaseModel, feed: Feed, mapping: FeedMapping, fields: Fields) -> Probed:
    frame = connector.frame(feed, config)
    head = frame.head(ROWS)
    admitted = admit(head, mapping, fields)
    classes = mapping.classes()
    columns = tuple((name, classes.get(name), profile.filled) for name, profile in admitted.profile.columns.items())
    missing = tuple(
        one.column for one in admitted.drift if one.code == "required_column_missing" and one.column is not None
    )
    detail, hint = _words(admitted, frame.height, head.height)
    return Probed(
        Outcome.FORMAT if admitted.blocked or not admitted.frame.height else Outcome.OK,
        detail,
        hint,
        rows=frame.height,
        looked_at=head.height,
        set_aside=len(admitted.quarantined),
        columns=columns,
        missing=missing,
        drift=tuple(one.detail for one in admitted.drift if one.code not in _OF_WHOLE_REPORTS),
    )


def _words(admitted: Admitted, rows: int, looked_at: int) -> tuple[str, str]:
    if admitted.blocked:
        return (
            "The source answers with a report, and a required column is not in it.",
            "Whoever builds the report adds the column, or you name the report's own column in the settings.",
        )
    if not admitted.frame.height:
        return (
            f"Not one of the first {looked_at:,} rows could be accepted.",
            "Look at the columns below: one of them is not what the settings say.",
        )
    return f"The source answers, and its report has {rows:,} rows that can be read.", ""


def _failed(problem: Problem, seconds: float, *, took: float) -> Probed:
    hint = problem.hint or ""
    match problem:
        case OutboundRefused():
            return Probed(Outcome.ADDRESS, problem.detail, hint)
        case RemoteRefused(remote_status=401 | 403):
            return Probed(Outcome.AUTH, problem.detail, hint)
        case RemoteRefused(remote_status=404 | 410):
            return Probed(Outcome.NOT_FOUND, problem.detail, hint)
        case RemoteRefused():
            return Probed(Outcome.REFUSED, problem.detail, hint)
        case TooLarge():
            return Probed(
                Outcome.LARGE,
                f"The source answers, with more than the {MOST_BYTES // MEBIBYTE} MiB that a trial reads.",
                "Plan a run: it reads the whole report, and changes nothing.",
            )
        case RemoteDown() if took >= seconds * 0.95:
            return _slow(seconds)
        case RemoteDown():
            wait = "Try again later. If it stays so, whoever runs the source can say whether it is up and lets us in."
            return Probed(Outcome.DOWN, problem.detail, hint or wait)
        case FeedRefused():
            return Probed(Outcome.FORMAT, problem.detail, hint)
        case _:
            return Probed(Outcome.REFUSED, problem.detail, hint)


def _slow(seconds: float) -> Probed:
    return Probed(
        Outcome.SLOW,
        f"The source did not finish its answer within the {seconds:g} seconds that a trial waits.",
        "Large reports take minutes. Plan a run: it waits longer, and changes nothing. A source that never answers is "
        "told there.",
    )
