"""What a search for people looks for: a beginning, folded, in each of the columns that have an index for it.

Under row-level security an index answers a range of a stored key and little else, so a search has an arm for each
column instead of one condition over all of them. An arm stops after a thousand people: nobody reads further, and a
search for one letter is as quick as any.
"""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from stoa.kernel.filters import successor
from stoa.kernel.fold import fold
from stoa.kernel.ids import parse_id

MOST_FOUND: Final = 1_000
_COLUMNS: Final = ("display_name_key", "family_name_key", "user_name_key", "email_key", "employee_id_key")
_FAMILY: Final = "family_name_key"
Bind = Callable[[object], str]


@dataclass(frozen=True, slots=True)
class Beginning:
    """People whose `column` begins with `text`, and whose display name has `besides` in it, if that is given."""

    column: str
    text: str
    besides: str | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """Who is looked for: anybody whom one of the arms finds.

    Attributes:
        person_id: the id of a person or of one of their SCIM resources, if that is what was typed.
    """

    arms: tuple[Beginning, ...]
    person_id: UUID | None = None

    def sql(self, where: str, *, first_param: int, most: int = MOST_FOUND) -> tuple[str, list[object]]:
        """`WITH found AS (...)` with `arm` and `person_id`, and its parameters.

        where: what else must hold of `p`. most: how many people each arm finds, and one more where there are more.
        """
        params: list[object] = []

        def bind(value: object) -> str:
            params.append(value)
            return f"${first_param + len(params) - 1}"

        arms = [*(self._beginning(arm, bind) for arm in self.arms), *self._ids(bind)]
        selects = [
            f"(SELECT {n} AS arm, p.person_id FROM {start} WHERE {where} AND {condition} {order}LIMIT {most + 1})"
            for n, (start, condition, order) in enumerate(arms)
        ]
        return f"WITH found AS MATERIALIZED ({' UNION ALL '.join(selects)})\n", params

    @staticmethod
    def _beginning(arm: Beginning, bind: Bind) -> tuple[str, str, str]:
        column = f"p.{arm.column}"
        condition, after = f"{column} >= {bind(arm.text)}", successor(arm.text)
        if after is not None:
            condition += f" AND {column} < {bind(after)}"
        if arm.besides is not None:
            condition += f" AND strpos(p.display_name_key, {bind(arm.besides)}) > 0"
        return "person p", condition, f"ORDER BY {column} "

    def _ids(self, bind: Bind) -> Iterator[tuple[str, str, str]]:
        if self.person_id is not None:
            yield "person p", f"p.person_id = {bind(self.person_id)}", ""
            record = f"r.tenant_id = $1 AND r.resource_id = {bind(self.person_id)}"
            yield f"source_record r JOIN person p ON p.person_id = r.person_id AND {record}", "TRUE", ""


def found_by(text: str) -> Search | None:
    """What `text` looks for; None when it says nothing.

    Two words are also a given and a family name, in either order: `ann smi` finds Smith, Ann.
    """
    # No text of the database holds a NUL; there is no character that two names would share less.
    folded = " ".join(fold(text).replace("\0", "\uffff").split())
    if not folded:
        return None
    arms = [Beginning(column, folded) for column in _COLUMNS]
    first, _, rest = folded.partition(" ")
    if rest:
        most, _, last = folded.rpartition(" ")
        arms += [Beginning(_FAMILY, last, most), Beginning(_FAMILY, first, rest)]
    return Search(tuple(arms), parse_id(text.strip()))
