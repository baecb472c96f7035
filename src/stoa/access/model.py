"""Credentials: what a machine shows to be let in."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from stoa.kernel.ids import ClientId, CredentialId, SourceId

# A token stands for itself; the others belong to an API client, and a client secret opens /oauth/token alone.
CredentialKind = Literal["token", "api_key", "client_secret", "access_token"]


@dataclass(frozen=True, slots=True)
class Credential:
    """A bearer credential. The token itself is known to its holder alone.

    Attributes:
        prefix: the first characters of the token, by which people tell credentials apart.
        scopes: what it permits, such as `scim` or `api:read`; never more than its client may.
        source_id: the source in whose name its holder asserts, or None. A client's own, if it is a client's.
        last_used_at: to about a minute; None if never. Of an access token: when its client was last heard of.
        client_id: whose it is, or None of a token.
        allowed_addresses: CIDR networks that its client may call from; empty for anywhere.
        version: the version of the API that its client was written for, as a date, or None for that of the day.
        marks: which versions of its row and its client's these are (PostgreSQL's xmin), or None where nobody asked.
    """

    credential_id: CredentialId
    name: str
    prefix: str
    scopes: frozenset[str]
    source_id: SourceId | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    kind: CredentialKind = "token"
    client_id: ClientId | None = None
    allowed_addresses: tuple[str, ...] = ()
    version: str | None = None
    marks: tuple[int, int | None] | None = field(default=None, repr=False, compare=False)

    def permits(self, scope: str) -> bool:
        """Whether the credential has this scope."""
        return scope in self.scopes

    def opens_at(self, moment: datetime) -> bool:
        """Whether it is neither revoked nor expired at that moment; its client may be disabled all the same."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > moment)


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh credential with its token, which is shown this once."""

    token: str = field(repr=False)
    credential_id: CredentialId
