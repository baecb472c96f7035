"""A consumer of /v1/events that keeps a copy of a tenant's people, and may be killed at any moment.

`python -m tests.analytics.stream.consumer BASE_URL FILE` (token in STOA_TOKEN) follows the log until it is killed. What
it made of the log and how far it read are written in one step, so that the two always belong together.
"""

import asyncio
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from tests.people.rebuilding import Copy, follow

PAGE = 7


class Kept(msgspec.Struct):
    """What is kept: the people, and the cursor after the last event that made them."""

    people: Copy = msgspec.field(default_factory=dict[str, dict[str, Any]])
    cursor: str | None = None
    sequence: int = 0
    is_done: bool = False


@dataclass
class Consumer:
    """One life of the consumer."""

    client: httpx2.AsyncClient
    file: Path
    kept: Kept = field(init=False)

    def __post_init__(self) -> None:
        self.kept = read(self.file)

    async def step(self, *, wait: int = 0) -> bool:
        """Reads a page, makes the most of it, and keeps that. Gives whether there was anything."""
        where: dict[str, Any] = {"limit": PAGE, "wait": wait}
        if self.kept.cursor is not None:
            where["cursor"] = self.kept.cursor
        answer = await self.client.get("/v1/events", params=where)
        answer.raise_for_status()
        page = answer.json()
        for event in page["items"]:
            assert int(event["sequence"]) == self.kept.sequence + 1, "an event was missed, or came twice"
            self.kept.sequence += 1
            follow(self.kept.people, event["type"], event.get("subject", ""), event["data"])
        self.kept.cursor = page["next_cursor"]
        self.kept.is_done = not page["has_more"]
        fresh = self.file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self.kept))
        fresh.replace(self.file)
        return bool(page["items"])


def read(file: Path) -> Kept:
    """What was kept by the consumer's last life."""
    return msgspec.json.decode(file.read_bytes(), type=Kept) if file.exists() else Kept()


async def main() -> None:
    """Follows the log."""
    base_url, file = sys.argv[1], Path(sys.argv[2])
    headers = {"Authorization": f"Bearer {os.environ['STOA_TOKEN']}"}
    async with httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=20) as client:
        consumer = Consumer(client, file)
        while True:
            await consumer.step(wait=1)


if __name__ == "__main__":
    asyncio.run(main())
