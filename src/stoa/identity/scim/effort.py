"""How much of the process's time the filters in one request's paths may take.

They are evaluated here, element by element, and nobody else is answered meanwhile. A request of a megabyte could have
them compared for minutes; what clients send comes to a thousandth of what is permitted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stoa.identity.scim.errors import ScimType, bad
from stoa.identity.scim.model import Operation
from stoa.identity.scim.validation import MAX_ELEMENTS, is_list, is_object

# Characters of a filter times the elements that it is asked of: about a quarter of a second.
MOST_EFFORT: Final = 4_000_000


@dataclass(slots=True)
class Effort:
    """What is left for one request; all operations of a bulk request share it."""

    left: int = MOST_EFFORT

    def spend(self, effort: int) -> None:
        """Raises ScimError tooMany when it is used up."""
        self.left -= effort
        if self.left < 0:
            detail = "The filters in the paths of this request compare too many values. Send fewer operations at once."
            raise bad(ScimType.TOO_MANY, detail)


def effort_of(document: Mapping[str, Any], operations: Sequence[Operation]) -> int:
    """What the filters in the paths of these operations cost at most, upon this document."""
    filters = sum(len(one.path) for one in operations if one.path is not None and "[" in one.path)
    if not filters:
        return 0
    standing = _longest(document)
    given = sum(max(1, _longest(one.value)) for one in operations)
    return filters * min(MAX_ELEMENTS, standing + given)


def _longest(value: Any) -> int:
    """How many elements the longest list in a value has, as far as attributes nest."""
    if is_list(value):
        return len(value)
    return max(map(_longest, value.values()), default=0) if is_object(value) else 0
