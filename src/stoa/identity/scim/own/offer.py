"""A tenant's own extensions as the tables that validation, paths, filters, orders and discovery work by. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from stoa.identity.scim.answering.model import Answering
from stoa.identity.scim.catalogue import BINDING, CATALOGUE, SORTS
from stoa.identity.scim.lists.ordering import first_element, moment_in, sort_key
from stoa.identity.scim.model import USER_SCHEMA, Attribute, Kind, Mutability, ResourceType, Schema
from stoa.identity.scim.own.model import OwnAttribute, OwnSchema
from stoa.identity.scim.own.offered import Offered
from stoa.identity.scim.schemas import USERS
from stoa.identity.scim.wire import EXACT, FOLDED, MOMENT
from stoa.kernel.filters import Attribute as Filterable
from stoa.kernel.filters import AttrType, Catalogue, Column, Exists, JsonPath, json_elements
from stoa.kernel.filters.binding import Scalar, json_member
from stoa.kernel.ids import SourceId

_FILTER_TYPES: Final = {
    Kind.STRING: AttrType.STRING,
    Kind.BOOLEAN: AttrType.BOOLEAN,
    Kind.INTEGER: AttrType.INTEGER,
    Kind.DECIMAL: AttrType.DECIMAL,
    Kind.DATETIME: AttrType.DATETIME,
    Kind.REFERENCE: AttrType.REFERENCE,
    Kind.COMPLEX: AttrType.COMPLEX,
}
_ELEMENT: Final = "e.item"


def offered_of(version: int, own: Iterable[OwnSchema], answering: Mapping[SourceId, Answering]) -> Offered:
    """What a tenant offers that has these extensions, of which retired ones are passed over, and that has its sources
    answered so.
    """
    schemas = tuple(_schema(one) for one in own if one.retired_at is None)
    if not schemas:
        return Offered(version, (), USERS, CATALOGUE, BINDING, SORTS, answering)
    extensions = {**USERS.extensions, **{schema.urn.lower(): schema for schema in schemas}}
    users = ResourceType(USERS.name, USERS.endpoint, USERS.description, USERS.schema, extensions, USERS.implied)
    places: dict[str, Scalar | Exists] = dict(BINDING)
    sorts = dict(SORTS)
    found = [
        _bind(schema, attribute, places, sorts)
        for schema in schemas
        for attribute in schema.attributes
        if attribute.mutability is not Mutability.WRITE_ONLY
    ]
    catalogue = Catalogue((*CATALOGUE.attributes, *found), schemas=(USER_SCHEMA,))
    return Offered(version, schemas, users, catalogue, places, sorts, answering)


def _schema(own: OwnSchema) -> Schema:
    return Schema(own.urn, own.name, own.description, tuple(_attribute(one) for one in own.attributes))


def _attribute(own: OwnAttribute) -> Attribute:
    kind = Kind(own.type)
    return Attribute(
        own.name,
        own.description or own.name,
        kind,
        multi_valued=own.multi_valued,
        required=own.required,
        mutability=Mutability(own.mutability),
        case_exact=own.case_exact or kind is Kind.REFERENCE,
        canonical=own.canonical,
        references=("external",) if kind is Kind.REFERENCE else (),
        max_length=4000,
        sub_attributes=tuple(_attribute(sub) for sub in own.sub_attributes),
    )


def _bind(
    schema: Schema, attribute: Attribute, places: dict[str, Scalar | Exists], sorts: dict[str, str]
) -> Filterable:
    """The attribute as filters see it, and its places noted."""
    name = f"{schema.urn}:{attribute.name}"
    path = (FOLDED, schema.urn.lower(), attribute.name.lower())
    filterable = _filterable(attribute, name)
    if attribute.multi_valued:
        first = first_element("r.raw", path)
        columns: dict[str, Scalar] = {}
        for member in filterable.members():
            columns[member.name] = _place(_ELEMENT, (member.name.lower(),), member)
            sorts[f"{name}.{member.name}"] = sort_key(_place(first, (member.name.lower(),), member), member)
        places[name] = Exists(json_elements("r.raw", path, "e", objects=True), columns)
    elif filterable.sub_attributes:
        for sub in filterable.sub_attributes:
            place = places[f"{name}.{sub.name}"] = _place("r.raw", (*path, sub.name.lower()), sub)
            sorts[f"{name}.{sub.name}"] = sort_key(place, sub)
    else:
        place = places[name] = _place("r.raw", path, filterable)
        sorts[name] = sort_key(place, filterable)
    return filterable


def _filterable(attribute: Attribute, name: str) -> Filterable:
    return Filterable(
        name,
        _FILTER_TYPES[attribute.kind],
        case_exact=attribute.case_exact,
        multi_valued=attribute.multi_valued,
        sub_attributes=tuple(_filterable(sub, sub.name) for sub in attribute.sub_attributes),
    )


def _place(document: str, path: tuple[str, ...], attribute: Filterable) -> Scalar:
    """Where the copy of a value stands that is compared."""
    exact = (*path[:-1], EXACT + path[-1])
    match attribute.type:
        case AttrType.DATETIME:
            return Column(moment_in(json_member(document, (*path[:-1], MOMENT + path[-1]))))
        case AttrType.STRING if attribute.folded:
            return JsonPath(document, path, path)
        case AttrType.STRING | AttrType.REFERENCE:
            return JsonPath(document, exact)
        case _:
            return JsonPath(document, path)
