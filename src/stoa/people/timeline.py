"""The journal of one person, newest first."""

# ruff: noqa: S608 - a constant of the code; every value is a bound parameter

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stoa.changes.model import Action, Change, RunKind
from stoa.changes.queries import STATE
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.cursors import Position, number_mark, read_position
from stoa.kernel.ids import PersonId
from stoa.people.redirects import ABSORBED

_LAST_ORD: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Event:
    """A change of one of the person's records, and the kind of run that it belongs to.

    state: how it stands; `stale` where its run was given up before it came to it.
    """

    change: Change
    run_kind: RunKind
    state: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Some changes, and where the next page begins; None at the end."""

    rows: Sequence[Event]
    next: Position | None


# What was journalled of people who were merged into this one stays theirs (`refs`).
MERGED: Final = ABSORBED
# What is told of a change `c` of a run `r`, by name.
_TOLD: Final[Mapping[str, str]] = {
    **{name: f"c.{name}" for name in Change.__dataclass_fields__},
    "state": STATE,
    "kind": "r.kind",
    "given_up": "r.state IN ('stale', 'errored')",
}
TOLD: Final = tuple(_TOLD)
TOLD_OF: Final = ", ".join(_TOLD.values())
TOLD_AS: Final = ", ".join(f"{told} AS {name}" for name, told in _TOLD.items())
JOURNAL: Final = "change c JOIN run r ON r.tenant_id = $1 AND r.run_id = c.run_id"
_EVENTS: Final = f"""
SELECT {TOLD_AS} FROM {JOURNAL}
WHERE c.tenant_id = $1 AND c.person_id {{of}} AND c.ord < $3 ORDER BY c.ord DESC LIMIT $4"""


async def timeline(tx: TenantTx, person_id: PersonId, *, after: Position | None = None, limit: int = 25) -> Timeline:
    """A page of what was planned for or done to a person's records. Raises BadCursor for a position that is none."""
    merged = [row["person_id"] for row in await tx.fetch(MERGED, tx.tenant_id, person_id)]
    # One person's changes are read in the order of the index; those of several would have to be sorted.
    of, who = ("= ANY($2)", [person_id, *merged]) if merged else ("= $2", person_id)
    before = (_LAST_ORD,) if after is None else read_position(after, number_mark())
    rows = await tx.fetch(_EVENTS.format(of=of), tx.tenant_id, who, *before, limit + 1)
    return timeline_of(rows, limit)


def timeline_of(rows: Sequence[Row | Mapping[str, Any]], limit: int) -> Timeline:
    """The timeline of rows that have what TOLD names; one row more than `limit` says that there are further ones."""
    found: list[Event] = []
    for row in rows[:limit]:
        state = "stale" if row["given_up"] and row["state"] == "planned" else row["state"]
        values = {name: row[name] for name in Change.__dataclass_fields__ if name != "action"}
        found.append(Event(Change(**values, action=Action(row["action"])), RunKind(row["kind"]), state))
    return Timeline(found, (found[-1].change.ord,) if len(rows) > limit else None)
