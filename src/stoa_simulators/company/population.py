"""A company on its first day: who works there, under whom, who is about to start and who has left."""

import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from stoa_simulators.company.person import Person, Status, WorkerType
from stoa_simulators.company.registry import Registry, draw_identity, placed
from stoa_simulators.company.structure import DEPARTMENTS, DEPARTMENTS_BY_DIVISION, DIVISIONS, EXECUTIVE, Department

SPAN: Final = 8
_LEAD_TITLES: Final = {2: "Manager", 3: "Director", 4: "Vice President"}


def blank(today: date) -> Person:
    """A worker with nothing but a hire date, from which every other is made."""
    return Person(
        employee_id="", wid="", given_name="", latin_given="", family_name="", preferred_name="", email="", phone="",
        title="", job_code="", department="", division="", cost_center="", location="", time_zone="", locale="",
        worker_type=WorkerType.EMPLOYEE, manager_employee_id=None, hire_date=today, termination_date=None,
        status=Status.ACTIVE, on_leave=False,
    )  # fmt: skip


def populate(rng: random.Random, registry: Registry, size: int, today: date) -> dict[str, Person]:
    """`size` active workers and future hires in a tree (worker i reports to worker (i-1)//8), and 3 % more who left.

    Only workers without reports are contingent or yet to start. Keys are employee ids, in order of hiring.
    """
    staff: list[Person] = []
    home: list[Department] = []
    for place in range(size):
        department = _department_of(place, home)
        home.append(department)
        manager = staff[(place - 1) // SPAN].employee_id if place else None
        leads = place * SPAN + 1 < size
        staff.append(_member(rng, registry, blank(today), department, manager, _grade(place, leads)))
    first_leaf = (size - 2) // SPAN + 1 if size > 1 else size
    _mark_future(rng, staff, first_leaf, today)
    former = [
        _former(rng, registry, staff, first_leaf, today) for _ in range(max(3, round(size * 0.03)) if size > 1 else 0)
    ]
    return {person.employee_id: person for person in [*staff, *former]}


def _department_of(place: int, home: list[Department]) -> Department:
    """The first is the executive office, the next eight lead a division each, theirs a department; the rest inherit."""
    if place == 0:
        return EXECUTIVE
    if place <= SPAN:
        return DEPARTMENTS_BY_DIVISION[DIVISIONS[(place - 1) % len(DIVISIONS)]][0]
    above = home[(place - 1) // SPAN]
    if place <= SPAN + SPAN * SPAN:
        group = DEPARTMENTS_BY_DIVISION[above.division]
        return group[(place - 1) % SPAN % len(group)]
    return above


def _grade(place: int, leads: bool) -> int:
    if place == 0:
        return 5
    if place <= SPAN:
        return 4
    if not leads:
        return 1
    return 3 if place <= SPAN + SPAN * SPAN else 2


def title_for(rng: random.Random, department: Department, grade: int) -> str:
    """A title that fits the grade."""
    if grade == 5:
        return "Chief Executive Officer"
    if grade == 1:
        return rng.choice(department.titles)
    return f"{_LEAD_TITLES[grade]}, {department.division if grade == 4 else department.name}"


def _member(
    rng: random.Random, registry: Registry, base: Person, department: Department, manager: str | None, grade: int
) -> Person:
    person = draw_identity(rng, registry, rng.choice(registry.sites), base)
    person = placed(person, department, title_for(rng, department, grade), grade)
    contingent = grade == 1 and rng.random() < 0.1
    return replace(
        person,
        manager_employee_id=manager,
        worker_type=WorkerType.CONTINGENT if contingent else WorkerType.EMPLOYEE,
        hire_date=base.hire_date - timedelta(days=rng.randint(30, 20 * 365)),
        on_leave=grade == 1 and rng.random() < 0.02,
    )


def _mark_future(rng: random.Random, staff: list[Person], first_leaf: int, today: date) -> None:
    """About 1 % of the staff, leaves of the tree, have yet to start: one tomorrow, the rest within four weeks."""
    if len(staff) - first_leaf < 5:
        return
    count = max(4, round(len(staff) * 0.01))
    for number, place in enumerate(rng.sample(range(first_leaf, len(staff)), count)):
        start = today + timedelta(days=1 if number == 0 else rng.randint(1, 28))
        staff[place] = replace(staff[place], status=Status.FUTURE, hire_date=start, on_leave=False)


def _former(rng: random.Random, registry: Registry, staff: list[Person], first_leaf: int, today: date) -> Person:
    """Someone who left within the past year, and reported to a manager who is still there."""
    manager = staff[rng.randrange(first_leaf)]
    person = joiner(rng, registry, manager, today)
    left = today - timedelta(days=rng.randint(5, 365))
    return replace(
        person,
        hire_date=left - timedelta(days=rng.randint(60, 3000)),
        termination_date=left,
        status=Status.TERMINATED,
    )


def joiner(rng: random.Random, registry: Registry, manager: Person, hire_date: date) -> Person:
    """A new active worker without reports, in the manager's department; one in ten is contingent."""
    department = DEPARTMENTS.get(manager.department, EXECUTIVE)
    person = draw_identity(rng, registry, rng.choice(registry.sites), blank(hire_date))
    return replace(
        placed(person, department, title_for(rng, department, 1), 1),
        manager_employee_id=manager.employee_id,
        worker_type=WorkerType.CONTINGENT if rng.random() < 0.1 else WorkerType.EMPLOYEE,
    )
