"""The cookie that carries a session's token."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_NAME: Final = "stoa_session"
# Browsers take a cookie of this name over https alone, for the whole host and from the host itself: no neighbouring
# host can plant one (RFC 6265bis, 4.1.3.2).
_SECURE_NAME: Final = "__Host-stoa_session"


def session_token(request: Request) -> str | None:
    """The token that the browser sends, or None."""
    return request.cookies.get(_name(request))


def keep_session(request: Request, response: Response, token: str) -> None:
    """Has the browser send `token` from now on, until it is closed: the server decides how long it opens anything."""
    response.set_cookie(_name(request), token, path="/", secure=_is_secure(request), httponly=True, samesite="lax")


def drop_session(request: Request, response: Response) -> None:
    """Has the browser forget its token."""
    response.delete_cookie(_name(request), path="/", secure=_is_secure(request), httponly=True, samesite="lax")


def _name(request: Request) -> str:
    return _SECURE_NAME if _is_secure(request) else _NAME


def _is_secure(request: Request) -> bool:
    # Behind a proxy that speaks https the scheme is that of STOA_BASE_URL (api/clients_address.py).
    return request.url.scheme == "https"
