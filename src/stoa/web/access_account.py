"""One's own account: name, roles, and the browsers in which one is signed in."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.operators import operator_by_id
from stoa.access.sessions import Session, close_sessions_of, entry_of, sessions_of
from stoa.web.access_cookies import session_token
from stoa.web.guarding import platform_action, platform_page
from stoa.web.visiting import Shell, Visit

_ACCOUNT: Final = "/console/account"
# What a browser calls itself, the more particular before what it pretends to be too.
_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class OwnSession:
    """A session as its owner sees it. browser: in a few words, or empty; here: it is the one that asks."""

    session: Session
    browser: str
    here: bool


def account_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    return [
        platform_page(shell, _ACCOUNT, _account, needs=None),
        platform_action(shell, f"{_ACCOUNT}/sessions/close", _close_others, needs=None),
    ]


def browser_of(user_agent: str) -> str:
    """What a User-Agent (RFC 9110, 10.1.5) means in a few words, as `Firefox, Linux`; empty if nothing is known."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return ", ".join(part for part in (browser or user_agent.partition("/")[0][:40].strip(), system) if part)


async def _account(visit: Visit) -> Response:
    async with visit.platform() as tx:
        entry = await entry_of(tx, session_token(visit.request), None)
        operator = await operator_by_id(tx, visit.principal.operator_id)
        found = await sessions_of(tx, visit.principal.operator_id)
    here = None if entry is None else entry.session_id
    own = [OwnSession(one, browser_of(one.user_agent), one.session_id == here) for one in found]
    return visit.page("access/account.html", operator=operator, sessions=own)


async def _close_others(visit: Visit) -> Response:
    async with visit.platform() as tx:
        entry = await entry_of(tx, session_token(visit.request), None)
        await close_sessions_of(tx, visit.principal.operator_id, but=None if entry is None else entry.session_id)
    return visit.see(_ACCOUNT, said=visit.gettext("You are signed out everywhere else."))
