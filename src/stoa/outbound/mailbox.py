"""Reading the mailbox folder that FileMailbox writes. It may hold a hundred thousand files: a page reads their names,
and opens those it shows.
"""

import asyncio
import heapq
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from pathlib import Path
from typing import Final

from stoa.kernel.problems import BadInput, NotFound

# As FileMailbox names them: the time of sending and some random digits. No other name is ever opened.
_NAME: Final = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-[0-9a-f]{8}\.eml", re.ASCII)
_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
# The headers of a mail are read from its beginning.
_HEAD_BYTES: Final = 16_384
MOST_BYTES: Final = 1_048_576


class MailTooLong(BadInput):
    """A file in the mailbox is larger than any mail that this server sends.

    Whoever runs the server looks at it on disk; it was put there by somebody else.
    """

    code = "mail_too_long"


@dataclass(frozen=True, slots=True)
class MailHead:
    """A mail in a list. name: of its file. at: when it was sent. Texts are those of the headers, not to be trusted."""

    name: str
    at: datetime
    to: str
    sender: str
    subject: str


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A whole mail. headers: in their order, decoded. text: the plain-text body; empty if there is none."""

    head: MailHead
    headers: tuple[tuple[str, str], ...]
    text: str


async def mails(folder: Path, *, before: str | None = None, limit: int = 50) -> list[MailHead]:
    """The latest mails, the newest first. A folder that is not there holds none.

    before: the name after which the list goes on.

    Raises:
        BadInput: `before` is no name of a mail.
    """
    if before is not None and _NAME.fullmatch(before) is None:
        raise BadInput("That is no place in the mailbox.", hint="Begin with its first page.")
    return await asyncio.to_thread(_mails, folder, before, limit)


async def mail(folder: Path, name: str) -> StoredMail:
    """One mail.

    Raises:
        NotFound: there is none of that name.
        MailTooLong: it is no mail of ours.
    """
    content = await raw_mail(folder, name)
    return await asyncio.to_thread(_stored, name, content)


async def raw_mail(folder: Path, name: str) -> bytes:
    """One mail as it was sent (RFC 5322). Raises as `mail` does."""
    return await asyncio.to_thread(_read, folder, name, MOST_BYTES, True)


def _mails(folder: Path, before: str | None, limit: int) -> list[MailHead]:
    # Names sort by time. Only the few that are shown are kept while all are looked at.
    try:
        with os.scandir(folder) as entries:
            names = (entry.name for entry in entries if _NAME.fullmatch(entry.name))
            latest = heapq.nlargest(limit, (name for name in names if before is None or name < before))
    except FileNotFoundError:
        return []
    found: list[MailHead] = []
    for name in latest:
        try:
            found.append(_head(name, message_from_bytes(_read(folder, name, _HEAD_BYTES, False), policy=default)))
        except NotFound:
            # Somebody tidied up meanwhile.
            continue
    return found


def _read(folder: Path, name: str, most: int, whole: bool) -> bytes:
    if _NAME.fullmatch(name) is None:
        raise _no_mail()
    try:
        # No link leads out of the folder.
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise _no_mail() from None
    with os.fdopen(handle, "rb") as file:
        content = file.read(most + 1)
    if whole and len(content) > most:
        raise MailTooLong(f"This file has more than {most} bytes.", hint="Look at it on the server.")
    return content[:most]


def _stored(name: str, content: bytes) -> StoredMail:
    message = message_from_bytes(content, policy=default)
    headers = tuple((key, _plain(str(value))) for key, value in message.items())
    return StoredMail(_head(name, message), headers, _text(message))


def _text(message: Message) -> str:
    body = message.get_body(("plain",)) if isinstance(message, EmailMessage) else None
    if not isinstance(body, EmailMessage):
        return ""
    try:
        return _plain(str(body.get_content()))
    except (LookupError, ValueError):
        # An unknown character set.
        payload = body.get_payload(decode=True)
        return _plain(payload.decode("utf-8", "replace")) if isinstance(payload, bytes) else ""


def _head(name: str, message: Message) -> MailHead:
    at = datetime.strptime(name.partition("-")[0], _TIME).replace(tzinfo=UTC)
    return MailHead(name, at, *(_plain(str(message.get(key, ""))) for key in ("to", "from", "subject")))


def _plain(text: str) -> str:
    """Text that can be encoded: surrogates stand for bytes that were none of their character set."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _no_mail() -> NotFound:
    return NotFound("There is no such mail.", hint="It may have been tidied up; the mailbox shows those there are.")
