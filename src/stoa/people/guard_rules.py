"""From where on effects of single requests wait for an admin: the rule, its defaults and its words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from stoa.changes.model import Action, Reason
from stoa.kernel.problems import BadInput


class GuardKind(StrEnum):
    """What is guarded: loss of access, memberships that end, memberships that give a role."""

    DEACTIVATE = "deactivate"
    EMPTY_GROUP = "empty_group"
    GRANT_ROLE = "grant_role"


# The target of the run that collects what waits.
TARGET_OF: Final[Mapping[GuardKind, str]] = {
    GuardKind.DEACTIVATE: "person",
    GuardKind.EMPTY_GROUP: "group",
    GuardKind.GRANT_ROLE: "group",
}
# The code of the reason on that run. Whatever has the code joins the run as long as it is open.
CODE_OF: Final[Mapping[GuardKind, str]] = {
    GuardKind.DEACTIVATE: "deactivate_over_threshold",
    GuardKind.EMPTY_GROUP: "memberships_over_threshold",
    GuardKind.GRANT_ROLE: "roles_over_threshold",
}
LAST_ADMIN: Final = "last_admin"


@dataclass(frozen=True, slots=True)
class Guard:
    """How many effects of one kind a source may have without a person's consent.

    They wait when there are more than `floor` of them within the window and either more than `absolute` or more than
    `percent` of the population.

    Attributes:
        enabled: False lets everything pass, but for the last administrator's loss of access.
        window_minutes: how far back effects are counted.
    """

    enabled: bool = True
    absolute: int = 50
    percent: float = 10
    floor: int = 5
    window_minutes: int = 60

    @property
    def window(self) -> timedelta:
        """How far back effects are counted."""
        return timedelta(minutes=self.window_minutes)


# A person who loses access notices at once, and mostly by mistake of one mapping; a group that is emptied takes
# assignments with it; a role that is given lets people do what they should not.
DEFAULTS: Final[Mapping[GuardKind, Guard]] = {
    GuardKind.DEACTIVATE: Guard(absolute=50, percent=10, floor=10),
    GuardKind.EMPTY_GROUP: Guard(absolute=500, percent=50, floor=10),
    GuardKind.GRANT_ROLE: Guard(absolute=50, percent=20, floor=10),
}
MOST: Final = 1_000_000
LONGEST_WINDOW: Final = 24 * 60


def checked_guard(guard: Guard) -> Guard:
    """The guard, if its figures make sense. Raises BadInput."""
    if not (0 <= guard.absolute <= MOST and 0 <= guard.floor <= MOST):
        raise BadInput(f"A number is not between 0 and {MOST:,}.", hint="Give the number of people.")
    if not 0 <= guard.percent <= 100:
        raise BadInput("A share is between 0 and 100 per cent.", hint="100 leaves the number alone to decide.")
    if not 1 <= guard.window_minutes <= LONGEST_WINDOW:
        raise BadInput("The window is between 1 minute and 24 hours (1,440 minutes).", hint="An hour is 60.")
    return guard


def needs_population(guard: Guard, n: int) -> bool:
    """Whether it takes the population to tell if `n` are too many."""
    return guard.enabled and guard.floor < n <= guard.absolute and guard.percent < 100


def too_many(guard: Guard, n: int, population: int) -> bool:
    """Whether `n` effects within the window must wait.

    population: of which they are a part; 0 for one that no percentage can measure.
    """
    if not guard.enabled or n <= guard.floor:
        return False
    return n > guard.absolute or (population > 0 and 100 * n / population > guard.percent)


def over_threshold(kind: GuardKind, guard: Guard, n: int, population: int, source: str) -> Reason:
    """Why a run that collects what waits was opened.

    n: how many of the kind there were within the window. source: its name.
    """
    share = 100 * n / population if population else 0.0
    limit = (
        f"{share:.1f} % of {population:,} (limit {guard.percent:g} %)"
        if n <= guard.absolute
        else f"the limit is {guard.absolute:,}"
    )
    figures: dict[str, object] = {"count": n, "limit": guard.absolute, "window_minutes": guard.window_minutes}
    if kind is GuardKind.DEACTIVATE and population:
        figures |= {
            "action": str(Action.DEACTIVATE),
            "population": population,
            "percent": round(share, 1),
            "limit_percent": guard.percent,
        }
    return Reason(
        code=CODE_OF[kind],
        detail=f"{source} {_DID[kind]} {n:,} {_WHAT[kind]} within {guard.window_minutes} minutes: {limit}. From here "
        f"on {_KEPT[kind]}",
        hint="Compare with the identity provider. Approve the run if this is meant; otherwise mend the mapping there "
        "and reject the run, which puts back what was said.",
        figures=figures,
    )


_DID: Final[Mapping[GuardKind, str]] = {
    GuardKind.DEACTIVATE: "deactivated",
    GuardKind.EMPTY_GROUP: "ended",
    GuardKind.GRANT_ROLE: "gave",
}
_WHAT: Final[Mapping[GuardKind, str]] = {
    GuardKind.DEACTIVATE: "people",
    GuardKind.EMPTY_GROUP: "memberships of groups",
    GuardKind.GRANT_ROLE: "memberships that carry a role",
}
_KEPT: Final[Mapping[GuardKind, str]] = {
    GuardKind.DEACTIVATE: "people keep their access until somebody has decided.",
    GuardKind.EMPTY_GROUP: "members stay in their groups until somebody has decided.",
    GuardKind.GRANT_ROLE: "nobody gets the role until somebody has decided.",
}


def last_admin(who: str) -> Reason:
    """Why the last administrator's loss of access or role, which a client was told is done, waits. who: does it."""
    return _last_admin(who, "reject it, which puts back what was said")


def last_admin_of_plan(who: str) -> Reason:
    """Why a plan that takes access or role from the last administrator waits. who: would do it."""
    return _last_admin(who, "reject it, and nothing changes")


def _last_admin(who: str, otherwise: str) -> Reason:
    return Reason(
        code=LAST_ADMIN,
        detail=f"{who} would take access or the role admin from the last active person who has it. Nobody of the "
        "tenant could administer it any more, so this waits, whatever the thresholds say.",
        hint=f"Give another person the role admin first, then approve the run; or {otherwise}.",
    )
