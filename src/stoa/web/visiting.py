"""One request of somebody who looks at a page: who, where, and what they may do."""

import base64
import binascii
from asyncio import Event
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from stoa.access.permissions import Permission, may
from stoa.access.principals import Principal
from stoa.db.database import Database
from stoa.db.transactions import Origin, PlatformTx, TenantTx
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import NotFound
from stoa.tenants.model import TenantListing
from stoa.web.forms import Form, read_form
from stoa.web.templates import Pages
from stoa.web.words import chosen_language, languages

Tone = Literal["ok", "info", "warn", "bad"]
CONSOLE: Final = "/console"
SAID: Final = "stoa_said"
_SAID_SECONDS: Final = 60
_LONGEST_SAID: Final = 500
_UTC: Final = ZoneInfo("UTC")
# A page that takes longer is of no use to whoever waits for it, and costs everybody else.
_PAGE_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Shell:
    """What every page needs: made by the composition root.

    Attributes:
        development: shows what only developers need: the style page, the pseudo-language.
        stopping: set when the server stops, so that streams end.
    """

    pages: Pages
    database: Database
    development: bool = False
    stopping: Event = field(default_factory=Event)


class Said(msgspec.Struct, frozen=True):
    """What the page before has to say: shown once."""

    text: str
    tone: Tone = "ok"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request.

    Attributes:
        signed_in: who looks, or None on the pages that are open to everybody.
        tenant: whose page it is, or None. A tenant is here only if the visitor may see it.
    """

    request: Request
    shell: Shell
    signed_in: Principal | None
    tenant: TenantListing | None

    @property
    def principal(self) -> Principal:
        """Who looks. Open pages, which have nobody, do not ask."""
        return self.signed_in  # pyright: ignore[reportReturnType] - templates of open pages ask whether it is None

    @property
    def here(self) -> str:
        """The path of this page."""
        return self.request.url.path

    @property
    def base(self) -> str:
        """What the addresses of the tenant's pages begin with."""
        return CONSOLE if self.tenant is None else f"{CONSOLE}/t/{self.tenant.slug}"

    @property
    def now(self) -> datetime:
        """By the tenant's clock, aware, UTC."""
        now = self.shell.database.clock()
        return now if self.tenant is None else now + self.tenant.clock_offset

    @property
    def zone(self) -> ZoneInfo:
        """In which moments are shown."""
        return _UTC if self.tenant is None else ZoneInfo(self.tenant.time_zone)

    @property
    def language(self) -> str:
        """The visitor's, of those there are words for."""
        return chosen_language(self.request.headers.get("accept-language", ""), self.shell.pages.environments)

    def gettext(self, text: str) -> str:
        """`text` in the visitor's language."""
        return languages(pseudo=self.shell.development)[self.language].gettext(text)

    def may(self, permission: Permission | str) -> bool:
        """Whether the visitor has this permission here. Templates name it by its value."""
        if self.signed_in is None:
            return False
        tenant_id = None if self.tenant is None else self.tenant.tenant_id
        return may(self.signed_in, Permission(permission), tenant_id)

    def tx(self) -> AbstractAsyncContextManager[TenantTx]:
        """A read-only transaction in the page's tenant, which is given up after ten seconds."""
        return self.shell.database.tenant(
            self._tenant().tenant_id, self.origin, read_only=True, limit_seconds=_PAGE_SECONDS
        )

    def writing(self) -> AbstractAsyncContextManager[TenantTx]:
        """A transaction in the page's tenant, in the visitor's name."""
        return self.shell.database.tenant(self._tenant().tenant_id, self.origin)

    def platform(self) -> AbstractAsyncContextManager[PlatformTx]:
        """A transaction across tenants, in the visitor's name."""
        return self.shell.database.platform(self.origin)

    @property
    def origin(self) -> Origin:
        """What is written on what the visitor does."""
        actor = "anonymous" if self.signed_in is None else self.signed_in.actor
        client = self.request.client
        trace_id: str | None = getattr(self.request.state, "trace_id", None)
        return Origin(actor, "console", trace_id, (client.host or None) if client else None)

    def id(self, name: str) -> UUID:
        """An id in the page's address. Raises NotFound for what is none."""
        found = parse_id(str(self.request.path_params[name]))
        if found is None:
            raise NotFound("There is nothing at this address.", hint="Look for a slip in it.")
        return found

    async def form(self) -> Form:
        """The form that was submitted. Raises BadInput."""
        return await read_form(self.request)

    def page(self, template: str, status: int = 200, block: str | None = None, **values: object) -> HTMLResponse:
        """A page. An htmx request gets the template's block of that name alone, if one is named."""
        wanted = (
            block if self.request.headers.get("hx-request") and not self.request.headers.get("hx-boosted") else None
        )
        said = _said(self.request.cookies.get(SAID))
        standing: Mapping[str, object] = {
            "visit": self,
            "here": self.here,
            "now": self.now,
            "zone": self.zone,
            "said": said,
            "development": self.shell.development,
        }
        answer = self.shell.pages.render(
            template, status=status, language=self.language, block=wanted, **{**standing, **values}
        )
        answer.headers["Vary"] = "Accept-Language, HX-Request"
        # A piece of a page shows no toasts, so it leaves them for the next whole one.
        if said and wanted is None:
            answer.delete_cookie(SAID, path=CONSOLE, httponly=True, samesite="lax")
        return answer

    def see(self, path: str, said: str | None = None, tone: Tone = "ok") -> RedirectResponse:
        """Leads to another page, which says what happened here.

        path: below the tenant's pages, or absolute if it begins with /console.
        """
        absolute = path == CONSOLE or path.startswith((f"{CONSOLE}/", f"{CONSOLE}?"))
        answer = RedirectResponse(path if absolute else self.base + path, 303)
        if said is not None:
            body = msgspec.json.encode([Said(said[:_LONGEST_SAID], tone)])
            cookie = base64.urlsafe_b64encode(body).decode()
            answer.set_cookie(SAID, cookie, max_age=_SAID_SECONDS, path=CONSOLE, httponly=True, samesite="lax")
        return answer

    def _tenant(self) -> TenantListing:
        if self.tenant is None:
            raise LookupError("this page is no tenant's")
        return self.tenant


def _said(cookie: str | None) -> list[Said]:
    """Whoever plants a cookie here has the page say something; it is text, escaped, and shown as no more than that."""
    if not cookie:
        return []
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cookie), type=list[Said])
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        return []
