"""The headers that tell browsers what a page of ours may do: nothing that we did not plan."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# No inline script or style, nothing from elsewhere, no framing, no plug-ins. Pico's icons are data: images inside its
# style sheet.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final[tuple[tuple[str, str], ...]] = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
# Two years, as browsers' preload lists ask; sent over https alone, where alone it means something (RFC 6797, 7.2).
_STRICT_TRANSPORT: Final = "max-age=63072000; includeSubDomains"
_RAW: Final = tuple((name.lower().encode(), value.encode()) for name, value in HEADERS)
_RAW_STRICT: Final = (b"strict-transport-security", _STRICT_TRANSPORT.encode())


def security_headers(app: ASGIApp) -> ASGIApp:
    """Wraps an application so that every response carries the headers; one that sets a header itself keeps its own.

    Wrap the application from outside instead of listing this among its middleware: the answer to an unforeseen
    exception is made outside of those.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: list[tuple[bytes, bytes]] = message.setdefault("headers", [])
                own = {name.lower() for name, _ in headers}
                more = (*_RAW, _RAW_STRICT) if scope["scheme"] == "https" else _RAW
                message["headers"] = [*headers, *(one for one in more if one[0] not in own)]
            await send(message)

        await app(scope, receive, send_with_headers)

    return wrapped
