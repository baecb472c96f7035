"""The base of every failure that Stoa explains to somebody.

A slice has a few subclasses; the edges translate them into the form of their protocol: SCIM `scimType`, RFC 9457, xAPI,
OAuth, a line on the
terminal. An expected result (refused, held, duplicate) is a return type, not one of these.
"""

from typing import ClassVar


class Problem(Exception):
    """Something that was asked for could not be done.

    Attributes:
        code: stable machine-readable name, snake_case.
        status: the HTTP status that fits.
        detail: what happened and where, for the person who asked.
        hint: what to do about it and who can, or None.
        extra: further members for the protocol's error form (for example position, column).
    """

    code: ClassVar[str] = "problem"
    status: ClassVar[int] = 500

    def __init__(self, detail: str, *, hint: str | None = None, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.extra = extra

    def __str__(self) -> str:
        return self.detail if self.hint is None else f"{self.detail} {self.hint}"


class BadInput(Problem):
    """The request or file says something that cannot be accepted as it stands. The detail says which part, and why."""

    code = "bad_input"
    status = 400


class NotFound(Problem):
    """There is no such thing in this tenant. Things of another tenant answer the same."""

    code = "not_found"
    status = 404


class Conflict(Problem):
    """The present state does not allow it. The detail says what stands in the way."""

    code = "conflict"
    status = 409


class Misconfigured(Problem):
    """A setting, a file or the environment of the server is not as it must be.

    The operator of the server can mend it: the detail names it.
    """

    code = "misconfigured"
    status = 500
