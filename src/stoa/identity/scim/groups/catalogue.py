"""What a filter over groups may ask, and where the answers are stored. The alias of a group is `g`, $1 the tenant."""

from collections.abc import Mapping
from typing import Final

from stoa.identity.scim.lists.ordering import sort_keys
from stoa.identity.scim.model import GROUP_SCHEMA
from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Cost, Exists

CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID, cost=Cost.INDEXED),
        Attribute("externalId", case_exact=True, cost=Cost.INDEXED),
        Attribute("displayName", cost=Cost.INDEXED),
        Attribute(
            "members",
            AttrType.COMPLEX,
            multi_valued=True,
            sub_attributes=(
                Attribute("value", AttrType.UUID, cost=Cost.INDEXED),
                Attribute("type"),
                Attribute("display"),
            ),
        ),
        Attribute(
            "meta",
            AttrType.COMPLEX,
            sub_attributes=(
                Attribute("resourceType"),
                Attribute("created", AttrType.DATETIME),
                Attribute("lastModified", AttrType.DATETIME),
            ),
        ),
    ),
    schemas=(GROUP_SCHEMA,),
)

BINDING: Final[Binding] = {
    "id": Column("g.group_id"),
    "externalId": Column("g.scim_external_id"),
    "displayName": Column("g.display_name", "g.display_name_key"),
    "members": Exists(
        "group_member m JOIN source_record u ON u.tenant_id = $1 AND u.resource_id = m.resource_id",
        {
            "value": Column("m.resource_id"),
            "type": Column("'User'::text", "'user'::text"),
            "display": Column("u.display_name", "u.display_name_key"),
        },
        on="m.tenant_id = $1 AND m.group_id = g.group_id AND m.asserted",
    ),
    "meta.resourceType": Column("'Group'::text", "'group'::text"),
    "meta.created": Column("g.created_at"),
    "meta.lastModified": Column("g.updated_at"),
}
SORTS: Final[Mapping[str, str]] = sort_keys(CATALOGUE, BINDING, {})
