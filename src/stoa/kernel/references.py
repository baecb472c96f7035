"""How a room declares that one of its columns holds a person's id.

Merge, split, erase and export read these declarations; a catalogue test fails for a foreign key to person without one.
Each room exports them from its `refs.py` as `REFERENCES: tuple[Reference, ...]`. Foreign keys to person are immediate,
unless the room that deletes persons says so itself: a person whom another row refers to must refuse to go when asked,
not at the commit.
"""

from dataclasses import dataclass
from enum import Enum


class OnMerge(Enum):
    """What becomes of the row when its person is merged into another.

    MOVE: it names the survivor from then on. COMBINE: the room has rows of both to bring together. KEEP: it goes on
    naming the person who was, because it tells what happened.
    """

    MOVE = "move"
    COMBINE = "combine"
    KEEP = "keep"


class OnErase(Enum):
    """What becomes of the row when its person is erased.

    DELETE: it goes. PSEUDONYMISE: it stays without what tells who it was. KEEP: it stays; it says nothing of a person.
    """

    DELETE = "delete"
    PSEUDONYMISE = "pseudonymise"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Reference:
    """A column with a person's id. For an array of ids, each of its elements is one."""

    table: str
    column: str
    on_merge: OnMerge
    on_erase: OnErase
