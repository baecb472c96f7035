"""A copy of a tenant's people, rebuilt from the events of its log alone."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from stoa.changes.rendering import render_changes
from stoa.db.database import Database
from stoa.events.model import StoredEvent
from stoa.events.queries import read_events
from stoa.kernel.ids import TenantId
from stoa.people.columns import PERSON_VALUES
from stoa.people.fields import to_json

from .grouping import roles_in

Copy = dict[str, dict[str, Any]]
# What stands where nothing was told yet; everything else is None.
_NOTHING: dict[str, Any] = {"roles": []}


def follow(copy: Copy, kind: str, subject: str, body: Mapping[str, Any]) -> None:
    """What a consumer does with an event: nothing else of the envelope is needed."""
    if not kind.startswith("person."):
        return
    before: dict[str, Any] | None = body["before"]
    after: dict[str, Any] | None = body["after"]
    if after is None:
        del copy[subject]
        return
    if before is None:
        assert subject not in copy, f"{subject} is made twice"
    person = copy.setdefault(subject, {})
    for name, value in (before or {}).items():
        # Whoever missed an event notices it here.
        assert person.get(name, _NOTHING.get(name)) == value, (kind, subject, name)
    person.update(after)
    for name in [name for name, value in person.items() if value == _NOTHING.get(name)]:
        del person[name]


async def events_of(database: Database, tenant_id: TenantId, *, page: int = 100) -> list[StoredEvent]:
    """The whole log."""
    found: list[StoredEvent] = []
    while True:
        async with database.tenant(tenant_id) as tx:
            more = await read_events(tx, len(found), page, render_changes)
        found += more
        if len(more) < page:
            assert [event.seq for event in found] == list(range(1, len(found) + 1))
            return found


async def people_of(database: Database, tenant_id: TenantId) -> Copy:
    """The people as the database has them, in the form in which events tell of them."""
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch("SELECT * FROM person WHERE tenant_id = $1 AND merged_into IS NULL", tenant_id)
        held = await roles_in(tx)
    people = {str(row["person_id"]): {n: _plain(row[n]) for n in PERSON_VALUES if row[n] is not None} for row in rows}
    for person_id, roles in held.items():
        people[str(person_id)]["roles"] = sorted(roles)
    return people


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else to_json(value)


async def rebuilt(database: Database, tenant_id: TenantId, *, page: int = 100) -> Copy:
    """The people as the log tells of them."""
    copy: Copy = {}
    for event in await events_of(database, tenant_id, page=page):
        follow(copy, event.type, event.subject, event.body)
    return copy
