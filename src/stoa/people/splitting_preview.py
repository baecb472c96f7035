"""What the split of a merge would bring back, before anybody says so."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId, ResourceId, SourceId
from stoa.people.authority import authority
from stoa.people.fields import BY_NAME, PERSON_FIELDS, from_json
from stoa.people.merging_model import CannotSplit, FieldPreview, Identity, Returning
from stoa.people.merging_picks import PICKED
from stoa.people.merging_queries import merge_by_run
from stoa.people.recompute import linked_records
from stoa.people.redirects import survivor
from stoa.people.rules import Linked, effective
from stoa.people.splitting import Link, links_back

_RECORDS: Final = """
SELECT r.resource_id, r.source_id, r.external_id, r.scim_external_id, r.present, r.active FROM source_record r
WHERE r.tenant_id = $1 AND r.resource_id = ANY($2)"""
# What a pick said, what was said before it, and whether it still stands there.
_PICKS: Final = """
SELECT f.name, coalesce(to_jsonb(r)->f.name, 'null') = f.value AS same, c.before IS NULL AS made, r.resource_id,
  c.before->f.name AS was
FROM change c CROSS JOIN LATERAL jsonb_each(c.after) AS f(name, value)
LEFT JOIN source_record r ON r.tenant_id = $1 AND r.source_id = c.source_id AND r.external_id = c.subject
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.reason = $3 AND f.name = ANY($4) ORDER BY f.name"""


async def split_preview(tx: TenantTx, run_id: UUID) -> Returning:
    """What splitting a merge would do.

    Raises:
        NoSuchMerge, CannotSplit.
    """
    merge = await merge_by_run(tx, run_id)
    if merge.state == "split":
        raise CannotSplit(
            "This merge was split before.",
            hint="The list of merges shows when and by whom.",
            split_run=str(merge.split_run),
        )
    links = await links_back(tx, merge.run_id, splits=True)
    rows = await tx.fetch(_PICKS, tx.tenant_id, merge.run_id, PICKED, [*PERSON_FIELDS, "active"])
    # Of a record that stood there already: what it goes back to.
    was = {(row["resource_id"], row["name"]): row["was"] for row in rows if row["same"] and not row["made"]}
    picks = [row for row in rows if row["name"] != "active"]
    withdrawn = [row["name"] for row in picks if row["same"]]
    kept = [row["name"] for row in picks if not row["same"]]
    # A record that picks made goes as a whole, or stays as a whole where anything of it was changed.
    made = [row["resource_id"] for row in picks if row["made"]]
    known = await _known(tx, links)
    whose = await survivor(tx, merge.survivor_id) or merge.survivor_id
    return Returning(
        merge,
        whose,
        back=[known[one.resource_id] for one in links if one.code is None and one.resource_id in known],
        staying=[(known.get(one.resource_id), one.subject, one.code) for one in links if one.code is not None],
        withdrawn=[] if made and kept else withdrawn,
        kept=withdrawn + kept if made and kept else kept,
        fields=await _fields(tx, whose, links, set() if kept else set(made), was),
    )


async def _known(tx: TenantTx, links: list[Link]) -> dict[UUID, Identity]:
    rows = await tx.fetch(_RECORDS, tx.tenant_id, [one.resource_id for one in links])
    return {
        row["resource_id"]: Identity(
            ResourceId(row["resource_id"]), SourceId(row["source_id"]), row["external_id"], row["scim_external_id"],
            row["present"], row["active"], "absorbed",
        )
        for row in rows
    }  # fmt: skip


async def _fields(
    tx: TenantTx, whose: PersonId, links: list[Link], gone: set[UUID], was: Mapping[tuple[UUID, str], Any]
) -> list[FieldPreview]:
    ranking = (await authority(tx)).ranking
    records = await linked_records(tx, whose)
    back = {one.resource_id for one in links if one.code is None}
    now = effective(records, ranking)
    after = [_as_it_was(one, was) for one in records]
    stays = effective([one for one in after if one.resource_id not in back | gone], ranking)
    goes = effective([one for one in after if one.resource_id in back], ranking)
    named = [("active", now.active, goes.active, stays.active)]
    named += [(name, now.values[name], goes.values[name], stays.values[name]) for name in PERSON_FIELDS]
    return [FieldPreview(*one) for one in named]


def _as_it_was(record: Linked, was: Mapping[tuple[UUID, str], Any]) -> Linked:
    told = {name: value for (resource_id, name), value in was.items() if resource_id == record.resource_id}
    active = bool(told.pop("active", record.active))
    values = {name: from_json(BY_NAME[name], value) for name, value in told.items()}
    return replace(record, active=active, values={**record.values, **values})
