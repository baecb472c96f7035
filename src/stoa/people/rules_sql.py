"""What `rules` says, as parts of SQL statements. Property tests hold the two together."""

from stoa.people.rules import UPDATE_REASONS


def in_force(alias: str, today: str) -> str:
    """`rules.in_force` of a row `alias` on the date that the expression `today` gives."""
    return (
        f"({alias}.asserted_active AND ({alias}.hire_date IS NULL OR {alias}.hire_date <= {today}) "
        f"AND ({alias}.termination_date IS NULL OR {alias}.termination_date >= {today}))"
    )


# The rest is about a row with `was` and `will`, the state in force before and after, and `d.after`, the columns that
# differ.
_ENDS = "was AND NOT will"
_STARTS = "will AND NOT was"

ACTION = f"CASE WHEN {_ENDS} THEN 'deactivate' WHEN {_STARTS} THEN 'reactivate' ELSE 'update' END"


def _reason() -> str:
    updates = " ".join(
        f"WHEN d.after ?| ARRAY[{', '.join(repr(name) for name in sorted(fields))}] THEN '{reason}'"
        for reason, fields in UPDATE_REASONS
    )
    return f"""CASE
    WHEN {_ENDS} AND d.after ? 'termination_date' AND NOT d.after ? 'asserted_active' THEN 'termination_date_passed'
    WHEN {_ENDS} THEN 'inactive_in_source'
    WHEN {_STARTS} AND d.after ? 'present' THEN 'returned_to_source'
    WHEN {_STARTS} THEN 'active_in_source'
    {updates} ELSE 'changed' END"""


REASON = _reason()
