"""Logs: one JSON object a line on standard error, with trace ids and without personal data."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from stoa.settings import Settings


def _json(event: Mapping[str, Any], **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def set_up_logging(settings: Settings, process: str) -> None:
    """Has structlog and the libraries' own loggers write to standard error. process: `web`, `worker`, `cli`."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    renderer = (
        structlog.dev.ConsoleRenderer()
        if settings.log_format == "console"
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    structlog.contextvars.bind_contextvars(process=process)
