"""How a tenant has a provider answered, chosen as its page does it."""

from stoa.db.database import Database
from stoa.identity.scim.answering.model import Answering, GroupPatch, Strangers
from stoa.identity.scim.answering.settings import answer_so
from tests.identity.conftest import Scim

AWAITING = Answering(strangers=Strangers.AWAIT)
REFUSING = Answering()
GIVING_BACK = Answering(GroupPatch.GROUP)
BOTH = Answering(GroupPatch.GROUP, Strangers.AWAIT)


async def answer(database: Database, scim: Scim, answering: Answering) -> None:
    """Has the client of a tenant answered so from now on."""
    async with database.tenant(scim.tenant_id) as tx:
        await answer_so(tx, scim.issued.source_id, answering)
