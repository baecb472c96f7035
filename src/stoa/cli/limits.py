"""How much of the public API a tenant may use."""

import time
from typing import Any

from stoa.access.limits import Limits, change_limits, limits, quotas, use_of_budgets
from stoa.cli.common import OPERATOR, Options, session, show
from stoa.cli.tenants import tenant_app
from stoa.db.transactions import TenantTx
from stoa.kernel.problems import BadInput


@tenant_app.command(name="limits")
async def tenant_limits(
    slug: str,
    *,
    api_per_minute: int | None = None,
    client_per_minute: int | None = None,
    usual: bool = False,
    options: Options = Options(),
) -> None:
    """Show or set how many requests a minute a tenant may make of the public API.

    Args:
        slug: The tenant.
        api_per_minute: Of the tenant as a whole.
        client_per_minute: Of each client that has no number of its own.
        usual: Give back what is not named: as for every tenant.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        if usual and api_per_minute is not None and client_per_minute is not None:
            raise BadInput("--usual has nothing to give back: both numbers are named.", hint="Leave one of them out.")
        if usual or api_per_minute is not None or client_per_minute is not None:
            before = Limits() if usual else await limits(tx)
            await change_limits(
                tx,
                Limits(
                    before.api_per_minute if api_per_minute is None else api_per_minute,
                    before.client_per_minute if client_per_minute is None else client_per_minute,
                ),
            )
        told = await _told(tx)
    show(options, told)


async def _told(tx: TenantTx) -> dict[str, Any]:
    own, held = await limits(tx), await quotas(tx)
    use = (await use_of_budgets(tx, time.time()))[0]
    return {
        "api_per_minute": held.tenant,
        "client_per_minute": held.client,
        "own": own != Limits(),
        "used_this_minute": use.used,
        "left_this_minute": use.left,
    }
