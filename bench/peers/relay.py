"""The least that sends rows of an outbox to a receiver: LISTEN, one select, one POST each, in order for each tenant.

`python -m bench.peers.relay DSN URL`. It signs nothing, writes down nothing, tries nothing again and knows no limits.
"""

import asyncio
import sys
from collections import defaultdict

import asyncpg
import httpx2
import uvloop

from stoa.cli.children import die_with_parent

# Taken out, for ids do not become visible in their order: whoever reads "those after the last one" misses some.
_NEXT = "DELETE FROM bench_hooks.outbox RETURNING id, tenant_id, body"


async def main() -> None:
    """Relays until it is ended."""
    dsn, url = sys.argv[1:]
    connection = await asyncpg.connect(dsn)
    rung = asyncio.Event()

    def ring(*_: object) -> None:
        rung.set()

    await connection.add_listener("bench_hooks", ring)
    # What was committed before it listened is there already, and nobody rings for it again.
    rung.set()
    limits = httpx2.Limits(max_connections=64, max_keepalive_connections=64)
    transport = httpx2.AsyncHTTPTransport(limits=limits)
    headers = {"host": "relay", "content-type": "application/json"}

    async def post(bodies: list[str]) -> None:
        for body in bodies:
            request = httpx2.Request("POST", url, headers=headers, content=body.encode())
            answer = await transport.handle_async_request(request)
            await answer.aread()
            await answer.aclose()

    while True:
        await rung.wait()
        rung.clear()
        while rows := await connection.fetch(_NEXT):
            by_tenant: defaultdict[object, list[str]] = defaultdict(list)
            for row in sorted(rows, key=lambda row: row["id"]):
                by_tenant[row["tenant_id"]].append(row["body"])
            await asyncio.gather(*map(post, by_tenant.values()))


if __name__ == "__main__":
    die_with_parent()
    uvloop.run(main())
