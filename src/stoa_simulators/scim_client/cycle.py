"""Provisioning cycles: compare who should have an account with what was last pushed, and send the difference.

A full cycle asks the server about everybody, as after "restart provisioning"; a delta cycle sends only what changed.
Only active workers are assigned. An object that failed is tried again by the next cycle, for it is only remembered
once pushed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final

from stoa_simulators.company import Company, Person, Status
from stoa_simulators.scim_client.dialect import Dialect
from stoa_simulators.scim_client.group_cycle import GroupCycle
from stoa_simulators.scim_client.groups import Group
from stoa_simulators.scim_client.memory import Account, CycleReport, Directory, GroupMode, Mode
from stoa_simulators.scim_client.profile import Profile, profile_of
from stoa_simulators.scim_client.wire import Refused, ScimWire

ERRORS_KEPT: Final = 5
FAILURES_IN_A_ROW: Final = 50

Progress = Callable[[int, int], None]
Task = Callable[[], Awaitable[None]]


async def run_cycle(
    company: Company,
    dialect: Dialect,
    directory: Directory,
    wire: ScimWire,
    *,
    mode: Mode,
    concurrency: int = 8,
    leaver_lag_days: int = 0,
    unassigned: Collection[str] = (),
    groups: Mapping[str, Group] = MappingProxyType({}),
    group_mode: GroupMode = GroupMode.DELTA,
    progress: Progress | None = None,
) -> CycleReport:
    """Push the company as it is now. `leaver_lag_days` is how long the provider goes on treating leavers as active;
    `unassigned` are employee ids that the application is not assigned to, whoever works there.

    `progress` is told (done, total) after each object. What the server refuses is counted and reported; when it refuses
    the connection test nothing more is sent, and everybody counts as failed.
    """
    began = time.monotonic()
    report = CycleReport(mode)
    wanted = {person.employee_id: profile_of(company, person) for person in _assigned(company, leaver_lag_days)}
    for employee_id in unassigned:
        wanted.pop(employee_id, None)
    report.people = len(wanted)
    try:
        await dialect.test_connection(wire)
    except Refused as refused:
        report.failed, report.errors, report.stopped = len(wanted), [str(refused)], True
    else:
        cycle = _Cycle(dialect, directory, wire, report, company.today, progress)
        await cycle.work(list(cycle.tasks(wanted)), concurrency)
        if dialect.links_managers and not report.stopped:
            await cycle.work(list(cycle.links(wanted)), concurrency)
        if group_mode is not GroupMode.NONE and not report.stopped:
            pushed = GroupCycle(dialect.groups, directory, wire, report, group_mode)
            await cycle.work(list(pushed.tasks(groups)), concurrency)
    report.requests, report.retries = wire.requests, wire.retries
    report.seconds = round(time.monotonic() - began, 3)
    return report


def _assigned(company: Company, lag: int) -> Iterator[Person]:
    """Active workers, and leavers the provider has not heard of yet."""
    yield from company.with_status(Status.ACTIVE)
    if lag:
        oldest = company.today - timedelta(days=lag)
        gone = company.with_status(Status.TERMINATED)
        yield from (person for person in gone if person.termination_date and person.termination_date > oldest)


@dataclass(slots=True)
class _Cycle:
    """One run: decides per person, sends, remembers what was accepted."""

    dialect: Dialect
    directory: Directory
    wire: ScimWire
    report: CycleReport
    today: date
    progress: Progress | None
    done: int = 0
    total: int = 0
    failures_in_a_row: int = 0

    async def work(self, tasks: list[Task], concurrency: int) -> None:
        """Run the tasks, `concurrency` at a time, in order; stops taking new ones after too many failures in a row."""
        self.total += len(tasks)
        queue = iter(tasks)

        async def worker() -> None:
            for task in queue:
                if self.report.stopped:
                    return
                await self._attempt(task)

        async with asyncio.TaskGroup() as group:
            for _ in range(max(1, min(concurrency, len(tasks)))):
                group.create_task(worker())

    async def _attempt(self, task: Task) -> None:
        try:
            await task()
            self.failures_in_a_row = 0
        except Refused as refused:
            self.report.failed += 1
            self.failures_in_a_row += 1
            self.report.stopped = self.failures_in_a_row >= FAILURES_IN_A_ROW
            if len(self.report.errors) < ERRORS_KEPT:
                self.report.errors.append(str(refused))
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)

    def tasks(self, wanted: dict[str, Profile]) -> Iterator[Task]:
        """What to do for each person; nothing for those who are as they were pushed."""
        for employee_id, profile in wanted.items():
            account = self.directory.accounts.get(employee_id)
            if account is None:
                yield lambda e=employee_id, p=profile: self._assign(e, p)
            elif not account.active:
                yield lambda e=employee_id, a=account, p=profile: self._reactivate(e, a, p)
            elif account.profile != profile:
                yield lambda e=employee_id, a=account, p=profile: self._update(e, a, p)
            elif self.report.mode is Mode.FULL:
                yield lambda e=employee_id, p=profile: self._assign(e, p)
            else:
                self.report.unchanged += 1
        for employee_id, account in list(self.directory.accounts.items()):
            if employee_id in wanted:
                continue
            if account.active:
                yield lambda e=employee_id, a=account: self._deactivate(e, a)
            elif self._expired(account):
                yield lambda e=employee_id, a=account: self._delete(e, a)

    def links(self, wanted: dict[str, Profile]) -> Iterator[Task]:
        """Managers that are not yet set, or not to the right account; one whose manager has no account waits."""
        for employee_id, profile in wanted.items():
            account = self.directory.accounts.get(employee_id)
            manager = self.directory.accounts.get(profile.manager or "")
            if account is not None and manager is not None and account.manager != manager.scim_id:
                yield lambda e=employee_id, a=account, m=manager.scim_id: self._link(e, a, m)

    def _expired(self, account: Account) -> bool:
        days = self.dialect.deletes_after_days
        since = account.deactivated_on
        return days is not None and since is not None and since + timedelta(days=days) <= self.today

    async def _assign(self, employee_id: str, profile: Profile) -> None:
        if await self._adopted(employee_id, profile):
            return
        try:
            scim_id = await self.dialect.create(self.wire, profile)
        except Refused as refused:
            # A POST whose answer was lost may have been carried out: the repeated one is then a conflict.
            if refused.status == 409 and refused.attempts > 1 and await self._adopted(employee_id, profile):
                return
            raise
        self.directory.accounts[employee_id] = Account(scim_id, profile)
        self.report.created += 1

    async def _adopted(self, employee_id: str, profile: Profile) -> bool:
        """Whether the pre-check found the user, who is then brought to this profile."""
        found = await self.dialect.find(self.wire, profile)
        if found is None:
            return False
        sent = await self.dialect.adopt(self.wire, found, profile)
        known = self.directory.accounts.get(employee_id)
        manager = known.manager if known is not None and known.scim_id == found.scim_id else None
        self.directory.accounts[employee_id] = Account(found.scim_id, profile, manager=manager)
        self._count_update(sent)
        return True

    async def _update(self, employee_id: str, account: Account, profile: Profile) -> None:
        with _Forgetting(self.directory, employee_id):
            sent = await self.dialect.update(self.wire, account.scim_id, account.profile, profile)
        self.directory.accounts[employee_id] = replace(account, profile=profile)
        self._count_update(sent)

    def _count_update(self, sent: bool) -> None:
        if sent:
            self.report.updated += 1
        else:
            self.report.unchanged += 1

    async def _reactivate(self, employee_id: str, account: Account, profile: Profile) -> None:
        with _Forgetting(self.directory, employee_id):
            await self.dialect.reactivate(self.wire, account.scim_id, account.profile, profile)
        self.directory.accounts[employee_id] = Account(account.scim_id, profile, manager=account.manager)
        self.report.reactivated += 1

    async def _deactivate(self, employee_id: str, account: Account) -> None:
        with _Forgetting(self.directory, employee_id):
            await self.dialect.deactivate(self.wire, account.scim_id)
        self.directory.accounts[employee_id] = replace(account, active=False, deactivated_on=self.today)
        self.report.deactivated += 1

    async def _delete(self, employee_id: str, account: Account) -> None:
        with _Forgetting(self.directory, employee_id):
            await self.dialect.delete(self.wire, account.scim_id)
        del self.directory.accounts[employee_id]
        self.report.deleted += 1

    async def _link(self, employee_id: str, account: Account, manager: str) -> None:
        with _Forgetting(self.directory, employee_id):
            await self.dialect.link_manager(self.wire, account.scim_id, manager, account.manager is not None)
        self.directory.accounts[employee_id] = replace(account, manager=manager)
        self.report.managers_linked += 1


@dataclass(frozen=True, slots=True)
class _Forgetting:
    """Drops an account from memory when the server answers 404, so that the next cycle looks for the person afresh."""

    directory: Directory
    employee_id: str

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Refused) and error.status == 404:
            self.directory.accounts.pop(self.employee_id, None)
