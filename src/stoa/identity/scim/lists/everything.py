"""The search over all kinds of resource at once, at the root (RFC 7644, 3.4.2.1 and 3.4.3)."""

from typing import Any

from stoa.identity.scim import users
from stoa.identity.scim.groups import endpoint as groups
from stoa.identity.scim.http import Answer, Call
from stoa.identity.scim.lists import searching
from stoa.identity.scim.lists.listed import Listed
from stoa.identity.scim.lists.searching import from_body


def kinds(call: Call) -> tuple[Listed[Any], ...]:
    """Every kind of resource that there is, in the order in which they are listed."""
    return (users.listed(call.offered), groups.LISTED)


async def search(call: Call) -> Answer:
    """GET / with a filter over resources of all kinds."""
    return await searching.search(call, kinds(call))


async def search_by_post(call: Call) -> Answer:
    """POST /.search: the query stands in the body."""
    return await search(from_body(call))
