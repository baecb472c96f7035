"""What filters over runs, and over the changes of one run, may ask. A run's alias is `r`, a change's `c`."""

from typing import Final

from stoa.changes.queries import STATE
from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Cost, Exists, Operator

# Words of ours are compared as they are spelt, and in no order.
_WORD: Final = frozenset({Operator.EQ, Operator.NE})
_WORDS: Final = _WORD | {Operator.PR}

RUNS: Final = Catalogue(
    (
        Attribute("kind", case_exact=True, operators=_WORD),
        Attribute("state", case_exact=True, operators=_WORD),
        Attribute("source"),
        Attribute("source_id", AttrType.UUID),
        Attribute("connection_id", AttrType.UUID),
        Attribute("actor", case_exact=True),
        Attribute("created_at", AttrType.DATETIME, cost=Cost.INDEXED),
        Attribute("finished_at", AttrType.DATETIME),
    )
)

_SOURCE: Final = "(SELECT s.{column} FROM source s WHERE s.tenant_id = r.tenant_id AND s.source_id = r.source_id)"

RUNS_BINDING: Final[Binding] = {
    "kind": Column("r.kind"),
    "state": Column("r.state"),
    "source": Column(_SOURCE.format(column="name"), _SOURCE.format(column="name_key")),
    "source_id": Column("r.source_id"),
    "connection_id": Column("r.connection_id"),
    "actor": Column("r.actor"),
    "created_at": Column("r.created_at"),
    "finished_at": Column("r.finished_at"),
}

CHANGES: Final = Catalogue(
    (
        Attribute("action", case_exact=True, operators=_WORD),
        Attribute("reason", case_exact=True, operators=_WORD | {Operator.SW}),
        Attribute("state", case_exact=True, operators=_WORD),
        Attribute("subject", case_exact=True),
        Attribute("person_id", AttrType.UUID, cost=Cost.INDEXED),
        Attribute("source_id", AttrType.UUID),
        # When it was planned, or, in a journal of single changes, made.
        Attribute("at", AttrType.DATETIME),
        # The names of the fields that the change touches.
        Attribute("field", case_exact=True, multi_valued=True, operators=_WORDS),
        # Fields that a change leaves alone, because somebody else has asserted them since.
        Attribute("left_alone", case_exact=True, multi_valued=True, operators=_WORDS),
    )
)

_CLASHES: Final = """jsonb_array_elements(
  CASE WHEN jsonb_typeof(c.note -> 'conflicts') = 'array' THEN c.note -> 'conflicts' ELSE '[]' END) AS f(item)"""

CHANGES_BINDING: Final[Binding] = {
    "action": Column("c.action"),
    "reason": Column("c.reason"),
    "state": Column(STATE),
    "subject": Column("c.subject"),
    "person_id": Column("c.person_id"),
    "source_id": Column("c.source_id"),
    "at": Column("c.at"),
    "left_alone": Exists(_CLASHES, {"value": Column("(f.item ->> 'field')")}),
    "field": Exists("jsonb_object_keys(coalesce(c.after, c.before)) AS f(name)", {"value": Column("f.name")}),
}
