"""A stored connection made ready for use: its connector found, its configuration checked, its secrets opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel

from stoa.changes.model import Action
from stoa.changes.rules import DEFAULT_THRESHOLDS, Threshold
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import ConnectionId
from stoa.kernel.problems import BadInput, Misconfigured, NotFound
from stoa.outbound.http import HttpClient
from stoa.sync.connectors import Connector, join_config, split_config
from stoa.sync.model import FeedMapping
from stoa.tenants import queries
from stoa.tenants.actions import open_secret
from stoa.tenants.model import Tenant
from stoa.tenants.sealing import Sealer

_AtLeastZero = Annotated[float, msgspec.Meta(ge=0)]


class _Limits(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A threshold, or parts of one; what is left out keeps its default."""

    percent: _AtLeastZero | msgspec.UnsetType = msgspec.UNSET
    absolute: _AtLeastZero | msgspec.UnsetType = msgspec.UNSET
    floor: _AtLeastZero | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """A connection ready for use. guards: thresholds of this connection by action, over the defaults."""

    name: str
    tenant: Tenant
    connector: Connector
    config: BaseModel
    guards: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens connections with the connectors that the composition root found.

    allow: exact `host:port` pairs that development exempts from the address checks of `outbound`.
    """

    connectors: Mapping[str, Connector]
    sealer: Sealer
    client: HttpClient
    allow: frozenset[str] = frozenset()

    async def open(self, tx: TenantTx, connection_id: ConnectionId) -> OpenConnection:
        """The connection. Raises NotFound, or Misconfigured when its connector is not installed or refuses the stored
        configuration.
        """
        stored = await queries.connection(tx, connection_id)
        if stored is None:
            raise NotFound("There is no such connection.")
        connector = self.connectors.get(stored.connector)
        if connector is None:
            raise Misconfigured(
                f"The connector {stored.connector} is not installed here.", hint="Install it, or remove the connection."
            )
        public = dict(stored.config)
        guards = public.pop("guards", {})
        secrets = await open_secret(tx, self.sealer, connection_id)
        config = join_config(connector.config_model, public, secrets)
        return OpenConnection(stored.name, await queries.tenant(tx), connector, config, guards)

    def split(self, name: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Checks a configuration for a connector and parts what may be shown from what is sealed. Raises BadInput with
        the field's path.
        """
        connector = self.connectors.get(name)
        if connector is None:
            known = ", ".join(sorted(self.connectors)) or "none"
            raise BadInput(f"There is no connector {name}.", hint=f"Installed connectors: {known}.")
        rest = dict(given)
        guards = checked_guards(rest.pop("guards", {}))
        public, secrets = split_config(connector.config_model, rest)
        return public | ({"guards": guards} if guards else {}), secrets

    def config(self, name: str, public: Mapping[str, Any], secrets: Mapping[str, str]) -> BaseModel:
        """A connector's own form of settings that `split` has parted. Raises BadInput if they do not fit."""
        return join_config(
            self.connectors[name].config_model, {key: public[key] for key in public if key != "guards"}, secrets
        )

    def mapping(self, name: str, public: Mapping[str, Any], secrets: Mapping[str, str]) -> FeedMapping:
        """The mapping that such settings make. Raises BadInput for one that cannot be."""
        return self.connectors[name].mapping(self.config(name, public, secrets))


def checked_guards(given: object) -> dict[str, dict[str, float]]:
    """Thresholds by action as a configuration gives them: {"deactivate": {"percent": 10, "absolute": 500, "floor": 5}}.

    Raises BadInput with the path of what is wrong.
    """
    try:
        guards = msgspec.convert(given, dict[Action, _Limits])
    except msgspec.ValidationError as error:
        hint = f"Actions: {', '.join(DEFAULT_THRESHOLDS)}. Each takes percent, absolute and floor."
        raise BadInput(f"guards: {error}.", hint=hint) from error
    return {str(action): msgspec.to_builtins(limits) for action, limits in guards.items()}


def threshold(action: Action, guards: Mapping[str, Mapping[str, float]]) -> Threshold:
    """The threshold for an action: the default, with what the connection says over it."""
    default, given = DEFAULT_THRESHOLDS[action], guards.get(str(action), {})
    return Threshold(
        percent=given.get("percent", default.percent),
        absolute=int(given.get("absolute", default.absolute)),
        floor=int(given.get("floor", default.floor)),
    )
