"""Where people are referred to in this room, and in the journal below it, which knows no person by name."""

from typing import Final

from stoa.kernel.references import OnErase, OnMerge, Reference

REFERENCES: Final[tuple[Reference, ...]] = (
    # A link is what a merge changes.
    Reference("source_record", "person_id", OnMerge.MOVE, OnErase.DELETE),
    # Effective values: recomputed from the records, which have moved.
    Reference("person", "manager_id", OnMerge.COMBINE, OnErase.KEEP),
    # They follow from the groups of the records, which have moved.
    Reference("person_role", "person_id", OnMerge.COMBINE, OnErase.DELETE),
    Reference("person", "merged_into", OnMerge.MOVE, OnErase.DELETE),
    Reference("hold", "person_id", OnMerge.MOVE, OnErase.DELETE),
    # The journal tells what was done to whom at that time; its values are personal data.
    Reference("change", "person_id", OnMerge.KEEP, OnErase.PSEUDONYMISE),
    Reference("effect", "person_id", OnMerge.KEEP, OnErase.PSEUDONYMISE),
    # An id alone: by it a copy of the list of people learns that they went.
    Reference("removed_person", "person_id", OnMerge.KEEP, OnErase.KEEP),
    Reference("decision", "candidates", OnMerge.KEEP, OnErase.PSEUDONYMISE),
    # Whom an admin chose, until the source's next try: then it is whoever is left.
    Reference("decision", "verdict_person", OnMerge.MOVE, OnErase.PSEUDONYMISE),
)
