"""Companies: the same from the same seed, sound every day, and never idle."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from stoa_simulators.company import Company, EventKind, Status, WorkerType, plan_companies
from stoa_simulators.company.names import CULTURES

Make = Callable[..., Company]


def test_same_seed_gives_the_same_people_and_days(make_company: Make) -> None:
    first, second = make_company(size=300), make_company(size=300)
    assert first.people == second.people
    assert first.advance(5) == second.advance(5)
    assert first.people == second.people


def test_days_lived_one_by_one_equal_days_lived_together(make_company: Make) -> None:
    first, second = make_company(size=120), make_company(size=120)
    first.advance(3)
    for _ in range(3):
        second.advance(1)
    assert first.people == second.people
    assert first.events == second.events


def test_another_seed_or_name_gives_other_people(make_company: Make) -> None:
    emails = [
        [person.email.partition("@")[0] for person in company.people.values()]
        for company in (make_company(), make_company(seed=8), make_company(slug="globex"))
    ]
    assert emails[0] != emails[1] != emails[2] != emails[0]


def test_another_process_draws_the_same_company(make_company: Make) -> None:
    program = (
        "from datetime import date\nfrom stoa_simulators.company import Company\n"
        "c = Company(slug='acme', name='Acme', seed=7, size=60, domain='acme.example', start=date(2026, 3, 2))\n"
        "c.advance(2)\nprint([(p.employee_id, p.email, p.wid) for p in c.people.values()])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "123", "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    company = make_company()
    company.advance(2)
    assert run.stdout.strip() == str([(p.employee_id, p.email, p.wid) for p in company.people.values()])


@pytest.mark.parametrize("size", [1, 2, 9, 50, 400])
def test_every_day_leaves_a_tree_without_cycles_or_gaps(make_company: Make, size: int) -> None:
    company = make_company(size=size)
    for _ in range(25):
        _assert_sound(company)
        company.advance(1)
    _assert_sound(company)


def _assert_sound(company: Company) -> None:
    listed = list(company.with_status(Status.ACTIVE, Status.FUTURE))
    assert sum(person.manager_employee_id is None for person in listed) == 1
    for person in listed:
        seen = {person.employee_id}
        above = person.manager_employee_id
        while above is not None:
            manager = company.people[above]
            assert manager.status is Status.ACTIVE
            assert above not in seen
            seen.add(above)
            above = manager.manager_employee_id
    for person in company.people.values():
        assert (person.termination_date is not None) == (person.status is Status.TERMINATED)
        assert (person.hire_date > company.today) == (person.status is Status.FUTURE)
    emails = [person.email for person in company.people.values()]
    assert len(set(emails)) == len(emails)
    assert all(email.isascii() and " " not in email for email in emails)


@pytest.mark.parametrize("size", [60, 1000])
def test_every_kind_of_event_happens_every_day_from_fifty_people_on(make_company: Make, size: int) -> None:
    company = make_company(size=size)
    for _ in range(10):
        assert {event.kind for event in company.advance(1)} == set(EventKind)


def test_a_thousand_people_move_at_the_stated_rates(make_company: Make) -> None:
    counts = Counter(event.kind for event in make_company(size=1000).advance(1))
    assert counts[EventKind.JOINED] == 3
    assert counts[EventKind.LEFT] == 2
    assert counts[EventKind.MOVED] >= 5


def test_events_change_what_they_say(make_company: Make) -> None:
    company = make_company(size=500)
    before = dict(company.people)
    for event in company.advance(1):
        old, new = before.get(event.employee_id), company.people[event.employee_id]
        changed = {change.field for change in event.changes}
        match event.kind:
            case EventKind.JOINED:
                assert old is None
                assert (new.status, new.hire_date) == (Status.ACTIVE, company.today)
            case EventKind.ANNOUNCED:
                assert old is None
                assert new.status is Status.FUTURE
            case EventKind.RENAMED:
                assert changed == {"family_name", "email"}
            case EventKind.LEFT:
                assert (new.status, new.termination_date) == (Status.TERMINATED, company.today)
            case EventKind.REHIRED:
                assert old is not None
                assert old.status is Status.TERMINATED
                assert {"wid", "status", "hire_date"} <= changed
                assert new.employee_id == old.employee_id
            case EventKind.CONVERTED:
                assert changed == {"wid", "worker_type", "hire_date"}
                assert new.worker_type is WorkerType.EMPLOYEE
            case EventKind.STARTED:
                assert old is not None
                assert (old.status, new.status) == (Status.FUTURE, Status.ACTIVE)
            case EventKind.MOVED:
                assert changed <= {
                    "department", "division", "cost_center", "title", "job_code", "location", "time_zone",
                    "manager_employee_id",
                }  # fmt: skip
                assert changed


def test_first_day_counts_active_and_future_as_the_size(make_company: Make) -> None:
    counts = make_company(size=500).counts()
    assert counts["active"] + counts["future"] == 500
    assert counts["future"] == 5
    assert counts["terminated"] == 15


def test_names_come_from_many_scripts_and_carry_awkward_marks(make_company: Make) -> None:
    names = "".join(p.given_name + p.family_name for p in make_company(size=2000).people.values())
    assert any("֐" <= letter <= "ࣿ" for letter in names)
    assert all(mark in names for mark in ("-", "'", " ", "é", "ł"))
    assert all(word.latin and word.latin.isascii() for c in CULTURES.values() for word in (*c.given, *c.family))


def test_time_moves_forward_only(make_company: Make) -> None:
    company = make_company()
    with pytest.raises(ValueError, match="forward"):
        company.advance(0)
    company.advance(2)
    assert company.today == make_company().today + timedelta(days=2)


@pytest.mark.parametrize(
    ("companies", "people"), [(30, 40_000), (30, 1_500), (1, 50), (3, 7), (10, 100_000), (45, 9_000)]
)
def test_sizes_add_up_and_stay_within_bounds(companies: int, people: int) -> None:
    plans = plan_companies(companies, people)
    sizes = [plan.size for plan in plans]
    assert sum(sizes) == people
    assert len({plan.slug for plan in plans}) == companies
    assert all(min(50, people // companies) <= size <= 10_000 for size in sizes)
    assert sizes == sorted(sizes, reverse=True)


def test_the_full_estate_has_one_flagship_and_many_small_companies() -> None:
    sizes = [plan.size for plan in plan_companies(30, 40_000)]
    assert sizes.count(10_000) == 1
    assert sum(size < 80 for size in sizes) >= 5


@pytest.mark.parametrize(("companies", "people"), [(0, 10), (5, 4), (2, 20_001)])
def test_numbers_that_cannot_be_met_are_refused(companies: int, people: int) -> None:
    with pytest.raises(ValueError, match="compan"):
        plan_companies(companies, people)
