"""A mail server on loopback that takes or refuses what it is told to."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class MailServer:
    """A running server.

    Attributes:
        refusals: the answer to a command that is not the usual one, by the command's first word.
        commands: what was said to it, without the mails.
        mails: what it took.
        encrypted: whether each mail came encrypted.
    """

    refusals: dict[str, str]
    context: ssl.SSLContext | None
    port: int = 0
    commands: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 ready\r\n")
            while line := await reader.readline():
                command = line.decode().strip()
                self.commands.append(command)
                writer.write(self._answer(command.split(" ")[0].upper()).encode() + b"\r\n")
                await writer.drain()
                if command.upper() == "STARTTLS":
                    await writer.start_tls(self.context)  # pyright: ignore[reportArgumentType]
                if command.upper() == "DATA" and "DATA" not in self.refusals:
                    self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                    self.encrypted.append(writer.get_extra_info("ssl_object") is not None)
                    writer.write(b"250 taken\r\n")
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, command: str) -> str:
        if command in self.refusals:
            return self.refusals[command]
        offers = "250-hello\r\n250-AUTH PLAIN\r\n250 STARTTLS" if self.context else "250 hello"
        usual = {"EHLO": offers, "DATA": "354 go on", "QUIT": "221 bye", "STARTTLS": "220 go on", "AUTH": "235 in"}
        return usual.get(command, "250 ok")


@asynccontextmanager
async def mail_server(
    *, context: ssl.SSLContext | None = None, tls: bool = False, **refusals: str
) -> AsyncGenerator[MailServer]:
    """Serves for the length of the block. tls: encrypted from the first byte."""
    served = MailServer(refusals, context)
    server = await asyncio.start_server(served.converse, "127.0.0.1", 0, ssl=context if tls else None)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        await server.wait_closed()
