"""API clients: the integrations that a tenant lets in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from stoa.access.clients_rules import Terms
from stoa.kernel.ids import ClientId, SourceId
from stoa.kernel.problems import Conflict, NotFound


class NoClient(NotFound):
    """The tenant has no such API client.

    The list of API clients shows those that there are; a deleted one is not among them.
    """

    code = "no_such_client"


class ClientNameTaken(Conflict):
    """Another API client has this name, or asserts facts in it.

    Choose another name: what a client says of people stands under it.
    """

    code = "client_name_taken"


class TooManyClients(Conflict):
    """The tenant has as many API clients as it may have.

    Delete those that are no longer used.
    """

    code = "too_many_clients"


class TooManySecrets(Conflict):
    """The client has as many keys, or secrets, that open as it may have.

    Two may open at a time, which is what a change without a pause takes. Revoke the old one first.
    """

    code = "too_many_secrets"


@dataclass(frozen=True, slots=True)
class Client:
    """An API client, without anything that opens.

    Attributes:
        source_id: in whose name it asserts facts about people, if it ever could.
        allowed_addresses: CIDR networks that it may call from; empty for anywhere.
        version: the version of the API that it is written for, as a date; None for that of the day.
        keys: the public keys by which it signs for itself, as JWKs in the form of `jwks.checked_keys`.
        per_minute: requests a minute; None for what every client may.
        used_at: when it was last heard of, to about a minute; None if never.
    """

    client_id: ClientId
    name: str
    scopes: frozenset[str]
    source_id: SourceId | None
    allowed_addresses: tuple[str, ...]
    version: str | None
    keys: Sequence[Mapping[str, str]]
    per_minute: int | None
    created_at: datetime
    updated_at: datetime
    used_at: datetime | None
    disabled_at: datetime | None

    @property
    def terms(self) -> Terms:
        """What it is let do."""
        return Terms(self.name, sorted(self.scopes), self.allowed_addresses, self.version, self.per_minute)


@dataclass(frozen=True, slots=True)
class ClientLine:
    """A client with how its keys and secrets stand.

    Attributes:
        api_keys, secrets: how many open now.
        expires_at: when the first of them expires; None when none does.
    """

    client: Client
    api_keys: int
    secrets: int
    expires_at: datetime | None
