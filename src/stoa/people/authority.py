"""Which source wins which field: versions that are never edited, the newest in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stoa.db.transactions import Row, TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import SourceId
from stoa.kernel.problems import BadInput, Conflict, NotFound
from stoa.people.fields import AUTHORITY_FIELDS

# Without an authority version of its own, a tenant follows this order of kinds: a local edit was meant; HR owns
# people's fields, the identity provider owns how one signs in. An API client may be anything, so it fills gaps.
PEOPLE_ORDER = ("console", "hris", "idp", "api", "import")
ACCESS_ORDER = ("console", "idp", "hris", "api", "import")
_ACCESS_FIELDS = frozenset({"user_name"})


class AuthorityChanged(Conflict):
    """Somebody else changed which source wins which field meanwhile.

    Read the version in force, which differs in `changed`, then change that one.
    """

    code = "authority_changed"


@dataclass(frozen=True, slots=True)
class Authority:
    """Who wins which field.

    Attributes:
        version: 0 is the default, which follows from the kinds of the tenant's sources alone.
        ranking: field name to the sources that are ranked for it, strongest first; for `active`, whose word counts.
    """

    version: int
    ranking: Mapping[str, Sequence[SourceId]]


# Of one statement: a source that is made between two would be in one ranking and not in the other.
AUTHORITY = """coalesce((SELECT max(version) FROM authority_version WHERE tenant_id = $1), 0) AS authority_version,
  ARRAY(SELECT (source_id, kind) FROM source WHERE tenant_id = $1 ORDER BY source_id) AS authority_sources,
  ARRAY(SELECT (a.field, a.ranked_sources) FROM authority a WHERE a.tenant_id = $1
    AND a.version = (SELECT max(version) FROM authority_version WHERE tenant_id = $1)) AS authority_fields"""


async def authority(tx: TenantTx) -> Authority:
    """The authority in force.

    Never kept from one statement to the next: a source or a version may be made in the same transaction.
    """
    row = await tx.fetchrow(f"SELECT {AUTHORITY}", tx.tenant_id)
    assert row is not None
    return authority_of(row)


def authority_of(row: Row) -> Authority:
    """The authority of a row that has the columns of AUTHORITY."""
    ranked: dict[str, Sequence[SourceId]] = {pair[0]: tuple(pair[1]) for pair in row["authority_fields"]}
    return Authority(row["authority_version"], _default_ranking(row["authority_sources"]) | ranked)


def _default_ranking(sources: Sequence[Row]) -> dict[str, Sequence[SourceId]]:
    def ranked(order: tuple[str, ...]) -> Sequence[SourceId]:
        return tuple(SourceId(pair[0]) for pair in sorted(sources, key=lambda pair: order.index(pair[1])))

    people, access = ranked(PEOPLE_ORDER), ranked(ACCESS_ORDER)
    ranking = {name: access if name in _ACCESS_FIELDS else people for name in AUTHORITY_FIELDS}
    # `active` is not ranked: an empty list lets every source count.
    return ranking | {"active": ()}


async def ranking_with(tx: TenantTx, ranking: Mapping[str, Sequence[SourceId]]) -> Mapping[str, Sequence[SourceId]]:
    """The ranking that would be in force if `ranking` were all that the tenant ranks.

    Raises:
        BadInput: there is no such field or source, or a source is named twice for a field.
    """
    rows = await tx.fetch("SELECT source_id, kind FROM source WHERE tenant_id = $1 ORDER BY source_id", tx.tenant_id)
    _check(ranking, {row["source_id"] for row in rows})
    return _default_ranking(rows) | {name: tuple(sources) for name, sources in ranking.items()}


async def ranked_of(tx: TenantTx, version: int) -> dict[str, Sequence[SourceId]]:
    """What a version ranks itself; of the other fields the default holds. Empty for version 0.

    Raises:
        NotFound: the tenant has no such version.
    """
    if version == 0:
        return {}
    known = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM authority_version WHERE tenant_id = $1 AND version = $2)", tx.tenant_id, version
    )
    if not known:
        raise NotFound(f"There is no version {version} of the ranking.", hint="The page of it lists those there are.")
    rows = await tx.fetch(
        "SELECT field, ranked_sources FROM authority WHERE tenant_id = $1 AND version = $2", tx.tenant_id, version
    )
    return {row["field"]: tuple(SourceId(one) for one in row["ranked_sources"]) for row in rows}


async def set_authority(tx: TenantTx, ranking: Mapping[str, Sequence[SourceId]], *, expected: int | None = None) -> int:
    """Writes a new version that ranks the named fields and gives its number. Fields left out keep the default.

    For `active` the list says whose word counts. The caller recomputes people afterwards
    (`ranking.change_ranking`).

    expected: the version that the caller has seen; None for whichever is in force.

    Raises:
        BadInput: there is no such field or source, or a source is named twice for a field.
        AuthorityChanged: another version than the expected one is in force by now.
    """
    # Two who write a version at the same moment come one after the other.
    await tx.execute("SELECT 1 FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE", tx.tenant_id)
    was = await authority(tx)
    if expected is not None and expected != was.version:
        raise AuthorityChanged(
            f"Version {was.version} of the ranking is in force; yours began from version {expected}.",
            hint="Look at what changed meanwhile, then change it anew.",
        )
    rows = await tx.fetch("SELECT source_id FROM source WHERE tenant_id = $1", tx.tenant_id)
    _check(ranking, {row["source_id"] for row in rows})
    version = await tx.fetchval(
        "SELECT 1 + coalesce(max(version), 0) FROM authority_version WHERE tenant_id = $1", tx.tenant_id
    )
    await tx.execute(
        "INSERT INTO authority_version (tenant_id, version, made_by, made_at) VALUES ($1, $2, $3, $4)",
        *(tx.tenant_id, version, tx.origin.actor, tx.now),
    )
    await tx.execute_many(
        "INSERT INTO authority (tenant_id, version, field, ranked_sources) VALUES ($1, $2, $3, $4)",
        [(tx.tenant_id, version, name, list(sources)) for name, sources in ranking.items()],
    )
    changed = changed_fields(was.ranking, (await authority(tx)).ranking)
    body = {
        "version": version,
        "ranking": {name: [str(s) for s in sources] for name, sources in ranking.items()},
        "before": {name: [str(s) for s in pair[0]] for name, pair in changed.items()},
        "after": {name: [str(s) for s in pair[1]] for name, pair in changed.items()},
    }
    emit(tx, Event("authority.changed", f"authority:{version}", body))
    return version


def changed_fields(
    was: Mapping[str, Sequence[SourceId]], now: Mapping[str, Sequence[SourceId]]
) -> dict[str, tuple[Sequence[SourceId], Sequence[SourceId]]]:
    """The fields that two rankings order in different ways, with both orders."""
    return {
        name: (tuple(was.get(name, ())), tuple(now.get(name, ())))
        for name in AUTHORITY_FIELDS
        if tuple(was.get(name, ())) != tuple(now.get(name, ()))
    }


def _check(ranking: Mapping[str, Sequence[SourceId]], known: set[SourceId]) -> None:
    for name, sources in ranking.items():
        if name not in AUTHORITY_FIELDS:
            raise BadInput(f"There is no field {name} to rank.", hint=f"Fields: {', '.join(AUTHORITY_FIELDS)}.")
        if unknown := [str(source) for source in sources if source not in known]:
            raise BadInput(f"The ranking of {name} names sources that this tenant has not: {', '.join(unknown)}.")
        if len(set(sources)) < len(sources):
            raise BadInput(f"The ranking of {name} names a source twice.", hint="Name each source once.")
