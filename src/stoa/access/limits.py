"""How much of the public API a tenant and its clients may use a minute, and how much of it is used."""

from dataclasses import asdict, dataclass

from stoa.access.budget_rules import CLIENT_PER_MINUTE, HIGHEST_PER_MINUTE, TENANT_PER_MINUTE, window_at
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import BadInput

_QUOTAS = """
SELECT coalesce(t.api_per_minute, $3) AS tenant, coalesce(c.per_minute, t.client_per_minute, $4) AS client
FROM (VALUES ($1::uuid)) AS one (tenant_id)
LEFT JOIN tenant_limit t ON t.tenant_id = one.tenant_id
LEFT JOIN api_client c ON c.tenant_id = one.tenant_id AND c.client_id = $2"""

_CHANGE = """
INSERT INTO tenant_limit (tenant_id, api_per_minute, client_per_minute) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id) DO UPDATE
SET api_per_minute = excluded.api_per_minute, client_per_minute = excluded.client_per_minute"""

# Clients and credentials of a tenant are few.
_USE = """
SELECT b.holder, coalesce(c.name, k.name) AS name, b.quota, b.leased FROM rate_budget b
LEFT JOIN api_client c ON c.tenant_id = $1 AND c.client_id::text = b.holder
LEFT JOIN credential k ON k.tenant_id = $1 AND k.credential_id::text = b.holder
WHERE b.tenant_id = $1 AND b.window_no = $2 ORDER BY b.holder"""


@dataclass(frozen=True, slots=True)
class Quotas:
    """Requests a minute that hold: of a tenant as a whole, and of one client."""

    tenant: int
    client: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What a tenant has in place of what every tenant has.

    Attributes:
        api_per_minute: requests a minute of the whole tenant; None: `TENANT_PER_MINUTE`.
        client_per_minute: of each client that has no number of its own; None: `CLIENT_PER_MINUTE`.
    """

    api_per_minute: int | None = None
    client_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """How a budget stands in the present minute.

    Attributes:
        holder: a client's or credential's id as text; empty for the tenant as a whole.
        name: of the client or credential; None of the tenant as a whole.
        used: what the processes of the server took of the quota; each may hold a little of it that is not used yet.
    """

    holder: str
    name: str | None
    quota: int
    used: int

    @property
    def left(self) -> int:
        """What no process has taken."""
        return max(0, self.quota - self.used)


async def quotas(tx: TenantTx, holder: str = "") -> Quotas:
    """What holds for a client or credential, by its id as text."""
    row = await tx.fetchrow(_QUOTAS, tx.tenant_id, parse_id(holder), TENANT_PER_MINUTE, CLIENT_PER_MINUTE)
    assert row is not None, "one row is asked for by its values"
    return Quotas(row["tenant"], row["client"])


async def limits(tx: TenantTx) -> Limits:
    """What the tenant has of its own."""
    row = await tx.fetchrow(
        "SELECT api_per_minute, client_per_minute FROM tenant_limit WHERE tenant_id = $1", tx.tenant_id
    )
    return Limits() if row is None else Limits(**dict(row))


async def change_limits(tx: TenantTx, wanted: Limits) -> Limits:
    """Puts limits in place of those before; what is None is as for every tenant. Processes learn of it with the next
    block that they lease.

    Raises:
        BadInput: a number is below 1 or above ten million.
    """
    for name, number in asdict(wanted).items():
        if number is not None and not 1 <= number <= HIGHEST_PER_MINUTE:
            raise BadInput(
                f"{number} requests a minute cannot be a limit ({name}).", hint=f"Give 1 to {HIGHEST_PER_MINUTE:,}."
            )
    # Whoever changes them at the same time waits here, so that each event tells what was before it.
    await tx.execute("SELECT FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE", tx.tenant_id)
    before = await limits(tx)
    if before == wanted:
        return before
    await tx.execute(_CHANGE, tx.tenant_id, wanted.api_per_minute, wanted.client_per_minute)
    body = {"before": asdict(before), "after": asdict(wanted)}
    emit(tx, Event("tenant.limits_changed", f"tenant:{tx.tenant_id}", body))
    return wanted


async def use_of_budgets(tx: TenantTx, at: float) -> list[Use]:
    """How the tenant's budget and those of its clients stand at a moment (seconds since 1970): the tenant's own first.
    Who asked for nothing in this minute is not among them, but for the tenant."""
    rows = await tx.fetch(_USE, tx.tenant_id, window_at(at))
    found = [Use(row["holder"], row["name"], row["quota"], row["leased"]) for row in rows]
    return found if found and found[0].holder == "" else [Use("", None, (await quotas(tx)).tenant, 0), *found]
