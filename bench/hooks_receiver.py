"""A receiver of webhooks: `python -m bench.hooks_receiver`, on the listening socket whose number is its argument.

It notes when each body came, by the number in it (`"n":123`), and answers 204; under /hang it never answers. A line on
its input is answered with {"got": {number: nanoseconds of the monotonic clock}}, and all is forgotten.
"""

import asyncio
import json
import re
import socket
import sys
import time

import uvloop

from stoa.cli.children import die_with_parent

_NUMBER = re.compile(rb'"n": ?(\d+)')
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_got: dict[str, int] = {}


class Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the way back."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue] - uvloop's own class

    def data_received(self, data: bytes) -> None:
        """Answers each request that is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            if head.startswith(b"POST /hang"):
                continue
            if found := _NUMBER.search(body):
                _got.setdefault(found[1].decode(), time.monotonic_ns())
            assert self._transport is not None
            self._transport.write(_ANSWER)


async def main() -> None:
    """Serves until its input ends."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    listener.setblocking(False)
    server = await asyncio.get_running_loop().create_server(Receiver, sock=listener)
    async with server:
        while await asyncio.to_thread(sys.stdin.readline):
            sys.stdout.write(json.dumps({"got": _got}) + "\n")
            sys.stdout.flush()
            _got.clear()


if __name__ == "__main__":
    die_with_parent()
    uvloop.run(main())
