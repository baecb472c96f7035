"""A client process for HTTP/1.1 on the loopback: `python -m bench.requests` answers a line of JSON with a line of JSON.

In: {"port", "token", "connections", "requests": [[method, path, body or null], ...]}; for pages, whose content is not
looked into, {"pages": true, "headers": {...}} instead of the token.
Out: {"seconds", "latencies": [seconds, ...], "ids": [the answers' "id", or null, ...]}, or {"error"}.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from stoa.cli.children import die_with_parent

_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as bytes, and where its answer belongs."""

    number: int
    head: bytes


class Refused(Exception):
    """The server did not answer as it should."""


def _prepared(job: dict[str, Any]) -> Iterator[Asked]:
    for number, (method, path, body) in enumerate(job["requests"]):
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{job['port']}"]
        if job.get("pages"):
            lines += [f"{name}: {value}" for name, value in job["headers"].items()]
        else:
            lines += [f"Authorization: Bearer {job['token']}", "Accept: application/scim+json"]
        if body is not None:
            lines += ["Content-Type: application/scim+json", f"Content-Length: {len(content)}"]
        yield Asked(number, "\r\n".join([*lines, "", ""]).encode() + content)


async def _connection(
    port: int, waiting: Iterator[Asked], latencies: list[float], ids: list[str | None], *, pages: bool
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)
    for asked in waiting:
        began = time.perf_counter()
        writer.write(asked.head)
        head = await reader.readuntil(b"\r\n\r\n")
        status, fields = _head(head)
        content = await _content(reader, fields)
        latencies[asked.number] = time.perf_counter() - began
        if not 200 <= status < 300:
            raise Refused(f"{asked.head.split(b' HTTP')[0].decode()} was answered {status}: {content[:300]!r}")
        if not pages:
            ids[asked.number] = _identity(content)
        if fields.get("connection", "").lower() == "close":
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)
    writer.close()
    await writer.wait_closed()


async def _content(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if fields.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(fields.get("content-length", 0)))
    content = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        content += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return content


def _identity(content: bytes) -> str | None:
    answer: dict[str, Any] = json.loads(content) if content else {}
    found: Sequence[dict[str, Any]] = answer.get("Resources", [answer])
    return found[0].get("id") if len(found) == 1 else None


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    status, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines if line)
    return int(status.split(" ")[1]), {name.lower(): value.strip() for name, _, value in fields}


async def _answered(job: dict[str, Any]) -> dict[str, Any]:
    waiting = _prepared(job)
    n = len(job["requests"])
    latencies, ids = [0.0] * n, list[str | None]([None] * n)
    # Prepared before the clock starts; the iterator hands each request to whichever connection is free.
    prepared = iter(list(waiting))
    began = time.perf_counter()
    pages = job.get("pages", False)
    await asyncio.gather(
        *(_connection(job["port"], prepared, latencies, ids, pages=pages) for _ in range(job["connections"]))
    )
    return {"seconds": time.perf_counter() - began, "latencies": latencies, "ids": ids}


def main() -> None:
    """Answers jobs until its input ends."""
    die_with_parent()
    for line in sys.stdin:
        try:
            answer = uvloop.run(_answered(json.loads(line)))
        except (Refused, OSError, asyncio.IncompleteReadError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
