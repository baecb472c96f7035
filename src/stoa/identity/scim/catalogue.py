"""What a filter over users may ask, and where the answers are stored. The alias of a source record is `r`."""

from collections.abc import Mapping
from typing import Final

from stoa.identity.scim.lists.ordering import sort_keys
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, USER_SCHEMA
from stoa.identity.scim.wire import FOLDED, FOLDED_ENTERPRISE, FOLDED_LISTS, FOLDED_TEXTS
from stoa.kernel.filters import (
    Attribute,
    AttrType,
    Binding,
    Catalogue,
    Column,
    Cost,
    Exists,
    JsonPath,
    json_elements,
)
from stoa.kernel.filters.binding import Scalar

_ENTERPRISE: Final = f"{ENTERPRISE_SCHEMA}:"
_NAMES: Final = tuple(path.removeprefix("name.") for path in FOLDED_TEXTS if path.startswith("name."))
_TEXTS: Final = tuple(path for path in FOLDED_TEXTS if "." not in path)


def _complex(name: str, *subs: Attribute, multi_valued: bool = False) -> Attribute:
    return Attribute(name, AttrType.COMPLEX, multi_valued=multi_valued, sub_attributes=subs)


def _list(name: str, subs: tuple[str, ...]) -> Attribute:
    texts = (Attribute(sub) for sub in subs)
    return _complex(name, *texts, Attribute("primary", AttrType.BOOLEAN), multi_valued=True)


CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID, cost=Cost.INDEXED),
        Attribute("externalId", case_exact=True, cost=Cost.INDEXED),
        Attribute("userName", cost=Cost.INDEXED),
        Attribute("displayName"),
        Attribute("active", AttrType.BOOLEAN),
        _complex("name", *(Attribute(name) for name in _NAMES)),
        *(Attribute(name) for name in _TEXTS),
        *(_list(name, subs) for name, subs in FOLDED_LISTS.items()),
        _complex(
            "groups",
            Attribute("value", AttrType.UUID, cost=Cost.INDEXED),
            Attribute("display", cost=Cost.INDEXED),
            Attribute("type"),
            multi_valued=True,
        ),
        _complex(
            "meta",
            Attribute("resourceType"),
            Attribute("created", AttrType.DATETIME),
            Attribute("lastModified", AttrType.DATETIME),
        ),
        Attribute(f"{_ENTERPRISE}employeeNumber"),
        *(Attribute(f"{_ENTERPRISE}{name}") for name in FOLDED_ENTERPRISE),
        _complex(f"{_ENTERPRISE}manager", Attribute("value", case_exact=True)),
    ),
    schemas=(USER_SCHEMA,),
)


def _json(path: tuple[str, ...], folded: str) -> JsonPath:
    return JsonPath("r.raw", path, (FOLDED, folded))


def _list_place(name: str, subs: tuple[str, ...]) -> Exists:
    """Elements are read from their folded copies, which say as much for every comparison."""
    columns: dict[str, Scalar] = {sub: JsonPath("e.item", (sub,), (sub,)) for sub in subs}
    columns["primary"] = JsonPath("e.item", ("primary",))
    return Exists(json_elements("r.raw", (FOLDED, name), "e", objects=True), columns)


BINDING: Final[Binding] = {
    "id": Column("r.resource_id"),
    "externalId": Column("r.scim_external_id"),
    "userName": Column("r.user_name", "r.user_name_key"),
    "displayName": Column("r.display_name", "r.display_name_key"),
    # As it is shown: a client that has taken it away reads none, and access stays as it was.
    "active": Column("(CASE WHEN r.raw -> 'active' IS NOT NULL THEN r.asserted_active END)"),
    **{f"name.{name}": _json(("name", name), f"name.{name}") for name in _NAMES},
    **{name: _json((name,), name) for name in _TEXTS},
    **{name: _list_place(name, subs) for name, subs in FOLDED_LISTS.items()},
    "groups": Exists(
        "group_member m JOIN person_group g ON g.tenant_id = $1 AND g.group_id = m.group_id AND g.present",
        {
            "value": Column("g.group_id"),
            "display": Column("g.display_name", "g.display_name_key"),
            "type": Column("'direct'::text", "'direct'::text"),
        },
        on="m.tenant_id = $1 AND m.resource_id = r.resource_id AND m.asserted",
    ),
    "meta.resourceType": Column("'User'::text", "'user'::text"),
    "meta.created": Column("r.created_at"),
    "meta.lastModified": Column("r.updated_at"),
    f"{_ENTERPRISE}employeeNumber": Column("r.employee_id", "r.employee_id_key"),
    **{f"{_ENTERPRISE}{name}": _json((ENTERPRISE_SCHEMA, name), name) for name in FOLDED_ENTERPRISE},
    f"{_ENTERPRISE}manager.value": Column("r.manager_ref"),
}

# Where the elements of the lists stand, for orders.
LISTS: Final = {name: ("r.raw", (FOLDED, name)) for name in FOLDED_LISTS}
SORTS: Final[Mapping[str, str]] = sort_keys(CATALOGUE, BINDING, LISTS)
