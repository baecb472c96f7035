"""Mail: one plain-text message to one address, by SMTP, or into a folder where mail must not leave the server."""

import asyncio
import os
import re
import secrets
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Final, Literal, Protocol, assert_never

from stoa.kernel.clock import Clock, system_clock
from stoa.kernel.problems import BadInput
from stoa.outbound.model import Mail, RemoteDown, RemoteRefused
from stoa.tenants.model import Tenant
from stoa.tenants.rules import is_email

_SUBJECT_LENGTH: Final = 200
_KEY: Final = re.compile(r"[A-Za-z0-9.-]{1,100}")


class MailSender(Protocol):
    """A way for mail to leave."""

    async def send(self, mail: Mail) -> None:
        """Hands the mail over.

        Raises:
            BadInput: the address is not one plain address.
            RemoteDown: try later.
            RemoteRefused: the mail server will never take it.
        """
        ...


def route(tenant: Tenant, sender: MailSender, sink: MailSender) -> MailSender:
    """Which way a tenant's mail goes: a sandbox tenant's never leaves the server."""
    return sink if tenant.sandbox else sender


def message(mail: Mail, sender: str, clock: Clock) -> EmailMessage:
    """The message in the form of RFC 5322. No text of the mail can add a header or another recipient.

    sender: one plain address.

    Raises:
        BadInput: an address is not one plain address, or the key cannot stand in a Message-ID.
    """
    if not _KEY.fullmatch(mail.key):
        raise BadInput("A mail's key has 1 to 100 letters, digits, dots and hyphens.")
    made = EmailMessage(policy=SMTP)
    made["From"] = _one_address(sender)
    made["To"] = _one_address(mail.to)
    made["Subject"] = _one_line(mail.subject)
    made["Date"] = format_datetime(clock())
    made["Message-ID"] = f"<{mail.key}@{sender.rpartition('@')[2]}>"
    # RFC 3834: no out-of-office answers, please.
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(mail.text.encode(errors="replace").decode(), cte="quoted-printable")
    return made


class FileMailbox:
    """Writes each mail as an .eml file, whole or not at all. Files sort by time of sending."""

    def __init__(self, folder: Path, *, sender: str = "stoa@localhost", clock: Clock = system_clock) -> None:
        """folder: made if it is not there, closed to other users, for mail names people."""
        self._folder = folder
        self._sender = sender
        self._clock = clock

    async def send(self, mail: Mail) -> None:
        """Writes the mail. Raises: BadInput."""
        content = message(mail, self._sender, self._clock).as_bytes()
        name = f"{self._clock():%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}.eml"
        await asyncio.to_thread(self._write, name, content)

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._folder / f".{name}.part"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(self._folder / name)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The operator's mail server.

    Attributes:
        security: `tls` from the first byte (port 465), `starttls` (587), or `none`, which takes no password.
        sender: the address that mail comes from.
    """

    host: str
    sender: str
    port: int = 587
    security: Literal["tls", "starttls", "none"] = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 30.0

    def __post_init__(self) -> None:
        _one_address(self.sender)
        if self.user is not None and self.security == "none":
            raise BadInput("A mail password would be sent without encryption.", hint="Use tls or starttls.")


class SmtpSender:
    """Sends by SMTP (RFC 5321), one connection for each mail, in a thread."""

    def __init__(
        self, server: SmtpServer, *, tls: Callable[[], ssl.SSLContext] | None = None, clock: Clock = system_clock
    ) -> None:
        """tls: makes the context that says which certificates are trusted (default: the system's)."""
        self._server = server
        self._tls = tls or ssl.create_default_context
        self._clock = clock

    async def send(self, mail: Mail) -> None:
        """Sends the mail. Raises: BadInput, RemoteDown, RemoteRefused."""
        made = message(mail, self._server.sender, self._clock)
        await asyncio.to_thread(self._send, made)

    def _send(self, made: EmailMessage) -> None:
        # What the server says may quote the recipient, so only its status is told.
        try:
            with self._connected() as smtp:
                if self._server.user is not None:
                    smtp.login(self._server.user, self._server.password or "")
                smtp.send_message(made)
        except smtplib.SMTPRecipientsRefused as error:
            raise _answered(min(status for status, _ in error.recipients.values())) from None
        except smtplib.SMTPAuthenticationError as error:
            # The operator can mend this one, so the mail should wait.
            raise RemoteDown(
                "The mail server refuses the password.", remote_status=error.smtp_code, hint="Check the mail settings."
            ) from None
        except smtplib.SMTPResponseException as error:
            raise _answered(error.smtp_code) from None
        except smtplib.SMTPNotSupportedError:
            raise RemoteRefused("The mail server cannot take this mail.", remote_status=502) from None
        except (smtplib.SMTPException, OSError) as error:
            kind = type(error).__name__
            raise RemoteDown(f"The mail server {self._server.host} cannot be reached ({kind}).") from None

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        match server.security:
            case "tls":
                return smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout, context=self._tls())
            case "starttls":
                smtp = smtplib.SMTP(server.host, server.port, timeout=server.timeout)
                try:
                    smtp.starttls(context=self._tls())
                except BaseException:
                    smtp.close()
                    raise
                return smtp
            case "none":
                return smtplib.SMTP(server.host, server.port, timeout=server.timeout)
            case _:
                assert_never(server.security)


def _answered(status: int) -> RemoteDown | RemoteRefused:
    if 400 <= status < 500:
        return RemoteDown(f"The mail server answered {status}.", remote_status=status)
    return RemoteRefused(f"The mail server answered {status}.", remote_status=status)


def _one_address(text: str) -> str:
    # The address is personal: it is not told.
    if not is_email(text):
        raise _no_address()
    name, _, domain = text.rpartition("@")
    try:
        return f"{name}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        raise _no_address() from None


def _no_address() -> BadInput:
    return BadInput("That is not one plain e-mail address.", hint="Write it as name@example.com.")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    line = "".join(char for char in line if char.isprintable())
    return line if len(line) <= _SUBJECT_LENGTH else line[: _SUBJECT_LENGTH - 1] + "…"
