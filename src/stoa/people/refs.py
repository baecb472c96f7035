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
    # A chain of merges is followed link by link, so that each can be split by itself.
    Reference("person", "merged_into", OnMerge.KEEP, OnErase.DELETE),
    # What was merged, by whom and why, stays as it was.
    Reference("person_merge", "survivor_id", OnMerge.KEEP, OnErase.PSEUDONYMISE),
    Reference("person_merge", "absorbed_id", OnMerge.KEEP, OnErase.PSEUDONYMISE),
    # Pairs of the absorbed person wait for a split; what was dismissed of them is dismissed of the survivor.
    Reference("duplicate_pair", "person_a", OnMerge.COMBINE, OnErase.DELETE),
    Reference("duplicate_pair", "person_b", OnMerge.COMBINE, OnErase.DELETE),
    # Made anew from the records, which have moved.
    Reference("duplicate_key", "person_id", OnMerge.COMBINE, OnErase.DELETE),
    # A person, or a source: who was never to be merged still is not, by either id.
    Reference("merge_bar", "of_id", OnMerge.KEEP, OnErase.DELETE),
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
