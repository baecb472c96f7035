"""Which of the values that a client has just sent are not in effect, and why: so that it is never left wondering."""

from collections.abc import Iterable, Mapping
from typing import Final

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import SourceId
from stoa.people.authority import authority
from stoa.people.dates import tenant_today
from stoa.people.explaining import MANAGER, Access, Explained, Stance, explain, explain_access
from stoa.people.model import Record
from stoa.people.recompute import linked_records
from stoa.people.wire_write import Overruled

ACTIVE: Final = "active"


async def overruled(tx: TenantTx, record: Record, sent: Iterable[str]) -> list[Overruled]:
    """Fields of `sent` whose value in effect is not what `record` says, in their order.

    record: as it is after the change.
    """
    wanted = list(sent)
    if not wanted:
        return []
    records = await linked_records(tx, record.person_id)
    ranking = (await authority(tx)).ranking
    explained = explain(records, ranking)
    found = {name: _field(record, explained[name]) for name in wanted if name in explained}
    if ACTIVE in wanted:
        asserted = {one.resource_id: one.active for one in records} | {record.resource_id: record.asserted_active}
        today = await tenant_today(tx)
        found[ACTIVE] = _access(record, explain_access(records, ranking.get(ACTIVE, ()), asserted, today))
    names = await _source_names(tx, (source for one in found.values() if one is not None for source in one[:1]))
    return [_said(name, found[name], names) for name in wanted if found.get(name) is not None]


_Word = tuple[SourceId | None, str]


def _field(record: Record, field: Explained) -> _Word | None:
    """Whose word counts in place of the record's, and why; None where the record's is in effect."""
    own = next((word for word in field.words if word.resource_id == record.resource_id), None)
    if own is None:
        return None if field.winner is None else (field.winner.source_id, "{source} says something of it.")
    if own.held:
        return own.source_id, "A hold stands in the way: an admin of the tenant releases or rejects it."
    if field.name == MANAGER and own.value is None:
        return None, "Your source has no record of this manager yet."
    if not own.differs or field.winner is None:
        return None
    return field.winner.source_id, "{source} has more authority over it."


_BECAUSE: Final[Mapping[Stance, str]] = {
    Stance.NOT_STARTED: "Their hire date has not come, says {source}.",
    Stance.ENDED: "Their termination date is past, says {source}.",
    Stance.HELD: "A hold stands in the way: an admin of the tenant releases or rejects it.",
}


def _access(record: Record, access: Access) -> _Word | None:
    if access.active == record.asserted_active:
        return None
    if access.active:
        return record.source_id, "The word of your source does not count for access."
    word = access.words[0]
    return word.source_id, _BECAUSE.get(word.stance, "{source} says that they are not active.")


_NAMES: Final = "SELECT source_id, name FROM source WHERE tenant_id = $1 AND source_id = ANY($2)"


async def _source_names(tx: TenantTx, sources: Iterable[SourceId | None]) -> Mapping[SourceId, str]:
    wanted = [one for one in sources if one is not None]
    if not wanted:
        return {}
    return {row["source_id"]: row["name"] for row in await tx.fetch(_NAMES, tx.tenant_id, wanted)}


def _said(field: str, word: _Word | None, names: Mapping[SourceId, str]) -> Overruled:
    assert word is not None
    source_id, detail = word
    source = None if source_id is None else names[source_id]
    return Overruled(field, source, detail.replace("{source}", source or ""))
