"""A process that starts a server, says where it is in one line of JSON, and waits to be told (end of input) or killed.

Usage: python launcher.py OPTIONS, a JSON object: data_dir, keyring_path, bin_dir, cache_dir (paths, or left out), and
thread (true: start it off the main thread).
"""

import asyncio
import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import asyncpg

from stoa.db import embedded
from stoa.db.keyring import KeyRing
from stoa.db.roles import dsn_for


async def serve(options: dict[str, str]) -> None:
    paths = {name: Path(value) for name, value in options.items() if name != "thread"}
    # In one step: a database folder without a key ring cannot be said.
    config = replace(embedded.EmbeddedConfig(), **paths)
    async with embedded.running(config) as server:
        connection = await asyncpg.connect(**dsn_for(server.url, "stoa_app", KeyRing.load(server.keyring_path)))
        role = await connection.fetchval("SELECT current_user")
        answer = {
            "role": role,
            "pid": server.pid,
            "major": server.major,
            "base": str(server.data_dir),
            "url": server.url,
            "uid": os.geteuid(),
            "server_uid": server.log_path.stat().st_uid,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        await connection.close()


def main() -> None:
    options = json.loads(sys.argv[1])
    if options.get("thread"):
        thread = threading.Thread(target=lambda: asyncio.run(serve(options)))
        thread.start()
        thread.join()
    else:
        asyncio.run(serve(options))


if __name__ == "__main__":
    main()
