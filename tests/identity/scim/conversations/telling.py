"""A recorded conversation: read from its file, told over HTTP, and the state it leaves.

Each file has a head (who speaks, and where that is documented), one line for each request with what is essential of
its answer, and the state at the end. `{ada}` in a request stands for the id that an earlier answer gave (`keep`).
`again` is the status of the same request sent once more at once, where it is another one.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stoa.db.database import Database
from stoa.db.transactions import Row
from stoa.identity.scim.validation import is_list, is_object
from tests.identity.conftest import Scim

FOLDER: Final = Path(__file__).parent
STEPS: Final = (
    *("connection test", "joiner", "mover", "leaver", "rehire", "rename"),
    *("group push", "clear", "re-push", "unassign", "30-day delete"),
)

_PEOPLE: Final = "SELECT count(*) AS n, count(*) FILTER (WHERE active) AS active FROM person WHERE tenant_id = $1"
_RECORDS: Final = "SELECT user_name, present, asserted_active, resource_id FROM source_record WHERE tenant_id = $1"
_MEMBERS: Final = """
SELECT g.display_name, m.resource_id FROM person_group g
LEFT JOIN group_member m ON m.tenant_id = $1 AND m.group_id = g.group_id AND m.asserted AND m.in_force
WHERE g.tenant_id = $1 AND g.present"""
_JOURNAL: Final = """
SELECT r.target || ' ' || c.action AS word FROM change c JOIN run r ON r.tenant_id = $1 AND r.run_id = c.run_id
WHERE c.tenant_id = $1"""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One story of a client."""

    head: Mapping[str, Any]
    lines: tuple[Mapping[str, Any], ...]
    state: Mapping[str, Any]


def names() -> list[str]:
    """Of every conversation there is."""
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def read(name: str) -> Conversation:
    """The conversation of that name."""
    head, *lines, last = [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return Conversation(head, tuple(lines), last["state"])


@dataclass(slots=True)
class Told:
    """A conversation that is being told to a tenant's service. kept: id by name."""

    scim: Scim
    conversation: Conversation
    kept: dict[str, str] = field(default_factory=dict[str, str])

    async def tell(self, *, twice: bool = False) -> None:
        """Every request in order, each answered as it was recorded. twice: each is sent once more at once."""
        for line in self.conversation.lines:
            status, answer = await self._send(line)
            where = f"{line['step']}: {line['send']}: {answer}"
            assert status == line["status"], where
            assert_within(answer, self._filled(line.get("answer")), where)
            assert not set(line.get("lacks", ())) & set(answer or ()), where
            if "keep" in line:
                self.kept[line["keep"]] = answer["id"]
            if twice:
                status, answer = await self._send(line)
                assert status == line.get("again", line["status"]), f"again: {where}: {answer}"

    async def _send(self, line: Mapping[str, Any]) -> tuple[int, Any]:
        method, _, path = str(self._filled(line["send"])).partition(" ")
        if flag := self.conversation.head.get("flag"):
            plain, _, query = path.partition("?")
            path = f"{plain}?{flag}" + (f"&{query}" if query else "")
        body = self._filled(line.get("body"))
        headers = {**self.scim.headers, **self.conversation.head.get("headers", {})}
        content = None if body is None else json.dumps(body).encode()
        answer = await self.scim.http.request(method, self.scim.base + path, content=content, headers=headers)
        return answer.status_code, answer.json() if answer.content else None

    def _filled(self, value: Any) -> Any:
        """The value with ids for names."""
        text = json.dumps(value)
        for name, identity in self.kept.items():
            text = text.replace(f"{{{name}}}", identity)
        return json.loads(text)

    async def state(self, database: Database) -> dict[str, Any]:
        """What the tenant holds now, in the words of a conversation's end."""
        named = {identity: name for name, identity in self.kept.items()}
        async with database.tenant(self.scim.tenant_id, read_only=True) as tx:
            people = await tx.fetchrow(_PEOPLE, tx.tenant_id)
            records = await tx.fetch(_RECORDS, tx.tenant_id)
            members = await tx.fetch(_MEMBERS, tx.tenant_id)
            journal = Counter(row["word"] for row in await tx.fetch(_JOURNAL, tx.tenant_id))
        assert people is not None
        groups: dict[str, list[str]] = {}
        for row in members:
            there = groups.setdefault(row["display_name"], [])
            if row["resource_id"] is not None:
                there.append(named[str(row["resource_id"])])
        return {
            "people": people["n"],
            "active": people["active"],
            "records": {row["user_name"]: _standing(row) for row in records},
            "groups": {name: sorted(there) for name, there in groups.items()},
            "journal": dict(sorted(journal.items())),
        }


def _standing(row: Row) -> str:
    if not row["present"]:
        return "gone"
    return "active" if row["asserted_active"] else "inactive"


def assert_within(answer: Any, essential: Any, where: str) -> None:
    """Fails unless what is essential is in the answer: members of an object, elements of a list in any order. None
    stands for what must not be there.
    """
    if is_object(essential):
        assert is_object(answer), where
        for name, inner in essential.items():
            assert inner is not None or name not in answer, where
            assert_within(answer.get(name), inner, where)
    elif is_list(essential):
        assert is_list(answer), where
        assert len(answer) == len(essential), where
        for one, inner in zip(sorted(answer, key=_named), sorted(essential, key=_named), strict=True):
            assert_within(one, inner, where)
    elif essential is not None:
        assert answer == essential, where


def _named(element: Any) -> str:
    return str(element.get("value", element.get("id")))
