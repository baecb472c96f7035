"""The pages of webhooks."""

from starlette.routing import Route

from stoa.analytics.webhooks.pages_deliveries import delivery_pages
from stoa.analytics.webhooks.pages_desk import PagesDesk
from stoa.analytics.webhooks.pages_list import list_pages
from stoa.analytics.webhooks.pages_one import one_pages
from stoa.events.model import Renderer
from stoa.tenants.sealing import Sealer
from stoa.web.visiting import Shell


def webhook_pages(
    shell: Shell, sealer: Sealer, allow: frozenset[str], base_url: str, render: Renderer | None
) -> list[Route]:
    """Their routes. The list and the way to a new one come first, for an endpoint's id could be taken for their names.

    allow: exact `host:port` pairs that development exempts from the checks of addresses. base_url: under which clients
    reach this server. render: renders the events of bulk entries.
    """
    desk = PagesDesk(sealer, allow, base_url, render)
    return [*list_pages(shell, desk), *delivery_pages(shell, desk), *one_pages(shell, desk)]
