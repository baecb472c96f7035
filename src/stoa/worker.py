"""The worker process: background jobs, schedules, the numbering of events, and webhooks."""

import asyncio
import signal
from datetime import timedelta

import structlog

from stoa.analytics.webhooks.dispatcher import Dispatcher
from stoa.composition import VERSION, Store, platform, tell_of_dead_job
from stoa.events.sequencer import Sequencer
from stoa.jobs.worker import Worker
from stoa.settings import Settings

_log = structlog.get_logger()


async def run_worker(settings: Settings, store: Store, stop: asyncio.Event | None = None) -> None:
    """Works until `stop` is set, or SIGTERM or SIGINT comes; what is under way gets time to end, the rest is given
    back.
    """
    stopping = stop or asyncio.Event()
    if stop is None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
    async with platform(settings, store) as parts:
        worker = Worker(
            parts.database,
            parts.handlers(),
            concurrency=settings.worker_concurrency,
            lease=timedelta(seconds=settings.job_lease_seconds),
            on_dead=tell_of_dead_job,
        )
        _log.info("started", version=VERSION)
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run(stopping))
            dispatcher = Dispatcher(parts.webhook_desk())
            group.create_task(Sequencer(parts.database, on_numbered=dispatcher.numbered).run(stopping))
            group.create_task(dispatcher.run(stopping))
    _log.info("stopped")
