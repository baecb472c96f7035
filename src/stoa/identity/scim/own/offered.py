"""What holds in one tenant: the schemas of everybody, and its own extensions of users."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stoa.identity.scim.catalogue import BINDING, CATALOGUE, SORTS
from stoa.identity.scim.model import ResourceType, Schema
from stoa.identity.scim.schemas import USERS
from stoa.kernel.filters import Binding, Catalogue


@dataclass(frozen=True, slots=True, eq=False)
class Offered:
    """The schemas of a tenant, and what follows from them. One object for as long as nothing changes: what is worked
    out from it is remembered by it.

    Attributes:
        version: how often the tenant's own schemas were changed.
        own: the tenant's own extensions that are in use.
        users: users with all of their extensions.
        catalogue, binding: what filters over users may ask, and where the answers stand.
        sorts: what users can be ordered by.
    """

    version: int
    own: tuple[Schema, ...]
    users: ResourceType
    catalogue: Catalogue
    binding: Binding
    sorts: Mapping[str, str]


# A tenant that has no schemas of its own.
PLAIN: Final = Offered(0, (), USERS, CATALOGUE, BINDING, SORTS)
