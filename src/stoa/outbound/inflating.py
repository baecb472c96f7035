"""Decompression that never holds more than one piece, so that a small answer cannot grow without bound in memory."""

import zlib
from collections.abc import Iterator
from typing import Final

_PIECE_BYTES: Final = 256 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS


class InflateError(Exception):
    """The compressed bytes are damaged, or end too early."""


class Inflater:
    """Reads a gzip stream of one or more members (RFC 1952, 2.2) piece by piece."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)
        self._begun = False

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """What `chunk` adds, in pieces of at most 256 KiB.

        Raises:
            InflateError: it is not gzip.
        """
        rest, more = chunk, False
        while rest or more:
            if self._stream.eof:
                self._stream = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                piece = self._stream.decompress(rest, _PIECE_BYTES)
            except zlib.error as error:
                raise InflateError("not gzip") from error
            rest = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            # A full piece may leave output waiting inside although all input was taken.
            more = len(piece) == _PIECE_BYTES and not self._stream.eof
            if piece:
                yield piece

    def finish(self) -> None:
        """Checks that the stream came to its end.

        Raises:
            InflateError: it did not.
        """
        if self._begun and not self._stream.eof:
            raise InflateError("ends too early")
