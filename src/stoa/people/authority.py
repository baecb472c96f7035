"""Which source wins which field: versions that are never edited, the newest in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import SourceId
from stoa.kernel.problems import BadInput
from stoa.people.fields import AUTHORITY_FIELDS

# Without an authority version of its own, a tenant follows this order of kinds: a local edit was meant; HR owns people fields, the identity
# provider owns how one signs in.
_PEOPLE_ORDER = ("console", "hris", "idp", "import")
_ACCESS_ORDER = ("console", "idp", "hris", "import")
_ACCESS_FIELDS = frozenset({"user_name"})


@dataclass(frozen=True, slots=True)
class Authority:
    """Version 0 is the default, computed from the kinds of the tenant's sources."""

    version: int
    ranking: Mapping[str, Sequence[SourceId]]


async def authority(tx: TenantTx) -> Authority:
    """The authority in force. Read once in a transaction and kept for its length."""
    kept = tx.memo.get("people.authority")
    if isinstance(kept, Authority):
        return kept
    rows = await tx.fetch(
        """SELECT a.version, a.field, a.ranked_sources FROM authority a WHERE a.tenant_id = $1
        AND a.version = (SELECT max(version) FROM authority_version WHERE tenant_id = $1)""",
        tx.tenant_id,
    )
    ranking = await _default_ranking(tx) | {row["field"]: tuple(row["ranked_sources"]) for row in rows}
    found = Authority(rows[0]["version"] if rows else 0, ranking)
    tx.memo["people.authority"] = found
    return found


async def _default_ranking(tx: TenantTx) -> dict[str, Sequence[SourceId]]:
    sources = await tx.fetch("SELECT source_id, kind FROM source WHERE tenant_id = $1 ORDER BY source_id", tx.tenant_id)

    def ranked(order: tuple[str, ...]) -> tuple[SourceId, ...]:
        return tuple(row["source_id"] for row in sorted(sources, key=lambda row: order.index(row["kind"])))

    people, access = ranked(_PEOPLE_ORDER), ranked(_ACCESS_ORDER)
    # `active` is not ranked: an empty list lets every source count.
    return {name: access if name in _ACCESS_FIELDS else people for name in AUTHORITY_FIELDS} | {"active": ()}


async def set_authority(tx: TenantTx, ranking: Mapping[str, Sequence[SourceId]]) -> int:
    """Writes a new version that ranks the named fields and gives its number. Fields left out keep the default.

    For `active` the list says whose word counts. The caller recomputes people afterwards. Raises BadInput for an unknown field or source.
    """
    known = {
        row["source_id"] for row in await tx.fetch("SELECT source_id FROM source WHERE tenant_id = $1", tx.tenant_id)
    }
    for name, sources in ranking.items():
        if name not in AUTHORITY_FIELDS:
            raise BadInput(f"There is no field {name} to rank.", hint=f"Fields: {', '.join(AUTHORITY_FIELDS)}.")
        if unknown := [str(source) for source in sources if source not in known]:
            raise BadInput(f"The ranking of {name} names sources that this tenant has not: {', '.join(unknown)}.")
    version = 1 + (
        await tx.fetchval("SELECT coalesce(max(version), 0) FROM authority_version WHERE tenant_id = $1", tx.tenant_id)
        or 0
    )
    await tx.execute(
        "INSERT INTO authority_version (tenant_id, version, made_by, made_at) VALUES ($1, $2, $3, $4)",
        tx.tenant_id, version, tx.origin.actor, tx.now,
    )  # fmt: skip
    await tx.execute_many(
        "INSERT INTO authority (tenant_id, version, field, ranked_sources) VALUES ($1, $2, $3, $4)",
        [(tx.tenant_id, version, name, list(sources)) for name, sources in ranking.items()],
    )
    tx.memo.pop("people.authority", None)
    body = {"version": version, "ranking": {name: [str(s) for s in sources] for name, sources in ranking.items()}}
    emit(tx, Event("authority.changed", str(version), body))
    return version
