"""One day in a company: the decisions, in an order that never leaves anybody without a manager."""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from stoa_simulators.company.names import draw_name
from stoa_simulators.company.person import Event, EventKind, Person, Status, WorkerType, changes_between
from stoa_simulators.company.population import joiner, title_for
from stoa_simulators.company.registry import Registry, draw_wid, placed
from stoa_simulators.company.structure import DEPARTMENTS, SITES

DAILY_RATES: Final = {
    EventKind.LEFT: 0.002,
    EventKind.REHIRED: 0.0005,
    EventKind.CONVERTED: 0.0005,
    EventKind.RENAMED: 0.001,
    EventKind.MOVED: 0.005,
    EventKind.JOINED: 0.003,
    EventKind.ANNOUNCED: 0.001,
}
_SURE_FROM: Final = 50
_LEADER_LEAVES: Final = 0.1


class Day:
    """The work of one day on `people`, which it changes in place. Each worker is chosen for one thing a day at most."""

    def __init__(self, rng: random.Random, registry: Registry, people: dict[str, Person], today: date) -> None:
        self.events: list[Event] = []
        self._rng = rng
        self._registry = registry
        self._people = people
        self._today = today
        self._touched: set[str] = set()
        self._reports: dict[str, list[str]] = defaultdict(list)
        for person in people.values():
            if person.status is not Status.TERMINATED and person.manager_employee_id:
                self._reports[person.manager_employee_id].append(person.employee_id)
        self._headcount = sum(person.status is Status.ACTIVE for person in people.values())

    def run(self) -> list[Event]:
        """Leavers first, so that nobody is put under a manager who goes; newcomers last."""
        self._leave()
        self._start()
        self._rehire()
        self._convert()
        self._rename()
        self._move()
        self._join()
        self._announce()
        return self.events

    def one(self, kind: EventKind, employee_id: str | None) -> list[Event]:
        """One thing that somebody wants to see, and what follows from it. Without an id anybody it can happen to is
        chosen. Raises ValueError for a worker it cannot happen to, and for what does not happen at will.
        """
        if kind is EventKind.JOINED:
            self._joined(self._managers())
            return self.events
        gone = [person for person in self._people.values() if person.status is Status.TERMINATED]
        pool = gone if kind is EventKind.REHIRED else self._active()
        chosen = [person for person in pool if employee_id in (None, person.employee_id)]
        if not chosen:
            raise ValueError(f"there is no worker {employee_id or ''} to whom {kind.value} can happen")
        person = self._rng.choice(chosen)
        match kind:
            case EventKind.LEFT:
                self._left(person)
            case EventKind.REHIRED:
                self._rehired(person, self._managers())
            case EventKind.RENAMED:
                self._renamed(person)
            case EventKind.MOVED:
                self._moved(person, self._managers())
            case _:
                raise ValueError(f"{kind.value} does not happen at will")
        return self.events

    def _count(self, kind: EventKind) -> int:
        """How often something happens today; in companies from 50 active workers on, at least once."""
        expected = self._headcount * DAILY_RATES[kind]
        if self._headcount >= _SURE_FROM:
            return max(1, round(expected))
        return int(self._rng.random() < expected)

    def _pick(self, candidates: Iterable[Person], count: int) -> list[Person]:
        pool = [person for person in candidates if person.employee_id not in self._touched]
        chosen = self._rng.sample(pool, min(count, len(pool)))
        self._touched.update(person.employee_id for person in chosen)
        return chosen

    def _active(self) -> list[Person]:
        """Active workers except the chief executive, who stays and changes nothing."""
        return [p for p in self._people.values() if p.status is Status.ACTIVE and p.manager_employee_id is not None]

    def _managers(self) -> list[Person]:
        """Active workers with reports; the chief executive when there is no other."""
        leads = [p for p in self._people.values() if p.status is Status.ACTIVE and self._reports.get(p.employee_id)]
        below = [person for person in leads if person.manager_employee_id is not None]
        top = [p for p in self._people.values() if p.status is Status.ACTIVE and p.manager_employee_id is None]
        return below or leads or top

    def _write(self, after: Person, kind: EventKind, reason: str) -> None:
        before = self._people.get(after.employee_id)
        changes = changes_between(before, after) if before else ()
        self._people[after.employee_id] = after
        self.events.append(Event(self._today, kind, after.employee_id, reason, changes))

    def _leave(self) -> None:
        """One by one: the reports of a leaver go to the leaver's own manager, who is therefore still there."""
        for _ in range(self._count(EventKind.LEFT)):
            leads = self._rng.random() < _LEADER_LEAVES
            pool = [p for p in self._active() if bool(self._reports.get(p.employee_id)) is leads]
            person = next(iter(self._pick(pool or self._active(), 1)), None)
            if person is None:
                return
            self._left(person)

    def _left(self, person: Person) -> None:
        gone = replace(person, status=Status.TERMINATED, termination_date=self._today, on_leave=False)
        self._write(gone, EventKind.LEFT, self._rng.choice(("resignation", "end of contract", "redundancy")))
        heir = person.manager_employee_id or ""
        self._reports[heir].remove(person.employee_id)
        for report_id in self._reports.pop(person.employee_id, []):
            self._reports[heir].append(report_id)
            orphan = replace(self._people[report_id], manager_employee_id=heir)
            self._write(orphan, EventKind.MOVED, "manager left")

    def _start(self) -> None:
        """Future hires whose day has come; when none is due a company of 50 and more brings the next one forward."""
        future = [person for person in self._people.values() if person.status is Status.FUTURE]
        due = [person for person in future if person.hire_date <= self._today]
        if not due and future and self._headcount >= _SURE_FROM:
            due = [min(future, key=lambda person: (person.hire_date, person.employee_id))]
        for person in due:
            self._touched.add(person.employee_id)
            begun = replace(person, status=Status.ACTIVE, hire_date=self._today)
            self._write(begun, EventKind.STARTED, "first day")

    def _rehire(self) -> None:
        """Same employee id, new Workday id, a manager of today."""
        gone = (p for p in self._people.values() if p.status is Status.TERMINATED and p.termination_date != self._today)
        managers = self._managers()
        for person in self._pick(gone, self._count(EventKind.REHIRED)):
            self._rehired(person, managers)

    def _rehired(self, person: Person, managers: list[Person]) -> None:
        manager = self._rng.choice(managers)
        back = replace(
            person,
            wid=draw_wid(self._rng),
            status=Status.ACTIVE,
            hire_date=self._today,
            termination_date=None,
            manager_employee_id=manager.employee_id,
        )
        self._write(back, EventKind.REHIRED, "rehire")

    def _convert(self) -> None:
        """A contingent worker becomes an employee: new Workday id and hire date, same employee id."""
        contingent = (person for person in self._active() if person.worker_type is WorkerType.CONTINGENT)
        for person in self._pick(contingent, self._count(EventKind.CONVERTED)):
            hired = replace(person, wid=draw_wid(self._rng), worker_type=WorkerType.EMPLOYEE, hire_date=self._today)
            self._write(hired, EventKind.CONVERTED, "contingent worker became employee")

    def _rename(self) -> None:
        """A new family name and, with it, a new mail address."""
        for person in self._pick(self._active(), self._count(EventKind.RENAMED)):
            self._renamed(person)

    def _renamed(self, person: Person) -> None:
        culture = next(site.culture for site in SITES if site.name == person.location)
        family = draw_name(self._rng, culture)[1]
        while family.native == person.family_name:
            family = draw_name(self._rng, culture)[1]
        email = self._registry.email(person.latin_given, family.latin)
        self._write(replace(person, family_name=family.native, email=email), EventKind.RENAMED, "marriage")

    def _move(self) -> None:
        managers = self._managers()
        for person in self._pick(self._active(), self._count(EventKind.MOVED)):
            self._moved(person, managers)

    def _moved(self, person: Person, managers: list[Person]) -> None:
        leads = bool(self._reports.get(person.employee_id))
        transfer = None if leads else self._transfer(person, managers)
        if transfer is not None and self._rng.random() < 0.5:
            self._write(transfer, EventKind.MOVED, "transfer")
        elif leads or self._rng.random() < 0.5:
            self._write(self._relocated(person), EventKind.MOVED, "relocation")
        else:
            self._write(self._promoted(person), EventKind.MOVED, "promotion")

    def _transfer(self, person: Person, managers: list[Person]) -> Person | None:
        """To another manager's department. Only workers without reports transfer, so no cycle can arise."""
        away = [m for m in managers if m.department != person.department and m.department in DEPARTMENTS]
        if not away:
            return None
        manager = self._rng.choice(away)
        department = DEPARTMENTS[manager.department]
        moved = placed(person, department, title_for(self._rng, department, 1), 1)
        return replace(moved, manager_employee_id=manager.employee_id)

    def _relocated(self, person: Person) -> Person:
        site = self._rng.choice([site for site in self._registry.sites if site.name != person.location])
        return replace(person, location=site.name, time_zone=site.time_zone)

    def _promoted(self, person: Person) -> Person:
        title = person.title.removeprefix("Lead ")
        raised = f"Lead {title}" if title == person.title else title
        return replace(person, title=raised, job_code=f"{person.job_code[:-1]}{'8' if raised != title else '1'}")

    def _join(self) -> None:
        managers = self._managers()
        for _ in range(self._count(EventKind.JOINED)):
            self._joined(managers)

    def _joined(self, managers: list[Person]) -> None:
        person = joiner(self._rng, self._registry, self._rng.choice(managers), self._today)
        if sum(p.worker_type is WorkerType.CONTINGENT for p in self._active()) < 3:
            person = replace(person, worker_type=WorkerType.CONTINGENT)
        self._write(person, EventKind.JOINED, "new hire")

    def _announce(self) -> None:
        managers = self._managers()
        for _ in range(self._count(EventKind.ANNOUNCED)):
            start = self._today + timedelta(days=self._rng.randint(2, 28))
            person = joiner(self._rng, self._registry, self._rng.choice(managers), start)
            self._write(replace(person, status=Status.FUTURE), EventKind.ANNOUNCED, "future hire")
