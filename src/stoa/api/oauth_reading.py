"""What a token request brings: its form and the client's own word about itself (RFC 6749, 2.3 and 4.4.2)."""

import base64
import binascii
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request

from stoa.access.granting import Method, Proof, unknown_client
from stoa.access.jwks import claimed_client
from stoa.kernel.ids import ClientId, parse_id
from stoa.kernel.problems import BadInput

MOST_BYTES: Final = 32 * 1024
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MOST_FIELDS: Final = 20
_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
_LONGEST_SECRET: Final = 300
_KNOWN: Final = frozenset(
    {"grant_type", "scope", "client_id", "client_secret", "client_assertion", "client_assertion_type"}
)


class InvalidRequest(BadInput):
    """A token request lacks something, repeats it, or shows two proofs at once.

    Send `grant_type=client_credentials` as a form, with the client's id and secret in the Authorization header or in
    the form, or with a signed assertion; never two of these.
    """

    code = "invalid_request"


class UnsupportedGrantType(BadInput):
    """The token endpoint knows only the grant `client_credentials`. Send `grant_type=client_credentials`."""

    code = "unsupported_grant_type"


class TokenRequestTooLarge(InvalidRequest):
    """A token request is larger than any that makes sense. It takes a few fields of a form and nothing else."""

    code = "token_request_too_large"
    status = 413


async def read_token_request(request: Request) -> dict[str, str]:
    """The fields that we know; others are ignored, as RFC 6749, 3.2 asks.

    Raises:
        InvalidRequest: it is not a form, too large, or says something twice.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != _MEDIA_TYPE:
        raise InvalidRequest(f"The request must be a form: Content-Type: {_MEDIA_TYPE}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise TokenRequestTooLarge(f"The request has more than {MOST_BYTES // 1024} kB.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidRequest("The form cannot be read.") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields and name in _KNOWN:
            raise InvalidRequest(f"The parameter {name} is given twice.")
        # Without a value it counts as left out (RFC 6749, 3.2).
        if value and name in _KNOWN:
            fields[name] = value
    return fields


def check_grant(fields: Mapping[str, str]) -> None:
    """Raises InvalidRequest without a grant type, UnsupportedGrantType for another one than ours."""
    grant_type = fields.get("grant_type")
    if grant_type is None:
        raise InvalidRequest("The parameter grant_type is missing: it must be client_credentials.")
    if grant_type != "client_credentials":
        raise UnsupportedGrantType("The only grant type here is client_credentials.")


def named_client(fields: Mapping[str, str], authorization: str | None) -> str:
    """Which client the request says it is from, for the throttle: whether there is such a client or not."""
    basic = _basic(authorization)
    given = basic[0] if basic else fields.get("client_id") or claimed_client(fields.get("client_assertion", ""))
    return (given or "")[:100]


def read_proof(fields: Mapping[str, str], authorization: str | None) -> Proof:
    """What the client shows of itself, by one of the three ways.

    Raises:
        InvalidRequest: it shows two proofs, or half of one.
        ClientRefused: it shows none, or names no client that there could be.
    """
    basic = _basic(authorization)
    if authorization is not None and basic is None:
        raise unknown_client()
    shown = [basic is not None, "client_secret" in fields, "client_assertion" in fields]
    if sum(shown) > 1:
        raise InvalidRequest("The client shows who it is in two ways at once.")
    method: Method
    if basic is not None:
        method, (client, proof) = "client_secret_basic", basic
    elif "client_secret" in fields:
        method, client, proof = "client_secret_post", fields.get("client_id", ""), fields["client_secret"]
    elif "client_assertion" in fields:
        if fields.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidRequest(f"client_assertion_type must be {ASSERTION_TYPE}.")
        proof = fields["client_assertion"]
        method, client = "private_key_jwt", claimed_client(proof) or ""
    else:
        raise unknown_client()
    if fields.get("client_id", client) != client:
        raise InvalidRequest("client_id is not the client that the rest of the request names.")
    client_id = parse_id(client)
    if client_id is None or (method != "private_key_jwt" and len(proof) > _LONGEST_SECRET):
        raise unknown_client()
    return Proof(ClientId(client_id), method, proof)


def _basic(authorization: str | None) -> tuple[str, str] | None:
    """Id and secret of an Authorization header, each form-encoded within it (RFC 6749, 2.3.1)."""
    scheme, _, given = (authorization or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        return None
    return (unquote_plus(user), unquote_plus(password)) if colon else None
