"""All that is known of one person, for a page: what is in force and why, what each source says, and since when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import PersonId, ResourceId, RunId, SourceId
from stoa.people.authority import authority_of
from stoa.people.explaining import Access, Explained, explain, explain_access
from stoa.people.model import Person, Record
from stoa.people.profile_sql import LATEST, MOST_REPORTS, PROFILE, part
from stoa.people.queries import person_by_id, person_of, record_of
from stoa.people.recompute import linked_of
from stoa.people.roles_queries import Belonging, belonging_of
from stoa.people.timeline import Timeline, timeline, timeline_of
from stoa.tenants.model import Source

# A phase may keep folded copies of a document's texts in it, under this name.
_FOLDED: Final = "~"


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
        sources: of the tenant, by id.
        names: of the people whom the page links to, by id.
        fields: why each field is as it is.
        identities: by resource id; those of sources that still have them come first.
        reports: people whose manager this is, at most MOST_REPORTS of them.
        authority_version: whose ranking this follows; 0 is the default order of the kinds of source.
        today: the tenant's date.
        belonging: their groups and roles.
        latest: the end of the journal, at most profile_sql.LATEST of it.
    """

    person: Person
    name: str | None
    created_at: datetime
    updated_at: datetime
    sources: Mapping[SourceId, Source]
    fields: Mapping[str, Explained]
    access: Access
    identities: Mapping[ResourceId, Identity]
    holds: Sequence[HeldValue]
    reports: Sequence[PersonId]
    names: Mapping[UUID, str]
    authority_version: int
    today: date
    belonging: Belonging
    latest: Timeline

    @property
    def more_reports(self) -> bool:
        """Whether there may be more than are told."""
        return len(self.reports) == MOST_REPORTS


async def profile(tx: TenantTx, person_id: UUID) -> Profile | None:
    """What is known of a person, read by one statement; None if there is nobody with this id. Of who was merged into
    another there is nothing but the person."""
    row = await tx.fetchrow(PROFILE, tx.tenant_id, person_id)
    if row is None:
        return None
    person, rules, today = person_of(row), authority_of(row), tx.now.astimezone(ZoneInfo(row["zone"])).date()
    records = part(row, "records")
    linked = [linked_of(record) for record in records]
    sources = {one["source_id"]: Source(**one) for one in part(row, "sources")}
    identities = _identities(row, records, sources)
    asserted: dict[UUID, bool] = {key: one.record.asserted_active for key, one in identities.items()}
    reports = part(row, "reports")
    named = {one["person_id"]: one["name"] for one in reports}
    named |= {record["manager"]: record["manager_name"] for record in records if record["manager"] is not None}
    named[person.person_id] = row["name"]
    return Profile(
        person,
        row["name"],
        row["created_at"],
        row["updated_at"],
        sources,
        explain(linked, rules.ranking),
        explain_access(linked, rules.ranking.get("active", ()), asserted, today),
        identities,
        [HeldValue(*hold.values()) for hold in part(row, "holds")],
        [one["person_id"] for one in reports],
        {key: name for key, name in named.items() if name is not None},
        rules.version,
        today,
        belonging_of(part(row, "groups"), part(row, "roles")),
        # Those of several people are another question.
        await timeline(tx, person.person_id, limit=LATEST)
        if row["merged"]
        else timeline_of(part(row, "events"), LATEST),
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


def _identities(
    row: Row, records: Sequence[Mapping[str, Any]], sources: Mapping[SourceId, Source]
) -> dict[ResourceId, Identity]:
    read_at: dict[SourceId, datetime] = {one["source_id"]: one["at"] for one in part(row, "confirmed")}
    since: dict[ResourceId, dict[str, datetime]] = {}
    for one in part(row, "since"):
        since.setdefault(one["resource_id"], {})[one["field"]] = one["at"]
    due: dict[tuple[SourceId, str], list[tuple[date, bool]]] = {}
    for one in part(row, "dues"):
        due.setdefault((one["source_id"], one["external_id"]), []).append((one["due_on"], one["active"]))
    found: dict[ResourceId, Identity] = {}
    for values in records:
        record = record_of(values)
        # What left a source was seen for the last time when that was noticed.
        seen_at = max(record.updated_at, read_at.get(record.source_id, record.updated_at))
        found[record.resource_id] = Identity(
            record,
            sources[record.source_id],
            values["last_run"],
            seen_at if record.present else record.updated_at,
            since.get(record.resource_id, {}),
            due.get((record.source_id, record.external_id), ()),
        )
    return found
