"""Pages go out compressed. What programs speak does not: it is small, and its rate counts."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_LEAST_BYTES = 700
# Half the time of zlib's usual level, for a tenth more bytes of what are a few thousand.
_LEVEL = 3


def compressed(app: ASGIApp) -> ASGIApp:
    """Wraps an application: what lies under /console is compressed by gzip for whoever takes it (streams of events
    are not).
    """
    packed = GZipMiddleware(app, minimum_size=_LEAST_BYTES, compresslevel=_LEVEL)

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        of_console = scope["type"] == "http" and scope["path"].startswith("/console")
        await (packed if of_console else app)(scope, receive, send)

    return wrapped
