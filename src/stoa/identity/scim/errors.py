"""Failures in SCIM's own form (RFC 7644, 3.12). Identity providers show `detail` to their admin, so it says what to
do.
"""

from enum import Enum
from http import HTTPStatus
from typing import ClassVar, Final

import msgspec

from stoa.identity.scim.model import ERROR_SCHEMA
from stoa.kernel.filters import FilterError, PathError
from stoa.kernel.problems import Problem

_encode: Final = msgspec.json.Encoder().encode


class ScimType(Enum):
    """The `scimType` words of RFC 7644, table 9, and of RFC 9865, section 2.1."""

    INVALID_FILTER = "invalidFilter"
    TOO_MANY = "tooMany"
    UNIQUENESS = "uniqueness"
    MUTABILITY = "mutability"
    INVALID_SYNTAX = "invalidSyntax"
    INVALID_PATH = "invalidPath"
    NO_TARGET = "noTarget"
    INVALID_VALUE = "invalidValue"
    INVALID_CURSOR = "invalidCursor"
    EXPIRED_CURSOR = "expiredCursor"
    INVALID_COUNT = "invalidCount"


class ScimError(Problem):
    """A SCIM request is answered with an error.

    The status, and `scimType` in the answer, say which (RFC 7644, section 3.12).
    """

    code: ClassVar[str] = "scim_error"

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        scim_type: ScimType | None = None,
        *,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.http_status = status
        self.scim_type = scim_type
        self.headers = headers


def bad(scim_type: ScimType, detail: str) -> ScimError:
    """400 with its `scimType`; PATCH of what may not change included."""
    return ScimError(HTTPStatus.BAD_REQUEST, detail, scim_type)


def invalid_value(detail: str) -> ScimError:
    """A value that the attribute cannot take."""
    return bad(ScimType.INVALID_VALUE, detail)


def invalid_syntax(detail: str) -> ScimError:
    """A body that is not a message of the schema."""
    return bad(ScimType.INVALID_SYNTAX, detail)


def not_found(detail: str) -> ScimError:
    """404. Things of another tenant answer the same."""
    return ScimError(HTTPStatus.NOT_FOUND, detail)


def unauthorised(detail: str, *, invalid: bool = False) -> ScimError:
    """401 with the challenge of RFC 6750, section 3."""
    challenge = 'Bearer realm="scim", error="invalid_token"' if invalid else 'Bearer realm="scim"'
    return ScimError(HTTPStatus.UNAUTHORIZED, detail, headers=(("www-authenticate", challenge),))


def of_filter(error: FilterError) -> ScimError:
    """What a filter or path of the filter language failed with: invalidPath for a path, invalidFilter for what stands
    in brackets or a query.
    """
    return bad(ScimType.INVALID_PATH if isinstance(error, PathError) else ScimType.INVALID_FILTER, str(error))


def error_body(status: int, detail: str, scim_type: ScimType | None = None) -> bytes:
    """The JSON of an error. `status` is a string in it, as the RFC has it."""
    body: dict[str, object] = {"schemas": [ERROR_SCHEMA], "status": str(status), "detail": detail}
    if scim_type is not None:
        body["scimType"] = scim_type.value
    return _encode(body)
