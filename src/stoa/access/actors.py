"""Who acted, by name: what the log keeps is an id, which says nothing to people and stays when they go."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from stoa.db.transactions import PlatformTx, TenantTx
from stoa.kernel.fold import fold
from stoa.kernel.ids import parse_id

# Whose lines a search of a name brings, at the most.
_MOST_FOUND: Final = 200
# Of what is before the colon: whose id stands after it.
_CREDENTIALS: Final = frozenset({"scim", "credential"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted.

    Attributes:
        kind: what stands before the colon: `operator`, `scim`, `client`, `credential`, `job`, `schedule`, `system`, ...
        name: of the operator, the client or the credential; of a job its kind; None if it is not known (any more).
    """

    kind: str
    name: str | None


async def known_actors(platform: PlatformTx, tenant: TenantTx | None, actors: Iterable[str]) -> Mapping[str, Actor]:
    """Each actor with its name. tenant: whose credentials and clients they may be; None for the platform's own log."""
    wanted = set(actors)
    operators = _ids(wanted, {"operator"})
    names = {
        f"operator:{row['operator_id']}": str(row["name"])
        for row in await platform.fetch(
            "SELECT operator_id, name FROM operator WHERE operator_id = ANY($1::uuid[])", operators
        )
    }
    if tenant is not None:
        names |= await _machines(tenant, wanted)
    return {actor: Actor(actor.partition(":")[0], names.get(actor) or _own_name(actor)) for actor in wanted}


async def _machines(tx: TenantTx, wanted: set[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    if credentials := _ids(wanted, _CREDENTIALS):
        rows = await tx.fetch(
            "SELECT credential_id, name FROM credential WHERE tenant_id = $1 AND credential_id = ANY($2::uuid[])",
            tx.tenant_id,
            credentials,
        )
        names |= {f"{kind}:{row['credential_id']}": row["name"] for row in rows for kind in _CREDENTIALS}
    if clients := _ids(wanted, {"client"}):
        rows = await tx.fetch(
            "SELECT client_id, name FROM api_client WHERE tenant_id = $1 AND client_id = ANY($2::uuid[])",
            tx.tenant_id,
            clients,
        )
        names |= {f"client:{row['client_id']}": row["name"] for row in rows}
    return names


async def actors_named(platform: PlatformTx, tenant: TenantTx | None, search: str) -> tuple[str, ...]:
    """Actors in whose name a text stands, in any case: at most 200 of each kind."""
    wanted = fold(search.replace("\0", "").strip())
    if not wanted:
        return ()
    rows = await platform.fetch(
        "SELECT 'operator:' || operator_id AS actor FROM operator WHERE strpos(name_key, $1) > 0 LIMIT $2",
        *(wanted, _MOST_FOUND),
    )
    if tenant is not None:
        rows += await tenant.fetch(
            """(SELECT 'client:' || client_id AS actor FROM api_client
                WHERE tenant_id = $1 AND strpos(name_key, $2) > 0 LIMIT $3)
               UNION ALL (SELECT k.prefix || credential_id AS actor FROM credential,
                unnest(ARRAY['scim:', 'credential:']) AS k (prefix)
                WHERE tenant_id = $1 AND strpos(lower(name), $2) > 0 LIMIT $3)""",
            *(tenant.tenant_id, wanted, _MOST_FOUND),
        )
    return tuple(str(row["actor"]) for row in rows)


def _ids(actors: Iterable[str], kinds: set[str] | frozenset[str]) -> list[UUID]:
    parts = (actor.partition(":") for actor in actors)
    return [found for kind, _, rest in parts if kind in kinds and (found := parse_id(rest)) is not None]


def _own_name(actor: str) -> str | None:
    kind, _, rest = actor.partition(":")
    return rest if kind == "job" else None
