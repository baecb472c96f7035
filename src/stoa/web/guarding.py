"""Who gets in: every page and action of the console passes here, and only here.

Nobody who is not signed in; nothing of a tenant that the visitor has no role in, which looks as if it were not there;
no action that another site's page sends; nothing but a new password for whoever still has the first one.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stoa.access.permissions import Permission, may
from stoa.access.sessions import Entry, entry_of
from stoa.db.errors import COLLISION, TookTooLong
from stoa.kernel.problems import NotFound, Problem
from stoa.web.access_cookies import session_token
from stoa.web.errors import problem_page
from stoa.web.visiting import CONSOLE, Shell, Visit

Handler = Callable[[Visit], Awaitable[Response]]
_READ: Final = ("GET", "HEAD")
_WRITE: Final = ("POST",)
# What a person with a first password may still do.
_WHILE_CHANGING: Final = frozenset({f"{CONSOLE}/password", f"{CONSOLE}/sign-out"})


class Forbidden(Problem):
    """The visitor is known, and may not do this. Somebody who manages the operators can give another role."""

    code = "forbidden"
    status = 403


class OtherSite(Problem):
    """The request was not made by a page of this server.

    Open the page on this server, and do it there. Nothing was done.
    """

    code = "other_site"
    status = 403


class TooSlow(Problem):
    """The question costs more than a page may.

    Ask for less: add a condition on a name, an id or a time, or search instead of filtering.
    """

    code = "page_too_slow"
    status = 503


class Collided(Problem):
    """Somebody else changed the same at the same moment, and the database had this one give way. Nothing was done.

    Do it again.
    """

    code = "collided"
    status = 409


@dataclass(frozen=True, slots=True)
class _Gate:
    """One route's conditions.

    Attributes:
        is_open: nobody needs to be signed in.
        of_tenant: the address names a tenant.
        needs: the permission, or None where being signed in is enough.
    """

    shell: Shell
    handler: Handler
    needs: Permission | None = None
    is_open: bool = False
    of_tenant: bool = False

    async def serve(self, request: Request) -> Response:
        """Answers a request, and tells a Problem as a page."""
        try:
            if request.method not in _READ:
                refuse_other_sites(request)
            return await self._answer(request)
        except Problem as problem:
            return problem_page(self.shell.pages, request, problem, reference=getattr(request.state, "trace_id", None))
        except TookTooLong:
            slow = TooSlow(
                "This list takes longer than ten seconds to find.",
                hint="Ask for less: add a condition on a name, an id or a time, or search instead of filtering.",
            )
            return problem_page(self.shell.pages, request, slow, reference=None)
        except COLLISION:
            collided = Collided(
                "Somebody else changed the same at the same moment, so nothing was done.",
                hint="Go back, look at it anew, and do it again.",
            )
            return problem_page(self.shell.pages, request, collided, reference=None)

    async def _answer(self, request: Request) -> Response:
        if self.is_open:
            return await self.handler(Visit(request, self.shell, None, None))
        slug = request.path_params["tenant"] if self.of_tenant else None
        async with self.shell.database.platform_at_once() as tx:
            entry = await entry_of(tx, session_token(request), slug)
        if entry is None:
            return _to_sign_in(request)
        if entry.principal.must_change_password and request.url.path not in _WHILE_CHANGING:
            return RedirectResponse(f"{CONSOLE}/password", 303)
        return await self.handler(self._visit(request, entry))

    def _visit(self, request: Request, entry: Entry) -> Visit:
        if not self.of_tenant:
            visit = Visit(request, self.shell, entry.principal, None)
        else:
            tenant = entry.tenant
            if tenant is None or not may(entry.principal, Permission.TENANT_VIEW, tenant.tenant_id):
                raise NotFound("There is no such tenant, or you have no role in it.", hint="Ask who runs this server.")
            visit = Visit(request, self.shell, entry.principal, tenant)
        if self.needs is not None and not visit.may(self.needs):
            raise Forbidden(
                "Your role does not permit this.", hint="Somebody who manages the operators can give you another one."
            )
        return visit


def refuse_other_sites(request: Request) -> None:
    """Lets pass only what a page of this server sent.

    Browsers say where a request comes from in Sec-Fetch-Site, which no script can set, and where they do not (plain
    http, or old), in Origin.

    Raises:
        OtherSite: it came from elsewhere, or does not say.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site == "same-origin":
            return
    else:
        origin, host = (request.headers.get(name, "").lower() for name in ("origin", "host"))
        # A page that came over http may be anybody's on the way, so it is not this server's where that speaks https.
        schemes = ("https",) if request.url.scheme == "https" else ("http", "https")
        if host and origin in {f"{scheme}://{host}" for scheme in schemes}:
            return
    raise OtherSite(
        "This was not sent by a page of this server, so nothing was done.", hint="Open the page here and try again."
    )


def tenant_page(shell: Shell, path: str, handler: Handler, needs: Permission | None = Permission.TENANT_VIEW) -> Route:
    """A page of a tenant. path: below `/console/t/{tenant}`."""
    return _tenant(shell, path, handler, needs, _READ)


def tenant_action(shell: Shell, path: str, handler: Handler, needs: Permission) -> Route:
    """An action in a tenant, which a form asks for."""
    return _tenant(shell, path, handler, needs, _WRITE)


def platform_page(shell: Shell, path: str, handler: Handler, needs: Permission | None) -> Route:
    """A page that is no tenant's. needs: None for everybody who is signed in."""
    return Route(path, _Gate(shell, handler, needs).serve, methods=list(_READ))


def platform_action(shell: Shell, path: str, handler: Handler, needs: Permission | None) -> Route:
    """An action that is in no tenant."""
    return Route(path, _Gate(shell, handler, needs).serve, methods=list(_WRITE))


def open_page(shell: Shell, path: str, handler: Handler) -> Route:
    """A page that anybody may open."""
    return Route(path, _Gate(shell, handler, is_open=True).serve, methods=list(_READ))


def open_action(shell: Shell, path: str, handler: Handler) -> Route:
    """An action that anybody may ask for from a page of this server."""
    return Route(path, _Gate(shell, handler, is_open=True).serve, methods=list(_WRITE))


def _tenant(shell: Shell, path: str, handler: Handler, needs: Permission | None, methods: tuple[str, ...]) -> Route:
    return Route(
        f"{CONSOLE}/t/{{tenant}}{path}", _Gate(shell, handler, needs, of_tenant=True).serve, methods=list(methods)
    )


def _to_sign_in(request: Request) -> Response:
    sign_in = f"{CONSOLE}/sign-in"
    if request.method not in _READ:
        return RedirectResponse(sign_in, 303)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{sign_in}?{urlencode({'next': here})}", 303)
