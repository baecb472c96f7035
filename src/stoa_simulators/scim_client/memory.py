"""What a provider remembers of one SCIM server, and what a cycle tells at its end."""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from stoa_simulators.scim_client.groups import GroupAccount
from stoa_simulators.scim_client.profile import Profile


class Mode(StrEnum):
    """How much a cycle looks at."""

    FULL = "full"
    DELTA = "delta"


class GroupMode(StrEnum):
    """What a cycle does about groups: nothing, what changed, or all of it as after "Push now"."""

    NONE = "none"
    DELTA = "delta"
    PUSH_NOW = "push_now"


@dataclass(frozen=True, slots=True)
class Account:
    """What was last pushed for a person. `manager` is the SCIM id sent as manager, for products that link."""

    scim_id: str
    profile: Profile
    active: bool = True
    deactivated_on: date | None = None
    manager: str | None = None


@dataclass(slots=True)
class Directory:
    """One provider's memory of one SCIM server: accounts by employee id, groups by the provider's own key."""

    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    groups: dict[str, GroupAccount] = field(default_factory=dict[str, GroupAccount])


@dataclass(slots=True)
class CycleReport:
    """Counts of objects; `requests` includes `retries`. `stopped` tells that too many failed in a row."""

    mode: Mode
    people: int = 0
    requests: int = 0
    retries: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deactivated: int = 0
    reactivated: int = 0
    deleted: int = 0
    managers_linked: int = 0
    groups_created: int = 0
    groups_changed: int = 0
    groups_unchanged: int = 0
    groups_deleted: int = 0
    members_added: int = 0
    members_removed: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list[str])
    stopped: bool = False
    seconds: float = 0.0
