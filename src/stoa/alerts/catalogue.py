"""What a filter over alerts may ask. The alias of an alert is `a`."""

from typing import Final

from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Operator

# Words of ours are compared as they are spelt, and in no order: "critical" comes before "info" in the alphabet alone.
_WORD: Final = frozenset({Operator.EQ, Operator.NE})

CATALOGUE: Final = Catalogue(
    (
        Attribute("state", case_exact=True, operators=_WORD),
        Attribute("severity", case_exact=True, operators=_WORD),
        Attribute("kind", case_exact=True),
        Attribute("owner_email"),
        Attribute("first_at", AttrType.DATETIME),
        Attribute("last_at", AttrType.DATETIME),
        Attribute("occurrences", AttrType.INTEGER),
        Attribute("run_id", AttrType.UUID),
    )
)

BINDING: Final[Binding] = {
    "state": Column("a.state"),
    "severity": Column("a.severity"),
    "kind": Column("a.kind"),
    # Rows of an older version have no key, and are compared as they are.
    "owner_email": Column("a.owner_email", 'coalesce(a.owner_key, a.owner_email COLLATE "C")'),
    "first_at": Column("a.first_at"),
    "last_at": Column("a.last_at"),
    "occurrences": Column("a.occurrences"),
    "run_id": Column("a.run_id"),
}
