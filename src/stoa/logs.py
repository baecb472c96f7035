"""Logs: one JSON object a line on standard error, with trace ids and without personal data."""

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any

import msgspec
import structlog

from stoa.kernel.problems import Problem
from stoa.settings import Settings


def _json(event: Mapping[str, Any], **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def _where_it_failed(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Puts the traceback into the line. Messages are left out, save those of problems, which are written for readers:
    others may quote a row.
    """
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1]  # pyright: ignore[reportUnknownVariableType] - logging's own forms
    parts: list[str] = []
    while isinstance(error, BaseException):
        message = f": {error.detail}" if isinstance(error, Problem) else ""
        parts.append("".join(traceback.format_tb(error.__traceback__)) + type(error).__qualname__ + message)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    event["exception"] = "\n\nwhich came from\n\n".join(parts)
    return event


def set_up_logging(settings: Settings, process: str) -> None:
    """Has structlog and the libraries' own loggers write to standard error. process: `web`, `worker`, `cli`."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    renderer = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if settings.log_format == "console"
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _where_it_failed,
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
