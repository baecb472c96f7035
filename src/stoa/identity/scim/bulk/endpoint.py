"""/Bulk (RFC 7644, 3.7): many operations in one request, each of which succeeds or fails by itself.

They are done in their order, but whoever speaks of a resource by its `bulkId` waits until that is made. Where two wait
for each other, the first is made without the reference, and gets it at the end (3.7.1). Users whom nobody knows are
made together (`people.provisioning`). All is one transaction: a request that is cut off has done nothing.
"""

import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import groupby
from typing import Any, Final

import msgspec

from stoa.db.errors import UniqueViolation
from stoa.identity.scim import users
from stoa.identity.scim.bulk.model import BULK_RESPONSE, Item, items_of, resolved, without_references
from stoa.identity.scim.errors import ScimError, ScimType, not_found
from stoa.identity.scim.groups import awaiting
from stoa.identity.scim.groups import endpoint as groups
from stoa.identity.scim.http import Answer, Call, Outcome, Request, Word, error_answer, json_answer, json_of
from stoa.people.identity_locks import lock_all_identifiers
from stoa.people.model import Asserted, Refused
from stoa.people.provisioning import FEW, provision_newcomers

_ATTEMPTS: Final = 2
_encode: Final = msgspec.json.Encoder().encode
_Handler = Callable[[Call], Awaitable[Answer]]
_HANDLERS: Final[Mapping[tuple[str, str], _Handler]] = {
    ("POST", "Users"): users.create,
    ("PUT", "Users"): users.replace,
    ("PATCH", "Users"): users.patch,
    ("DELETE", "Users"): users.delete,
    ("POST", "Groups"): groups.create,
    ("PUT", "Groups"): groups.replace,
    ("PATCH", "Groups"): groups.patch,
    ("DELETE", "Groups"): groups.delete,
}


async def handle(call: Call) -> Answer:
    """POST /Bulk. Raises ScimError for a request that is none as a whole; each operation has a status of its own."""
    items, fail_on_errors = items_of(json_of(call.request))
    work = _Work(call, items, fail_on_errors)
    await work.run()
    told = [work.told(item) for item in items if item.index in work.answers]
    answer = json_answer(HTTPStatus.OK, {"schemas": [BULK_RESPONSE], "Operations": told})
    return dataclasses.replace(answer, outcome=_outcome(work.answers), refused=_refused(work.answers))


@dataclass(slots=True)
class _Work:
    """What has come of the operations so far.

    Attributes:
        answers: by the operation's place; errors: how many of them are errors.
        ids: of resources that were made, by their bulkId. failed: the bulkIds of those that were not.
        unfinished: operations whose resource was made without its references.
    """

    call: Call
    items: Sequence[Item]
    fail_on_errors: int
    answers: dict[int, Answer] = field(default_factory=dict[int, Answer])
    errors: int = 0
    ids: dict[str, str] = field(default_factory=dict[str, str])
    failed: set[str] = field(default_factory=set[str])
    unfinished: list[Item] = field(default_factory=list[Item])

    def told(self, item: Item) -> dict[str, Any]:
        """An operation's part of the answer (3.7.3): the place and the version of what went well, else the error."""
        answer = self.answers[item.index]
        headers = dict(answer.headers)
        resource = self.ids.get(item.resource, item.resource)
        there = f"{self.call.base_url}/{item.kind}/{resource}" if resource else None
        told = {
            "method": item.said_method,
            "bulkId": item.bulk_id,
            "version": headers.get("etag"),
            "location": headers.get("location", there),
            "status": str(int(answer.status)),
            "response": msgspec.json.decode(answer.body) if answer.status >= HTTPStatus.BAD_REQUEST else None,
        }
        return {name: value for name, value in told.items() if value is not None}

    async def run(self) -> None:
        """Does all that can be done."""
        waiting = list(self.items)
        # What the first of them would take beside others, and a later one alone, two requests could wait for for ever.
        await awaiting.before_groups(self.call)
        if sum(item.makes_user for item in waiting) >= FEW:
            # One lock in place of each identifier's own, of which a server has but some thousands.
            await lock_all_identifiers(self.call.tx)
        while waiting and not self._enough():
            ready = [item for item in waiting if item.needs <= self.ids.keys() | self.failed]
            if ready:
                await self._all(ready)
            else:
                # They wait for each other. One that makes something can be made without what it refers to.
                first = next((item for item in waiting if item.method == "POST"), waiting[0])
                self.unfinished.append(first)
                await self._one(first, without_references(first.data))
            waiting = [item for item in waiting if item.index not in self.answers]
        for item in self.unfinished:
            await self._finish(item)

    def _enough(self) -> bool:
        return 0 < self.fail_on_errors <= self.errors

    async def _all(self, ready: Sequence[Item]) -> None:
        for together, run in groupby(ready, key=lambda item: item.makes_user and not self.fail_on_errors):
            some = list(run)
            if together and len(some) >= FEW:
                await self._newcomers(some)
            for item in some:
                if self._enough():
                    return
                if item.index not in self.answers:
                    await self._one(item, item.data)

    async def _newcomers(self, items: Sequence[Item]) -> None:
        said: list[tuple[Item, Asserted]] = []
        for item in items:
            if item.fault is None and not item.needs & self.failed:
                try:
                    said.append((item, users.asserted_by(self.call.offered, resolved(item.data, self.ids))))
                except ScimError as error:
                    self._note(item, error_answer(error))
        made = await provision_newcomers(self.call.tx, self.call.source_id, [one for _, one in said])
        for (item, _), one in zip(said, made, strict=True):
            if one is not None:
                self._note(item, await users.provisioned(self._asked(item, None), one))

    async def _one(self, item: Item, data: Any) -> None:
        self._note(item, await self._answered(item, data, item.method, item.resource))

    async def _finish(self, item: Item) -> None:
        """Gives a resource the references for which it was not kept waiting."""
        identity = self.ids.get(item.bulk_id or "")
        if identity is None:
            return
        answer = await self._answered(item, item.data, "PUT", identity)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            self.answers[item.index] = answer
            return
        made = self.answers[item.index]
        etag = tuple(header for header in answer.headers if header[0] == "etag")
        rest = tuple(header for header in made.headers if header[0] != "etag")
        self.answers[item.index] = dataclasses.replace(made, headers=(*etag, *rest))

    async def _answered(self, item: Item, data: Any, method: str, resource: str) -> Answer:
        if item.fault is not None:
            return error_answer(item.fault)
        if item.needs & self.failed:
            lost = ", ".join(sorted(item.needs & self.failed))
            detail = f"It refers to a resource that could not be made in this request: {lost[:200]}."
            return error_answer(ScimError(HTTPStatus.CONFLICT, detail))
        handler = _HANDLERS.get((method, item.kind))
        if handler is None:
            return error_answer(not_found(f"A bulk request has no {method[:20]} for this path."))
        asked = self._asked(item, resolved(data, self.ids), method, self.ids.get(resource, resource))
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self.call.tx.savepoint():
                    return await handler(asked)
            except ScimError as error:
                return error_answer(error)
            except UniqueViolation:
                # Somebody made the same a moment ago: the next attempt sees it and says so.
                if attempt == _ATTEMPTS:
                    break
        return error_answer(ScimError(HTTPStatus.CONFLICT, "Another request made the same.", ScimType.UNIQUENESS))

    def _asked(self, item: Item, data: Any, method: str = "POST", resource: str = "") -> Call:
        headers = {"content-type": "application/scim+json"}
        if item.version and method != "POST":
            headers["if-match"] = item.version
        body = b"" if data is None else _encode(data)
        request = Request(method, (item.kind, *((resource,) if resource else ())), {}, headers, body)
        return dataclasses.replace(self.call, request=request, resource_id=resource)

    def _note(self, item: Item, answer: Answer) -> None:
        self.answers[item.index] = answer
        self.errors += answer.status >= HTTPStatus.BAD_REQUEST
        if item.bulk_id is not None and item.method == "POST":
            if answer.status < HTTPStatus.BAD_REQUEST and answer.outcome is not None:
                self.ids[item.bulk_id] = str(answer.outcome.resource_id)
            else:
                self.failed.add(item.bulk_id)


def _outcome(answers: Mapping[int, Answer]) -> Outcome:
    words = Counter(
        Word.REFUSED if answer.outcome is None else answer.outcome.word
        for answer in answers.values()
        if answer.outcome is not None or answer.status >= HTTPStatus.BAD_REQUEST
    )
    return Outcome(Word.MIXED, ", ".join(f"{n} {word}" for word, n in sorted(words.items())))


def _refused(answers: Mapping[int, Answer]) -> Refused | None:
    return next((answer.refused for answer in answers.values() if answer.refused is not None), None)
