"""What a tenant can choose of how one of its identity providers is answered."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class GroupPatch(StrEnum):
    """How a PATCH of a group is answered; RFC 7644, 3.5.2 leaves the choice."""

    NO_CONTENT = "no_content"
    GROUP = "group"


class Strangers(StrEnum):
    """What becomes of members of a group who are no users of the source: refused, or awaited."""

    REFUSE = "refuse"
    AWAIT = "await"


@dataclass(frozen=True, slots=True)
class Answering:
    """How a source is answered."""

    group_patch: GroupPatch = GroupPatch.NO_CONTENT
    strangers: Strangers = Strangers.REFUSE

    @property
    def awaits(self) -> bool:
        """Whether members who are not here yet are awaited."""
        return self.strangers is Strangers.AWAIT


USUAL: Final = Answering()
