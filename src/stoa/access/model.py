"""Credentials: what a machine shows to be let in."""

from dataclasses import dataclass, field
from datetime import datetime

from stoa.kernel.ids import CredentialId, SourceId


@dataclass(frozen=True, slots=True)
class Credential:
    """A bearer credential. The token itself is known to its holder alone.

    Attributes:
        prefix: the first characters of the token, by which people tell credentials apart.
        scopes: what it permits, such as `scim` or `api:read`.
        source_id: the source in whose name its holder asserts, or None.
        last_used_at: to about a minute; None if never.
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

    def permits(self, scope: str) -> bool:
        """Whether the credential has this scope."""
        return scope in self.scopes


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh credential with its token, which is shown this once."""

    token: str = field(repr=False)
    credential_id: CredentialId
