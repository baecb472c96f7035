"""What the pages of webhooks share."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from stoa.access.permissions import Permission
from stoa.analytics.webhooks import queries
from stoa.analytics.webhooks.actions import no_endpoint
from stoa.analytics.webhooks.model import LONGEST_TEXT, LONGEST_URL, Endpoint, Made, Settings, Standing
from stoa.analytics.webhooks.rules import origin_of
from stoa.db.transactions import TenantTx
from stoa.events.model import Renderer
from stoa.kernel.ids import EndpointId
from stoa.tenants.sealing import Sealer
from stoa.web.visiting import Visit

ALL: Final = "/webhooks"
ONE: Final = f"{ALL}/{{endpoint_id}}"
FIELDS: Final = ("url", "filter", "description", "owner_email")
_LONGEST_FILTER: Final = 8000
_LONGEST: Final = {"url": LONGEST_URL, "filter": _LONGEST_FILTER, "description": LONGEST_TEXT, "owner_email": 320}


@dataclass(frozen=True, slots=True)
class PagesDesk:
    """What the pages work with. Attributes as the parameters of `webhook_pages`."""

    sealer: Sealer
    allow: frozenset[str]
    base_url: str
    render: Renderer | None


@dataclass(frozen=True, slots=True)
class Line:
    """An endpoint as lists and heads of pages show it. shown_url: without its path for whoever may not change it."""

    endpoint: Endpoint
    standing: Standing
    shown_url: str

    @property
    def state(self) -> str:
        """Its state in one word, of those that `ui.state` knows."""
        if self.endpoint.state == "disabled":
            return "paused" if self.endpoint.disabled_reason == "by_hand" else "failed"
        return "failing" if self.endpoint.failing_since is not None else "active"


Handler = Callable[[Visit, PagesDesk], Awaitable[Response]]


def at(desk: PagesDesk, handler: Handler) -> Callable[[Visit], Awaitable[Response]]:
    """A handler with its desk."""

    async def handle(visit: Visit) -> Response:
        return await handler(visit, desk)

    return handle


def endpoint_id(visit: Visit) -> EndpointId:
    """The endpoint in the page's address. Raises NotFound for what is no id."""
    return EndpointId(visit.id("endpoint_id"))


def path_of(visit: Visit) -> str:
    """The address of the endpoint, below the tenant's pages."""
    return f"{ALL}/{endpoint_id(visit)}"


async def line_of(visit: Visit, tx: TenantTx) -> Line:
    """The endpoint in the page's address. Raises NotFound."""
    one = await queries.endpoint(tx, endpoint_id(visit))
    if one is None:
        raise no_endpoint()
    return await as_line(visit, tx, one)


async def as_line(visit: Visit, tx: TenantTx, one: Endpoint) -> Line:
    """An endpoint with its standing."""
    # The path of a URL may be a secret.
    shown = one.url if visit.may(Permission.API_CHANGE) else origin_of(one.url)
    return Line(one, await queries.standing(tx, one), shown)


async def given_settings(visit: Visit) -> tuple[Settings, dict[str, str], int | None]:
    """What a form says, the same as it was written, and the version that it began from.

    Raises BadInput for a field that is too long.
    """
    form = await visit.form()
    given = {name: form.text(name, most=2 * _LONGEST[name]) for name in FIELDS}
    version = form.text("version", most=18)
    settings = Settings(given["url"], given["description"], given["filter"], given["owner_email"] or None)
    return settings, given, int(version) if version.isascii() and version.isdigit() else None


def secret_page(visit: Visit, made: Made, *, first: bool) -> Response:
    """The only page that ever shows a secret. No cache keeps it: pages say no-store."""
    return visit.page(
        "webhooks/secret.html",
        endpoint=made.endpoint,
        secret=made.secret,
        first=first,
        address=f"{visit.base}{ALL}/{made.endpoint.endpoint_id}",
    )


def written(settings: Settings) -> Mapping[str, str]:
    """Settings as a form shows them."""
    return {
        "url": settings.url,
        "filter": settings.filter,
        "description": settings.description,
        "owner_email": settings.owner_email or "",
    }
