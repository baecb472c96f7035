"""Column lists, derived from `fields`, in the forms in which statements need them.

Identifiers come from the code alone, never from input.
"""

from stoa.people.fields import FIELDS, KEY_COLUMNS, LATER_KEYED, PERSON_FIELDS

# What a record asserts, as it stands in a journal row.
RECORD_VALUES: tuple[str, ...] = tuple(f.name for f in FIELDS)
RECORD_COLUMNS: tuple[str, ...] = (
    "present", "asserted_active", "active", *RECORD_VALUES, *KEY_COLUMNS, "scim_external_id", "raw", "row_hash",
)  # fmt: skip
PERSON_COLUMNS: tuple[str, ...] = ("active", *PERSON_FIELDS, *KEY_COLUMNS)
# What is told of a person outside.
PERSON_VALUES: tuple[str, ...] = ("active", *PERSON_FIELDS, "manager_id")


def listed(columns: tuple[str, ...], alias: str = "") -> str:
    """`a, b, c`, each with the alias before it."""
    dot = f"{alias}." if alias else ""
    return ", ".join(f"{dot}{column}" for column in columns)


def assigned(columns: tuple[str, ...], alias: str) -> str:
    """`a = x.a, b = x.b`: the right-hand side of an UPDATE."""
    return ", ".join(f"{column} = {alias}.{column}" for column in columns)


def differ(columns: tuple[str, ...], one: str, other: str) -> str:
    """A condition: the two rows differ in any of the columns."""
    return f"({listed(columns, one)}) IS DISTINCT FROM ({listed(columns, other)})"


# Of a change `c`: what it does to the record, where a name that comes without its folded copy, which SQL cannot make,
# takes away the copy of the old name; and whether there is such a name.
_FORGOTTEN = " || ".join(
    f"""CASE WHEN c.after ? '{name}' THEN '{{"{name}_key": null}}' ELSE '{{}}' END::jsonb""" for name in LATER_KEYED
)
AFTER = f"({_FORGOTTEN} || c.after)"
LACKS_KEYS = " OR ".join(f"(c.after->>'{name}' IS NOT NULL AND c.after->>'{name}_key' IS NULL)" for name in LATER_KEYED)

# The planned changes of a batch, as `c`: $1 tenant, $2 run, $3 and $4 first and last ord. And the record of a change.
BATCH = "c.tenant_id = $1 AND c.run_id = $2 AND c.ord BETWEEN $3 AND $4 AND c.state = 'planned'"
RECORD_OF_CHANGE = "r.tenant_id = $1 AND r.source_id = c.source_id AND r.external_id = c.subject"
