"""Users who come, and whom groups of their source await: they become members by the ordinary way."""

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import SourceId
from stoa.people import groups_queries as queries
from stoa.people.groups_actions import change_group
from stoa.people.groups_awaited import groups_awaiting, member_name
from stoa.people.groups_model import Delta, MemberName
from stoa.people.model import Record


async def admit(tx: TenantTx, source_id: SourceId, record: Record) -> int:
    """Puts a user who was made, is back, or bears another external id into the groups that await them, and gives how
    many those were. Weighed, journaled and told as if the source had added them now.

    Whoever serves a source that keeps awaited members calls this, and has called `lock_awaited` before. Records that
    are made by other ways, such as the API or a report, come into no group by it: the source's next push of the group
    finds them.
    """
    found = await groups_awaiting(tx, source_id, record.resource_id, record.scim_external_id)
    # All of them first, in their order: another transaction may want the same ones.
    groups = [await queries.group_for_change(tx, source_id, group_id) for group_id in found]
    named: set[MemberName] = {record.resource_id}
    if record.scim_external_id is not None:
        named.add(member_name(record.scim_external_id))
    for group in groups:
        assert group is not None
        await change_group(tx, group, None, Delta(add=frozenset({record.resource_id}), came=frozenset(named)))
    return len(groups)
