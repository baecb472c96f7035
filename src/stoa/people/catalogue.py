"""What a filter over people may ask, and where the answers are stored. The alias of a person is `p`, $1 the tenant."""

from typing import Final

from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Cost, Exists, Operator

# Texts without a folded copy are compared as they are spelt: SQL cannot fold.
_AS_SPELT: Final = (
    *("given_name", "phone", "title", "job_code", "department", "division", "cost_center", "organization", "location"),
    *("worker_type", "time_zone", "locale"),
)
_FOLDED: Final = ("display_name", "family_name", "user_name", "email", "employee_id")
_DATES: Final = ("hire_date", "termination_date")

CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID, cost=Cost.INDEXED),
        *(Attribute(name, cost=Cost.INDEXED) for name in _FOLDED),
        Attribute("active", AttrType.BOOLEAN),
        *(Attribute(name, case_exact=True) for name in _AS_SPELT),
        *(Attribute(name, AttrType.DATE) for name in _DATES),
        Attribute("manager_id", AttrType.UUID, cost=Cost.INDEXED),
        Attribute("created_at", AttrType.DATETIME),
        Attribute("updated_at", AttrType.DATETIME, cost=Cost.INDEXED),
        # Groups as they count: while a change of one waits for an admin, what was before.
        Attribute(
            "groups",
            AttrType.COMPLEX,
            multi_valued=True,
            sub_attributes=(
                Attribute("value", AttrType.UUID, cost=Cost.INDEXED),
                Attribute("display", cost=Cost.INDEXED),
            ),
        ),
        # Roles that follow from them.
        Attribute(
            "roles",
            case_exact=True,
            multi_valued=True,
            operators=frozenset({Operator.EQ, Operator.NE, Operator.PR}),
            cost=Cost.INDEXED,
        ),
        # The names of the sources that have a record of the person in their latest word.
        Attribute("source", multi_valued=True, operators=frozenset({Operator.EQ, Operator.NE, Operator.PR})),
    )
)

BINDING: Final[Binding] = {
    "id": Column("p.person_id"),
    **{name: Column(f"p.{name}", f"p.{name}_key") for name in _FOLDED},
    "active": Column("p.active"),
    **{name: Column(f"p.{name}") for name in (*_AS_SPELT, *_DATES, "manager_id", "created_at", "updated_at")},
    "groups": Exists(
        """source_record r JOIN group_member m ON m.tenant_id = $1 AND m.resource_id = r.resource_id AND m.in_force
         JOIN person_group g ON g.tenant_id = $1 AND g.group_id = m.group_id""",
        {"value": Column("m.group_id"), "display": Column("g.display_name", "g.display_name_key")},
        on="r.tenant_id = $1 AND r.person_id = p.person_id",
    ),
    "roles": Exists(
        "person_role h",
        {"value": Column("h.role")},
        on="h.tenant_id = $1 AND h.person_id = p.person_id",
    ),
    "source": Exists(
        "source_record r JOIN source s ON s.tenant_id = $1 AND s.source_id = r.source_id",
        {"value": Column("s.name", "s.name_key")},
        on="r.tenant_id = $1 AND r.person_id = p.person_id AND r.present",
    ),
}
