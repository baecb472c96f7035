"""How the budget of a window is divided into blocks, and what a block lets through. Pure.

A window is a minute by the clock. A process takes a block of a window's quota at a time and lets requests through from
it. What it has not used when the window ends, or when the process ends, is nobody's.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

WINDOW_SECONDS: Final = 60
TENANT_PER_MINUTE: Final = 6_000
CLIENT_PER_MINUTE: Final = 1_200
HIGHEST_PER_MINUTE: Final = 10_000_000
# A small quota is not leased one by one.
_SMALLEST: Final = 5
# A block is at most this part of the quota (one in twenty is 5 %) ...
_PART: Final = 20
# ... and at most this part of what is left, so that the last requests are not held by a process nobody asks.
LAST_PART: Final = 8


def window_at(at: float) -> int:
    """The number of the window at a moment (seconds since 1970 by the clock on the wall)."""
    return int(at // WINDOW_SECONDS)


def seconds_left(window: int, at: float) -> int:
    """Whole seconds until a window ends, rounded up; at least 1."""
    return max(1, ceil((window + 1) * WINDOW_SECONDS - at))


def block_of(quota: int) -> int:
    """How much of a quota a process takes at a time: one second's worth, at least 5, at most 5 % of it."""
    return max(1, min(max(quota // WINDOW_SECONDS, _SMALLEST), quota // _PART))


@dataclass(frozen=True, slots=True)
class Standing:
    """What the holder of a budget is told of it.

    Attributes:
        name: `client` or `tenant`.
        quota: requests (units of cost) in a window.
        window: its length in seconds.
        remaining: what is left of it, as far as this process knows.
        reset_in: whole seconds until the next window; at least 1.
    """

    name: str
    quota: int
    window: int
    remaining: int
    reset_in: int


@dataclass(frozen=True, slots=True)
class Block:
    """What a process holds of one budget.

    Attributes:
        window: in which it may be used.
        quota: of that window, for all processes together.
        leased: what all processes had taken when this one last asked. It never falls within a window.
        held: what this process has taken and not used.
    """

    window: int
    quota: int
    leased: int
    held: int

    @property
    def remaining(self) -> int:
        """What is left as far as this process knows."""
        return self.held + max(0, self.quota - self.leased)

    def price(self, cost: int) -> int:
        """What is taken for a cost: one that is higher than the whole quota takes the whole quota."""
        return min(cost, self.quota)

    def lets(self, cost: int) -> bool | None:
        """Whether it lets a cost through; None when more must be leased to know."""
        price = self.price(cost)
        if self.held >= price:
            return True
        return False if self.remaining < price else None

    def spent(self, cost: int) -> "Block":
        """After a cost that it let through."""
        return Block(self.window, self.quota, self.leased, self.held - self.price(cost))

    def refilled(self, window: int, quota: int, leased: int, granted: int) -> "Block":
        """After a lease. What was held of an earlier window is void."""
        return Block(window, quota, leased, granted + (self.held if window == self.window else 0))

    def standing(self, name: str, at: float) -> Standing:
        """What its holder is told."""
        return Standing(name, self.quota, WINDOW_SECONDS, self.remaining, seconds_left(self.window, at))
