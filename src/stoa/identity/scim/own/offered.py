"""What holds in one tenant: the schemas of everybody, its own extensions of users, and how its sources are answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stoa.identity.scim.answering.model import USUAL, Answering
from stoa.identity.scim.catalogue import BINDING, CATALOGUE, SORTS
from stoa.identity.scim.model import ResourceType, Schema
from stoa.identity.scim.schemas import USERS
from stoa.kernel.filters import Binding, Catalogue
from stoa.kernel.ids import SourceId


@dataclass(frozen=True, slots=True, eq=False)
class Offered:
    """The schemas of a tenant, and what follows from them. One object for as long as nothing changes: what is worked
    out from it is remembered by it.

    Attributes:
        version: how often the tenant's own schemas, or the answering of its sources, were changed.
        own: the tenant's own extensions that are in use.
        users: users with all of their extensions.
        catalogue, binding: what filters over users may ask, and where the answers stand.
        sorts: what users can be ordered by.
        answering: of the sources for which somebody has chosen; `answering_of` knows the others.
    """

    version: int
    own: tuple[Schema, ...]
    users: ResourceType
    catalogue: Catalogue
    binding: Binding
    sorts: Mapping[str, str]
    answering: Mapping[SourceId, Answering] = field(default_factory=dict[SourceId, Answering])

    def answering_of(self, source_id: SourceId) -> Answering:
        """How a source is answered."""
        return self.answering.get(source_id, USUAL)


# A tenant that has no schemas of its own.
PLAIN: Final = Offered(0, (), USERS, CATALOGUE, BINDING, SORTS)
