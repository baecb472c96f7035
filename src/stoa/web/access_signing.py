"""Signing in, signing out and changing one's password: pages that work without scripts."""

from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stoa.access.passwords import LONGEST, SHORTEST, WeakPassword
from stoa.access.sessions import entry_of, sign_out
from stoa.access.signing_in import SignedIn, SignInRefused, change_password, sign_in
from stoa.web.access_cookies import drop_session, keep_session, session_token
from stoa.web.guarding import open_action, open_page, platform_action, platform_page
from stoa.web.visiting import Shell, Visit

HOME: Final = "/console"
_SIGN_IN: Final = "/console/sign-in"
_CHANGE_IT: Final = "/console/password"
_LONGEST_NEXT: Final = 2_000
_LONGEST_EMAIL: Final = 320
# Where nobody wants to be led after signing in.
_NOT_NEXT: Final = frozenset({_SIGN_IN, _CHANGE_IT, "/console/sign-out"})


def signing_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    return [
        open_page(shell, _SIGN_IN, _sign_in_page),
        open_action(shell, _SIGN_IN, _sign_in),
        open_action(shell, "/console/sign-out", _sign_out),
        platform_page(shell, _CHANGE_IT, _password_page, needs=None),
        platform_action(shell, _CHANGE_IT, _change, needs=None),
    ]


def safe_next(text: str | None) -> str:
    """`text` if it is the address of a page of this console, else the console's first page.

    It comes from the address bar, so it must not lead to another site, or into a circle.
    """
    if not text or len(text) > _LONGEST_NEXT or not text.isprintable() or "\\" in text:
        return HOME
    try:
        parts = urlsplit(text)
    except ValueError:
        return HOME
    ours = not parts.scheme and not parts.netloc and (parts.path == HOME or parts.path.startswith(f"{HOME}/"))
    return text if ours and text.startswith(HOME) and parts.path not in _NOT_NEXT else HOME


def sender(request: Request) -> tuple[str, str]:
    """Where the request comes from, and what the browser says of itself."""
    return (request.client.host if request.client else "unknown"), request.headers.get("user-agent", "")


# ------------------------------------------------------------------ signing in and out


async def _sign_in_page(visit: Visit) -> Response:
    following = safe_next(visit.request.query_params.get("next"))
    async with visit.platform() as tx:
        entry = await entry_of(tx, session_token(visit.request), None)
    if entry is not None:
        return RedirectResponse(following, 303)
    left = "left" in visit.request.query_params
    return visit.page("access/sign_in.html", next=following, email="", refused=None, left=left)


async def _sign_in(visit: Visit) -> Response:
    form = await visit.form()
    following = safe_next(form.get("next"))
    email = form.get("email", "").strip()[:_LONGEST_EMAIL]
    address, user_agent = sender(visit.request)
    answer = await sign_in(
        visit.shell.database,
        email,
        form.get("password", ""),
        address=address,
        user_agent=user_agent,
        replaces=session_token(visit.request),
        request_id=visit.origin.request_id,
    )
    if isinstance(answer, SignInRefused):
        page = visit.page(
            "access/sign_in.html", status=_status(answer), next=following, email=email, refused=answer, left=False
        )
        return _with_wait(page, answer)
    response = RedirectResponse(_to_password(following) if answer.must_change_password else following, 303)
    keep_session(visit.request, response, answer.token)
    return response


async def _sign_out(visit: Visit) -> Response:
    async with visit.platform() as tx:
        await sign_out(tx, session_token(visit.request))
    response = RedirectResponse(f"{_SIGN_IN}?left", 303)
    drop_session(visit.request, response)
    return response


def _to_password(following: str) -> str:
    return _CHANGE_IT if following == HOME else f"{_CHANGE_IT}?{urlencode({'next': following})}"


def _status(refused: SignInRefused) -> int:
    return 422 if refused.retry_after_seconds is None else 429


def _with_wait(page: Response, refused: SignInRefused) -> Response:
    if refused.retry_after_seconds is not None:
        page.headers["Retry-After"] = str(refused.retry_after_seconds)
    return page


# ------------------------------------------------------------------ the own password


async def _password_page(visit: Visit) -> Response:
    return _password_form(visit, safe_next(visit.request.query_params.get("next")))


async def _change(visit: Visit) -> Response:
    form = await visit.form()
    following = safe_next(form.get("next"))
    current, new = form.get("current", ""), form.get("new", "")
    if new != form.get("again", ""):
        return _password_form(visit, following, 422, again=visit.gettext("This is not the same as above."))
    address, user_agent = sender(visit.request)
    try:
        answer = await change_password(
            visit.shell.database,
            visit.principal,
            current,
            new,
            address=address,
            user_agent=user_agent,
            request_id=visit.origin.request_id,
        )
    except WeakPassword as weak:
        return _password_form(visit, following, 422, new=str(weak))
    if isinstance(answer, SignInRefused):
        page = _password_form(visit, following, _status(answer), current=f"{answer.detail} {answer.hint}")
        return _with_wait(page, answer)
    return _changed(visit, following, answer)


def _changed(visit: Visit, following: str, answer: SignedIn) -> Response:
    to = "/console/account" if following == HOME and not visit.principal.must_change_password else following
    response = visit.see(to, said=visit.gettext("Your password is changed. Your other sessions have ended."))
    keep_session(visit.request, response, answer.token)
    return response


def _password_form(visit: Visit, following: str, status: int = 200, **errors: str) -> Response:
    return visit.page(
        "access/password.html",
        status=status,
        next=following,
        errors={"current": None, "new": None, "again": None} | errors,
        least=SHORTEST,
        most=LONGEST,
    )
