"""What goes out, what comes back, and the ways in which it fails."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import ClassVar, Final

from stoa.kernel.problems import Problem

MEBIBYTE: Final = 1024 * 1024


class OutboundRefused(Problem):
    """The server does not send to this address: it leads into a private network, or is not written in its plain form.

    Give a public address by name, over https. Whoever runs the server can except single addresses for development.
    """

    code: ClassVar[str] = "outbound_refused"
    status: ClassVar[int] = 400


class Repeat(Enum):
    """Whether a failed request may be sent again.

    ALWAYS: the remote side has not acted on it. IF_REPEATABLE: it may have, so only a request that may be sent twice is
    sent again. NEVER: it would fail in the same way.
    """

    ALWAYS = "always"
    IF_REPEATABLE = "if_repeatable"
    NEVER = "never"


class RemoteDown(Problem):
    """The remote side could not be reached, answered too late or brokenly, or said that it is busy.

    Later it may work: it is tried again by itself where a job does it.

    Attributes:
        repeat: whether sending the request again at once is of use.
        retry_after: how long the remote side asks to be left alone, if it said so.
        remote_status: the HTTP status it answered with, if it did.
    """

    code: ClassVar[str] = "remote_down"
    status: ClassVar[int] = 502

    def __init__(
        self,
        detail: str,
        *,
        repeat: Repeat = Repeat.IF_REPEATABLE,
        retry_after: timedelta | None = None,
        remote_status: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(detail, hint=hint)
        self.repeat = repeat
        self.retry_after = retry_after
        self.remote_status = remote_status


class RemoteRefused(Problem):
    """The remote side understood the request and said no: 3xx (redirects are not followed), 4xx, or a permanent SMTP
    answer.

    Look at the address, the account and its rights in the other system.

    Attributes:
        remote_status: the HTTP or SMTP status.
        body: the first 4 KiB of the answer as sent, for the connector that knows its form. May hold personal data: not
            for logs.
    """

    code: ClassVar[str] = "remote_refused"
    status: ClassVar[int] = 502

    def __init__(self, detail: str, *, remote_status: int, body: bytes = b"", hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.remote_status = remote_status
        self.body = body


class TooLarge(Problem):
    """The answer of another system is larger than may be read.

    Ask it for less, such as a report with fewer columns. Nothing of it is kept.
    """

    code: ClassVar[str] = "remote_answer_too_large"
    status: ClassVar[int] = 502


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `read` is the longest silence, `total` the longest duration of one attempt from the look-up of the name
    to the last byte."""

    connect: float = 10.0
    read: float = 30.0
    total: float = 300.0


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently a request is repeated.

    Attributes:
        attempts: the most times it is sent, at least 1.
        first_wait: seconds before the second attempt, doubled for each further one, then reduced at random by up to a
            half.
        longest_wait: seconds. A remote side that asks for more patience than this gets none here: RemoteDown is raised
            with its wish.
    """

    attempts: int = 4
    first_wait: float = 0.5
    longest_wait: float = 30.0


@dataclass(frozen=True, slots=True)
class Basic:
    """HTTP Basic authentication (RFC 7617), in UTF-8."""

    user: str
    password: str = field(repr=False)

    def header(self) -> str:
        """The value of the Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class Bearer:
    """A bearer token (RFC 6750)."""

    token: str = field(repr=False)

    def header(self) -> str:
        """The value of the Authorization header."""
        return f"Bearer {self.token}"


Auth = Basic | Bearer


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: with a 2xx status, unless any was asked for.

    Attributes:
        headers: names in lower case; of a repeated header all values, joined by a comma and a space.
        body: decompressed; empty when it went to a file.
        path: the file it went to, if a sink was given.
        size: bytes of the decompressed body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    path: Path | None
    size: int


@dataclass(frozen=True, slots=True)
class Mail:
    """A message.

    Attributes:
        to: one plain address.
        subject: one line; longer ones are shortened, line breaks become spaces.
        text: the body, plain text.
        key: becomes the Message-ID, so that a mail sent twice after a crash can be known as one. Letters, digits, dots,
            hyphens.
    """

    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)
    key: str
