"""The company as the simulators see it: its people today, and a clock that moves by whole days."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

from stoa_simulators.company.day import Day
from stoa_simulators.company.person import Event, EventKind, Person, Status
from stoa_simulators.company.population import populate
from stoa_simulators.company.registry import Registry


class Company:
    """A company drawn from (`seed`, `slug`, `size`, `start`): the same four give the same people and days anywhere.

    `size` counts the active workers and future hires of the first day. `people` maps employee id to worker and keeps
    everybody who ever was there. `today` is a calendar date without a zone, as in an HR system.
    """

    def __init__(self, *, slug: str, name: str, seed: int, size: int, domain: str, start: date) -> None:
        if size < 1:
            raise ValueError("a company has at least one person")
        self.slug = slug
        self.name = name
        self.domain = domain
        self.seed = seed
        self.today = start
        self.events: list[Event] = []
        rng = random.Random(f"{seed}/{slug}/people")
        self._registry = Registry(rng, domain)
        self._days = 0
        self._willed = 0
        self.people: dict[str, Person] = populate(rng, self._registry, size, start)

    def advance(self, days: int) -> list[Event]:
        """Live through `days` whole days; returns what happened, oldest first, and adds it to `events`."""
        if days < 1:
            raise ValueError("time moves forward by whole days")
        happened: list[Event] = []
        for _ in range(days):
            self._days += 1
            self.today += timedelta(days=1)
            rng = random.Random(f"{self.seed}/{self.slug}/day/{self._days}")
            happened += Day(rng, self._registry, self.people, self.today).run()
        self.events += happened
        return happened

    def happen(self, kind: EventKind, employee_id: str | None = None) -> list[Event]:
        """One thing that somebody wants to see, today: joined, moved, renamed, left or rehired. Returns what happened
        and adds it to `events`. Raises ValueError for a worker it cannot happen to.
        """
        rng = random.Random(f"{self.seed}/{self.slug}/willed/{self._willed + 1}")
        happened = Day(rng, self._registry, self.people, self.today).one(kind, employee_id)
        self._willed += 1
        self.events += happened
        return happened

    def with_status(self, *statuses: Status) -> Iterator[Person]:
        """Workers in any of these statuses, in order of first hiring."""
        return (person for person in self.people.values() if person.status in statuses)

    def counts(self) -> dict[str, int]:
        """How many workers there are in each status; a status nobody is in counts 0."""
        counter = Counter(person.status for person in self.people.values())
        return {status.value: counter[status] for status in Status}
