"""A trace id for each request (W3C Trace Context), on its log line, its answer and its entries in the event log."""

import os
import re
import time
from functools import lru_cache
from typing import Final

import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PARENT: Final = re.compile(rb"^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
_NO_TRACE: Final = b"0" * 32
_REQUESTS = Counter("stoa_requests_total", "Requests by room and status.", ["room", "method", "status"])
_SECONDS = Histogram(
    "stoa_request_seconds",
    "How long requests took.",
    ["room"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2, 10),
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = structlog.get_logger()


# Which child of a figure it is costs more to find than to raise it.
_counter = lru_cache(maxsize=1_000)(_REQUESTS.labels)
_timer = lru_cache(maxsize=100)(_SECONDS.labels)


def trace_id_of(scope: Scope) -> str:
    """The caller's trace id if it sent a sound one, else a new one: 32 hexadecimal digits."""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            found = _PARENT.match(value)
            if found and found[1] != _NO_TRACE:
                return found[1].decode()
    return os.urandom(16).hex()


_ROOMS: Final = frozenset({"healthz", "readyz", "metrics", "assets", "v1", "oauth", "docs"})


def room_of(path: str) -> str:
    """Which part of Stoa a path belongs to, for figures: a closed set, whatever strangers ask for."""
    parts = path.split("/", 4)
    if len(parts) > 3 and parts[1] == "t" and parts[3] == "scim":
        return "scim"
    return parts[1] if len(parts) > 1 and parts[1] in _ROOMS else "web"


def traced(app: ASGIApp) -> ASGIApp:
    """Wraps an application: gives `request.state.trace_id`, answers with it in X-Request-Id, logs and counts.

    What nobody foresaw is logged under that id, and not raised again once it is answered.

    The log line has the room and no path: paths of pages may hold names, and queries hold filters with addresses.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        trace_id, started, status, started_answer = trace_id_of(scope), time.perf_counter(), 500, False
        scope.setdefault("state", {})["trace_id"] = trace_id
        room = room_of(scope["path"])

        async def send_with_id(message: Message) -> None:
            nonlocal status, started_answer
            if message["type"] == "http.response.start":
                started_answer = True
                status = message["status"]
                message.setdefault("headers", []).append((b"x-request-id", trace_id.encode()))
            await send(message)

        try:
            with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                await app(scope, receive, send_with_id)
        except Exception:
            _log.exception("request_failed", room=room, trace_id=trace_id)
            # Whoever answered already (with a 500, as a rule) has the server close what is unfinished; told again, the
            # failure would be logged a second time without its trace id.
            if not started_answer:
                raise
        finally:
            seconds = time.perf_counter() - started
            method = scope["method"] if scope["method"] in _METHODS else "other"
            _counter(room, method, status).inc()
            _timer(room).observe(seconds)
            level = _log.debug if room in {"healthz", "readyz", "metrics", "assets"} else _log.info
            level("request", room=room, method=method, status=status, ms=round(seconds * 1000, 1), trace_id=trace_id)

    return wrapped
