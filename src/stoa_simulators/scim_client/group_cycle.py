"""Group push: compare who should be in a group with what was last pushed, and send the difference."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from stoa_simulators.scim_client.groups import Group, GroupAccount, GroupDialect, Member, Membership
from stoa_simulators.scim_client.memory import CycleReport, Directory, GroupMode, Mode
from stoa_simulators.scim_client.wire import Refused, ScimWire


@dataclass(frozen=True, slots=True)
class GroupCycle:
    """One run over the groups, after that over the people. A group that failed is tried again by the next."""

    dialect: GroupDialect
    directory: Directory
    wire: ScimWire
    report: CycleReport
    mode: GroupMode

    def tasks(self, wanted: Mapping[str, Group]) -> Iterator[Callable[[], Awaitable[None]]]:
        """What to do for each group, by the provider's own key."""
        for key, group in wanted.items():
            yield partial(self._push, key, group)
        for key, account in list(self.directory.groups.items()):
            if key not in wanted:
                yield partial(self._delete, key, account)

    async def _push(self, key: str, group: Group) -> None:
        try:
            await self._brought_up_to_date(key, group)
        except Refused as refused:
            if refused.status == 404:
                # The next cycle looks for the group afresh.
                self.directory.groups.pop(key, None)
            raise

    async def _brought_up_to_date(self, key: str, group: Group) -> None:
        account = self.directory.groups.get(key)
        # A full cycle tells the server again what it was told before.
        whole = self.mode is GroupMode.PUSH_NOW or (account is not None and self.report.mode is Mode.FULL)
        if account is None:
            found = await self.dialect.find_group(self.wire, group.name)
            whole = whole or found is not None
            scim_id = await self.dialect.create_group(self.wire, group) if found is None else found.scim_id
            account = GroupAccount(scim_id, group.name, {})
            self.report.groups_created += found is None
        members = self._members(group, account)
        change = self._change(account.members, members)
        renamed = account.name != group.name
        if renamed:
            after = [self._named(one, account.members[one]) for one in account.members]
            await self.dialect.rename_group(self.wire, account.scim_id, group.name, after)
        if whole:
            await self.dialect.push_now(self.wire, account.scim_id, group.name, change)
        elif change.added or change.removed:
            await self.dialect.change_members(self.wire, account.scim_id, group.name, change)
        self.directory.groups[key] = replace(account, name=group.name, members=members)
        self._count(change, changed=renamed or whole or bool(change.added or change.removed))

    def _members(self, group: Group, account: GroupAccount) -> dict[str, str]:
        """Whoever has an active account; where the product keeps them, inactive ones that were in it too."""
        members: dict[str, str] = {}
        for employee_id in sorted(group.members | account.members.keys()):
            known = self.directory.accounts.get(employee_id)
            if known is None:
                continue
            stays = employee_id in account.members and not known.active and self.dialect.keeps_inactive_members
            if stays or (known.active and employee_id in group.members):
                members[employee_id] = known.scim_id
        return members

    def _change(self, before: Mapping[str, str], after: Mapping[str, str]) -> Membership:
        return Membership(
            [self._named(one, after[one]) for one in after if before.get(one) != after[one]],
            # Of an account that was deleted the server knows nothing any more.
            [self._named(one, before[one]) for one in before if one not in after and self._is_known(one)],
            [self._named(one, after[one]) for one in after],
        )

    def _is_known(self, employee_id: str) -> bool:
        return employee_id in self.directory.accounts

    def _named(self, employee_id: str, scim_id: str) -> Member:
        known = self.directory.accounts.get(employee_id)
        return Member(scim_id, "" if known is None else known.profile.display_name)

    def _count(self, change: Membership, *, changed: bool) -> None:
        self.report.members_added += len(change.added)
        self.report.members_removed += len(change.removed)
        self.report.groups_changed += changed
        self.report.groups_unchanged += not changed

    async def _delete(self, key: str, account: GroupAccount) -> None:
        try:
            await self.dialect.delete_group(self.wire, account.scim_id)
        except Refused as refused:
            if refused.status != 404:
                raise
        del self.directory.groups[key]
        self.report.groups_deleted += 1
