"""Where an answer's bytes go, counted as they come: to memory, or to a file that appears only when it is whole."""

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from stoa.outbound.model import MEBIBYTE, TooLarge

_FLUSH_BYTES: Final = MEBIBYTE


class Receiver(Protocol):
    """Takes the pieces of a body in order.

    Attributes:
        size: bytes taken so far.
    """

    size: int

    async def take(self, piece: bytes) -> None:
        """Keeps a piece.

        Raises:
            TooLarge: with it, there would be more bytes than allowed.
        """
        ...

    def body(self) -> bytes:
        """What was taken; empty if it went to a file."""
        ...


class _Memory:
    def __init__(self, most: int) -> None:
        self.size = 0
        self._most = most
        self._pieces: list[bytes] = []

    async def take(self, piece: bytes) -> None:
        self.size = _counted(self.size, piece, self._most)
        self._pieces.append(piece)

    def body(self) -> bytes:
        return b"".join(self._pieces)


class _File:
    def __init__(self, most: int, handle: int) -> None:
        self.size = 0
        self._most = most
        self._handle = handle
        self._held = bytearray()

    async def take(self, piece: bytes) -> None:
        self.size = _counted(self.size, piece, self._most)
        self._held += piece
        if len(self._held) >= _FLUSH_BYTES:
            await self.flush()

    def body(self) -> bytes:
        return b""

    async def flush(self) -> None:
        held, self._held = self._held, bytearray()
        await asyncio.to_thread(_write_all, self._handle, held)


@asynccontextmanager
async def receiving(most: int, path: Path | None) -> AsyncGenerator[Receiver]:
    """A receiver of at most `most` bytes. At the end of the block the file, if one was named, is put in place; after
    any exception nothing of it is left."""
    if path is None:
        yield _Memory(most)
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            receiver = _File(most, handle)
            yield receiver
            await receiver.flush()
        finally:
            os.close(handle)
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


def _counted(size: int, piece: bytes, most: int) -> int:
    size += len(piece)
    if size > most:
        raise too_large(most)
    return size


def too_large(most: int) -> TooLarge:
    """The refusal of an answer of more than `most` bytes."""
    return TooLarge(
        f"The answer has more than {most} bytes.",
        hint="Ask for less at once, or raise the connection's limit.",
    )


def _write_all(handle: int, content: bytearray) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]
