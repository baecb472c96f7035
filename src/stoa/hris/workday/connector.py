"""The connector that sync finds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from stoa.hris.workday import raas
from stoa.hris.workday.config import WorkdayConfig
from stoa.hris.workday.mapping import mapping_of
from stoa.outbound.http import HttpClient
from stoa.outbound.model import Retry, Timeouts
from stoa.sync.feeds import Feed, FeedFormat, check_start, csv_frame
from stoa.sync.model import FeedMapping


@dataclass(frozen=True, slots=True)
class WorkdayConnector:
    """Workers from a RaaS report (see `stoa.sync.connectors.Connector`)."""

    name: str = "workday"
    title: str = "Workday"
    source_kind: str = "hris"
    config_model: type[WorkdayConfig] = WorkdayConfig

    def mapping(self, config: WorkdayConfig) -> FeedMapping:
        """The default mapping with the connection's own column names."""
        return mapping_of(config)

    async def read(
        self, config: WorkdayConfig, client: HttpClient, into: Path, *, allow: frozenset[str] = frozenset()
    ) -> Feed:
        """Fetches the report."""
        return await raas.fetch(config, client, into, allow)

    async def sample(
        self,
        config: WorkdayConfig,
        client: HttpClient,
        into: Path,
        *,
        seconds: float,
        most_bytes: int,
        allow: frozenset[str] = frozenset(),
    ) -> Feed:
        """Fetches the report once, if it comes soon and is not large (see `stoa.sync.probing.Sampling`)."""
        timeouts = Timeouts(connect=min(10, seconds), read=seconds, total=seconds)
        return await raas.fetch(
            config, client, into, allow, timeouts=timeouts, largest=most_bytes, retry=Retry(attempts=1)
        )

    def frame(self, feed: Feed, config: WorkdayConfig) -> pl.DataFrame:  # noqa: ARG002 - other connectors need it
        """The report's rows."""
        check_start(feed)
        return raas.json_frame(feed.path) if feed.format is FeedFormat.JSON else csv_frame(feed.path)


CONNECTOR: Final = WorkdayConnector()
