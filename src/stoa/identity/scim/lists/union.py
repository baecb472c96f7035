"""Searches over several kinds of resource: an attribute that a kind does not have, has no value there (RFC 7644,
3.4.2.1).
"""

from functools import lru_cache
from typing import Final

from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Exists
from stoa.kernel.filters.binding import Scalar

_TYPES: Final = {
    AttrType.BOOLEAN: "boolean",
    AttrType.INTEGER: "numeric",
    AttrType.DECIMAL: "numeric",
    AttrType.DATETIME: "timestamptz",
    AttrType.DATE: "date",
    AttrType.UUID: "uuid",
}


@lru_cache(maxsize=64)
def united(catalogues: tuple[Catalogue, ...]) -> Catalogue:
    """What a filter over all of them may name. Of an attribute that several have, the first one's stands."""
    attributes: dict[str, Attribute] = {}
    schemas: set[str] = set()
    for catalogue in catalogues:
        schemas |= catalogue.schemas
        for attribute in catalogue.attributes:
            attributes.setdefault(attribute.name.lower(), attribute)
    return Catalogue(attributes.values(), schemas=schemas)


def binding_within(binding: Binding, catalogue: Catalogue) -> Binding:
    """A kind's binding with places that are always empty for what else the catalogue has."""
    places: dict[str, Scalar | Exists] = dict(binding)
    for attribute in catalogue.attributes:
        if attribute.multi_valued:
            columns: dict[str, Scalar] = {one.name: _nothing(one) for one in attribute.members()}
            places.setdefault(attribute.name, Exists("(SELECT 1) AS nothing", columns, on="FALSE"))
        elif attribute.type is AttrType.COMPLEX:
            for sub in attribute.sub_attributes:
                places.setdefault(f"{attribute.name}.{sub.name}", _nothing(sub))
        else:
            places.setdefault(attribute.name, _nothing(attribute))
    return places


def _nothing(attribute: Attribute) -> Column:
    null = f"NULL::{_TYPES.get(attribute.type, 'text')}"
    return Column(null, null)
