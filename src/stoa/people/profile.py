"""All that is known of one person, for a page: what is in force and why, what each source says, and since when."""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from stoa.changes.queries import STATE
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId, ResourceId, RunId, SourceId
from stoa.people.authority import authority
from stoa.people.dates import tenant_today
from stoa.people.explaining import Access, Explained, explain, explain_access
from stoa.people.model import Person, Record
from stoa.people.queries import RECORD, person_by_id, person_names, record_of
from stoa.people.recompute import linked_records
from stoa.sync.freshness import confirmed
from stoa.tenants import queries as tenants
from stoa.tenants.model import Source

MOST_REPORTS: Final = 50
# A phase may keep folded copies of a document's texts in it, under this name.
_FOLDED: Final = "~"
_CHANGES_LOOKED_AT: Final = 500


@dataclass(frozen=True, slots=True)
class Identity:
    """One record with what stands around it.

    Attributes:
        last_run: the run that changed it last.
        seen_at: when the source was last known to say what the record says.
        since: when it came to say what it says of a field, as far back as was looked.
        due: days on which its word on access changes by itself, with the word from then on.
    """

    record: Record
    source: Source
    last_run: RunId
    seen_at: datetime
    since: Mapping[str, datetime]
    due: Sequence[tuple[date, bool]]

    @property
    def document(self) -> Mapping[str, Any] | None:
        """The document as the client set it; None for a report's row."""
        raw = self.record.raw
        return None if raw is None else {name: value for name, value in raw.items() if name != _FOLDED}


@dataclass(frozen=True, slots=True)
class HeldValue:
    """An assertion whose effect waits for approval. value: what counts meanwhile."""

    resource_id: ResourceId
    source_id: SourceId
    field: str
    value: Any
    run_id: RunId
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """One person.

    Attributes:
        names: of the people whom the page links to, by id.
        fields: why each field is as it is.
        identities: by resource id; those of sources that still have them come first.
        reports: people whose manager this is, at most MOST_REPORTS of them.
        authority_version: whose ranking this follows; 0 is the default order of the kinds of source.
        today: the tenant's date.
    """

    person: Person
    name: str | None
    created_at: datetime
    updated_at: datetime
    fields: Mapping[str, Explained]
    access: Access
    identities: Mapping[ResourceId, Identity]
    holds: Sequence[HeldValue]
    reports: Sequence[PersonId]
    names: Mapping[UUID, str]
    authority_version: int
    today: date

    @property
    def more_reports(self) -> bool:
        """Whether there may be more than are told."""
        return len(self.reports) == MOST_REPORTS


async def profile(tx: TenantTx, person: Person) -> Profile:
    """What is known of a person who was merged into nobody."""
    person_id = person.person_id
    linked, rules, today = await linked_records(tx, person_id), await authority(tx), await tenant_today(tx)
    identities = await _identities(tx, person_id)
    asserted: dict[UUID, bool] = {key: one.record.asserted_active for key, one in identities.items()}
    times = await tx.fetchrow(
        "SELECT created_at, updated_at FROM person WHERE tenant_id = $1 AND person_id = $2", tx.tenant_id, person_id
    )
    assert times is not None
    fields = explain(linked, rules.ranking)
    reports = await _reports(tx, person_id)
    others = {word.value for word in fields["manager_ref"].words if isinstance(word.value, UUID)} | {*reports}
    names = await person_names(tx, [person_id, *others])
    return Profile(
        person,
        names.get(person_id),
        times["created_at"],
        times["updated_at"],
        fields,
        explain_access(linked, rules.ranking.get("active", ()), asserted, today),
        identities,
        await _holds(tx, person_id),
        reports,
        names,
        rules.version,
        today,
    )


async def survivor_of(tx: TenantTx, person: Person) -> PersonId:
    """Whom a person was merged into in the end; the person's own id if nobody."""
    seen = {person.person_id}
    while person.merged_into is not None and person.merged_into not in seen:
        seen.add(person.merged_into)
        following = await person_by_id(tx, person.merged_into)
        if following is None:
            break
        person = following
    return person.person_id


# ------------------------------------------------------------------ identities


async def _identities(tx: TenantTx, person_id: PersonId) -> dict[ResourceId, Identity]:
    rows = await tx.fetch(
        f"""SELECT {RECORD}, r.last_run FROM source_record r WHERE r.tenant_id = $1 AND r.person_id = $2
        ORDER BY r.present DESC, r.created_at, r.resource_id""",
        *(tx.tenant_id, person_id),
    )
    sources = {source.source_id: source for source in await tenants.sources(tx)}
    read_at = await confirmed(tx)
    since, due = await _since(tx, person_id), await _due(tx, person_id)
    found: dict[ResourceId, Identity] = {}
    for row in rows:
        record = record_of(row)
        # What left a source was seen for the last time when that was noticed.
        seen_at = max(record.updated_at, read_at.get(record.source_id, record.updated_at))
        found[record.resource_id] = Identity(
            record,
            sources[record.source_id],
            row["last_run"],
            seen_at if record.present else record.updated_at,
            since.get(record.resource_id, {}),
            due.get((record.source_id, record.external_id), ()),
        )
    return found


async def _since(tx: TenantTx, person_id: PersonId) -> dict[ResourceId, dict[str, datetime]]:
    """When each field was last written, as the latest changes tell."""
    rows = await tx.fetch(
        f"""SELECT d.resource_id, f.name, max(d.at) AS at FROM (
          SELECT c.resource_id, c.after, c.at, {STATE} AS state
          FROM change c JOIN run r ON r.tenant_id = $1 AND r.run_id = c.run_id
          WHERE c.tenant_id = $1 AND c.person_id = $2 ORDER BY c.ord DESC LIMIT $3) AS d
        CROSS JOIN LATERAL jsonb_object_keys(coalesce(d.after, '{{}}')) AS f(name)
        WHERE d.state = 'applied' GROUP BY d.resource_id, f.name""",
        *(tx.tenant_id, person_id, _CHANGES_LOOKED_AT),
    )
    found: dict[ResourceId, dict[str, datetime]] = {}
    for row in rows:
        found.setdefault(row["resource_id"], {})[row["name"]] = row["at"]
    return found


async def _due(tx: TenantTx, person_id: PersonId) -> dict[tuple[SourceId, str], list[tuple[date, bool]]]:
    rows = await tx.fetch(
        """SELECT d.source_id, d.external_id, d.due_on, d.active FROM source_record r
        JOIN due_change d ON d.tenant_id = $1 AND d.source_id = r.source_id AND d.external_id = r.external_id
        WHERE r.tenant_id = $1 AND r.person_id = $2 ORDER BY d.due_on""",
        *(tx.tenant_id, person_id),
    )
    found: dict[tuple[SourceId, str], list[tuple[date, bool]]] = {}
    for row in rows:
        found.setdefault((row["source_id"], row["external_id"]), []).append((row["due_on"], row["active"]))
    return found


# ------------------------------------------------------------------ around the person


async def _holds(tx: TenantTx, person_id: PersonId) -> list[HeldValue]:
    # By the record: a merge moves records, and with them the holds upon them.
    rows = await tx.fetch(
        """SELECT h.resource_id, h.source_id, h.field, h.held_value, h.run_id, h.made_at FROM source_record r
        JOIN hold h ON h.tenant_id = $1 AND h.resource_id = r.resource_id AND h.state = 'held'
        WHERE r.tenant_id = $1 AND r.person_id = $2 ORDER BY h.made_at, h.field""",
        *(tx.tenant_id, person_id),
    )
    return [HeldValue(*row.values()) for row in rows]


async def _reports(tx: TenantTx, person_id: PersonId) -> list[PersonId]:
    rows = await tx.fetch(
        """SELECT p.person_id FROM person p WHERE p.tenant_id = $1 AND p.manager_id = $2
        ORDER BY p.display_name_key, p.person_id LIMIT $3""",
        *(tx.tenant_id, person_id, MOST_REPORTS),
    )
    return [row["person_id"] for row in rows]
