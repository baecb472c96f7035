"""What an API client says of people, in the name of its own source: the one way for single requests, for many at once
and for imports.

Expected refusals of the resolver are values, so that its decision is kept; all else that cannot be done is raised.
"""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, assert_never
from uuid import UUID

from msgspec import UNSET

from stoa.access.model import Credential
from stoa.api.errors import BadBody
from stoa.db.transactions import TenantTx
from stoa.kernel.fold import fold
from stoa.kernel.ids import PersonId, SourceId, parse_id
from stoa.kernel.problems import Conflict, Problem
from stoa.people import actions, queries
from stoa.people.duplicates import ask_for_search_later
from stoa.people.fields import FIELDS, Value
from stoa.people.model import Asserted, Changed, Provisioned, Record, Refused, Unchanged
from stoa.people.redirects import survivor
from stoa.people.routes import no_such_person
from stoa.people.wire_write import PersonInput, PersonResolution, PersonValues
from stoa.tenants.model import Source
from stoa.tenants.queries import source as source_of

Seen = Callable[[int], None]


class NoSource(Problem):
    """The credential asserts in nobody's name, so it cannot say anything of people.

    An API client that is made with the scope people:write has a source of its own.
    """

    code = "no_source"
    status = 403


class NotOwnSource(Problem):
    """The external id is one of another source, in whose name the credential does not assert.

    Use the id of the person, or an external id that this client gave itself.
    """

    code = "not_own_source"
    status = 403


class NoRecord(Conflict):
    """The client's source has no record of this person, so there is nothing to take back.

    Read the person's records: they show which sources know the person.
    """

    code = "no_record"


class CannotTell(Conflict):
    """The resolver cannot tell who is meant, or knows that somebody else has the name. Nothing was changed.

    `rule` says why, and `candidates` are the ids of the people who may be meant. It is noted for the tenant's admins.
    """

    code = "person_refused"


@dataclass(frozen=True, slots=True)
class Written:
    """A record after a change, and what became of it."""

    record: Record
    resolution: PersonResolution

    @property
    def made(self) -> bool:
        """Whether the source has a record more than before."""
        return self.resolution.outcome in {"created", "linked", "revived"}


async def own_source(tx: TenantTx, credential: Credential) -> Source:
    """The source in whose name a credential asserts, which is about to say something. Raises NoSource."""
    found = None if credential.source_id is None else await source_of(tx, credential.source_id)
    if found is None or found.kind != "api":
        told = "asserts in nobody's name" if found is None else f"belongs to the source {found.name!r}, not to an API"
        raise NoSource(
            f"This credential {told}, so it cannot change people.",
            hint="An admin of the tenant makes an API client with the scope people:write, which gets a source of its "
            "own, on the page “API clients” of the console.",
        )
    await ask_for_search_later(tx)
    return found


def refusal(refused: Refused) -> CannotTell:
    """A refusal of the resolver as a problem."""
    return CannotTell(
        refused.detail,
        hint="Send an employee id or another name that tells the person apart, or change the person that is meant by "
        "their id. The tenant's admins see the refusal too.",
        rule=refused.rule,
        candidates=[str(one) for one in refused.candidates],
    )


# ------------------------------------------------------------------ the four ways to write


async def create(tx: TenantTx, source_id: SourceId, given: PersonInput) -> Written | Refused:
    """Makes a record, of a new person or of one whom the resolver recognises."""
    asserted = await _asserted(tx, source_id, given, None)
    return await _provisioned(tx, await actions.provision(tx, source_id, asserted, by_own_id=True))


async def change(
    tx: TenantTx, source_id: SourceId, person_id: UUID, given: PersonValues, seen: Seen, *, whole: bool = False
) -> Written | Refused:
    """Changes what the source says of a person; it gets a record of them where it had none.

    whole: what is not given is taken back. seen: told the person's version, once nobody else can change it.

    Raises:
        NotFound, and what `seen` raises.
    """
    person_id, record = await _locked(tx, source_id, person_id, seen)
    kept = record if record is not None and record.present and not whole else None
    asserted = await _asserted(tx, source_id, given, kept)
    if record is None:
        return await _provisioned(tx, await actions.link_record(tx, source_id, person_id, asserted))
    if not isinstance(given, PersonInput) or given.external_id is UNSET:
        asserted = replace(asserted, scim_external_id=record.scim_external_id)
    return await _told(tx, record, await actions.assert_record(tx, record, asserted))


async def replace_by_external_id(
    tx: TenantTx, source_id: SourceId, external_id: str, given: PersonValues, seen: Seen
) -> Written | Refused:
    """Has the source's record of this external id say what is given and nothing else. It is made if there is none.

    seen: as of `change`; told 0 where there is nobody yet.
    """
    _check_size("external_id", external_id)
    asserted = replace(await _asserted(tx, source_id, given, None), scim_external_id=external_id)
    record = await _present(tx, source_id, external_id)
    if record is None:
        seen(0)
        made = await actions.provision(tx, source_id, asserted, by_own_id=True)
        # Another request of the same moment may have made it.
        record = await _present(tx, source_id, external_id) if isinstance(made, Refused) else None
        if record is None:
            return await _provisioned(tx, made)
    await _lock_person(tx, record.person_id, seen)
    return await _told(tx, record, await actions.assert_record(tx, record, asserted))


async def remove(tx: TenantTx, source_id: SourceId, person_id: UUID, seen: Seen) -> PersonId:
    """Takes the source's record of a person back, and gives the person's id. History stays.

    Raises:
        NotFound, NoRecord, and what `seen` raises.
    """
    _, record = await _locked(tx, source_id, person_id, seen)
    if record is None or not record.present:
        raise NoRecord(
            "Your source has no record of this person, so there is nothing to take back.",
            hint="GET /v1/people/{person}/records lists what each source says of them.",
        )
    await actions.remove_record(tx, record)
    return record.person_id


async def _provisioned(tx: TenantTx, made: Provisioned | Refused) -> Written | Refused:
    match made:
        case Refused():
            return made
        case Provisioned(record, rule, revived=True):
            outcome: PersonResolution = PersonResolution("revived", rule)
        case Provisioned(record, rule, linked=True):
            outcome = PersonResolution("linked", rule)
        case Provisioned(record, rule):
            outcome = PersonResolution("created", rule)
        case _:
            assert_never(made)
    await _welcome(tx, record)
    return Written(record, outcome)


async def _told(tx: TenantTx, before: Record, done: Changed | Unchanged | Refused) -> Written | Refused:
    match done:
        case Refused():
            return done
        case Unchanged(record):
            return Written(record, PersonResolution("unchanged"))
        case Changed(record):
            if not before.present or before.scim_external_id != record.scim_external_id:
                await _welcome(tx, record)
            return Written(record, PersonResolution("updated" if before.present else "revived"))
        case _:
            assert_never(done)


# ------------------------------------------------------------------ what is said


async def _asserted(tx: TenantTx, source_id: SourceId, given: PersonValues, standing: Record | None) -> Asserted:
    """What the source says, once it says what is given; of all else, what `standing` says."""
    values: dict[str, Value] = {field.name: None for field in FIELDS} if standing is None else dict(standing.values)
    for field in FIELDS:
        value = getattr(given, field.name)
        if value is not UNSET:
            values[field.name] = value
            if isinstance(value, str) and (field.keyed or field.name == "manager_ref"):
                _check_size(field.name, value)
    if isinstance(given.manager_ref, str):
        values["manager_ref"] = await _manager_key(tx, source_id, given.manager_ref)
    active = given.active if given.active is not UNSET else standing is None or standing.asserted_active
    external_id = None if standing is None else standing.scim_external_id
    if isinstance(given, PersonInput) and given.external_id is not UNSET:
        external_id = given.external_id
        _check_size("external_id", external_id or "")
    return Asserted(values, active, external_id)


# What an index can hold. Folding makes some characters many times as long.
_MOST_BYTES: Final = 2_000


def _check_size(name: str, value: str) -> None:
    if len(fold(value).encode()) > _MOST_BYTES or len(value.encode()) > _MOST_BYTES:
        raise BadBody(f"{name}: this is longer than the {_MOST_BYTES} bytes that can be looked for.", field=name)


_BY_EXTERNAL_ID: Final = """
SELECT external_id FROM source_record
WHERE tenant_id = $1 AND source_id = $2 AND scim_external_id = $3 AND present"""
_BY_PERSON: Final = """
SELECT external_id FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND person_id = $3 AND present LIMIT 1"""


async def _manager_key(tx: TenantTx, source_id: SourceId, named: str) -> str:
    """The key of the manager's record, who is named by the client's id or ours; the name itself where there is none."""
    key: str | None = await tx.fetchval(_BY_EXTERNAL_ID, tx.tenant_id, source_id, named)
    if key is None and (person_id := parse_id(named)) is not None:
        key = await tx.fetchval(_BY_PERSON, tx.tenant_id, source_id, person_id)
    return named if key is None else key


async def _welcome(tx: TenantTx, record: Record) -> None:
    """Has those who named this record as their manager before it came now mean it."""
    named = [one for one in (record.scim_external_id, str(record.person_id)) if one not in {None, record.external_id}]
    for report in await _reports_to(tx, record.source_id, named):
        values = {**report.values, "manager_ref": record.external_id}
        said = Asserted(values, report.asserted_active, report.scim_external_id, report.raw)
        await actions.assert_record(tx, report, said)


async def _reports_to(tx: TenantTx, source_id: SourceId, named: list[str | None]) -> list[Record]:
    rows = await tx.fetch(
        f"""SELECT {queries.RECORD} FROM source_record r
        WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.manager_ref = ANY($3) AND r.present
        ORDER BY r.resource_id FOR UPDATE""",
        *(tx.tenant_id, source_id, named),
    )
    return [queries.record_of(row) for row in rows]


# ------------------------------------------------------------------ whom it is about


async def _present(tx: TenantTx, source_id: SourceId, external_id: str) -> Record | None:
    found = await queries.records_named(tx, source_id, None, external_id)
    return found[0] if found and found[0].present else None


async def _locked(tx: TenantTx, source_id: SourceId, person_id: UUID, seen: Seen) -> tuple[PersonId, Record | None]:
    """The person, after a merge the one who is left, and the source's record of them; both locked, the record first, as
    everywhere.
    """
    person = await survivor(tx, person_id)
    while person is not None:
        record = await _record_of(tx, source_id, person)
        await _lock_person(tx, person, seen)
        now = await survivor(tx, person)
        if now == person:
            # Somebody may have made one while we waited.
            return person, record or await _record_of(tx, source_id, person)
        # They were merged while we waited: it is about whom they are now.
        person = now
    raise no_such_person()


async def _record_of(tx: TenantTx, source_id: SourceId, person_id: PersonId) -> Record | None:
    """The source's record of a person: the present one, or else the latest."""
    row = await tx.fetchrow(
        f"""SELECT {queries.RECORD} FROM source_record r
        WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.person_id = $3
        ORDER BY r.present DESC, r.updated_at DESC, r.resource_id LIMIT 1 FOR UPDATE""",
        *(tx.tenant_id, source_id, person_id),
    )
    return None if row is None else queries.record_of(row)


async def _lock_person(tx: TenantTx, person_id: PersonId, seen: Seen) -> None:
    row = await tx.fetchrow(
        "SELECT version, merged_into FROM person WHERE tenant_id = $1 AND person_id = $2 FOR UPDATE",
        *(tx.tenant_id, person_id),
    )
    if row is None:
        raise no_such_person()
    if row["merged_into"] is None:
        seen(row["version"])
