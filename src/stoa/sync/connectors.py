"""What a connector is, how connectors are found, and how a connection's settings are divided from its secrets."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

import polars as pl
from pydantic import BaseModel, SecretStr, ValidationError

from stoa.kernel.problems import BadInput, Misconfigured
from stoa.outbound.http import HttpClient
from stoa.sync.feeds import Feed
from stoa.sync.model import FeedMapping

ENTRY_POINTS: Final = "stoa.connectors"
C = TypeVar("C", bound=BaseModel)


@runtime_checkable
class Connector(Protocol):
    """One kind of system that people come from. A module `connector` has one, without state, as CONNECTOR.

    Attributes:
        name: stable, lower case, as commands and tables spell it; `workday`.
        title: for people; `Workday`.
        source_kind: the kind of source it feeds; `hris`.
        config_model: the settings of a connection. Fields of type SecretStr are sealed apart from the others; its JSON
            Schema renders the console's form. Its models forbid extra fields.
    """

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def source_kind(self) -> str: ...

    @property
    def config_model(self) -> type[BaseModel]: ...

    def mapping(self, config: Any) -> FeedMapping:
        """How the feed's columns become fields. Raises BadInput if the settings ask for what cannot be."""
        ...

    async def read(self, config: Any, client: HttpClient, into: Path, *, allow: frozenset[str] = frozenset()) -> Feed:
        """Fetches the whole feed into a file in the folder `into`, which is there and is the run's own.

        `allow`: exact `host:port` pairs that development exempts from the address checks. Raises FeedRefused,
        OutboundRefused, RemoteDown, RemoteRefused or TooLarge.
        """
        ...

    def frame(self, feed: Feed, config: Any) -> pl.DataFrame:
        """The feed's rows as text columns; absent cells are null. Raises FeedRefused. CPU work: call it in a thread."""
        ...


def discover(packages: Iterable[str]) -> dict[str, Connector]:
    """Every connector by name: one for each sub-package of `packages` that has a module `connector`, and those that
    installed distributions declare under the entry point group `stoa.connectors`.

    The composition root names the packages, because sync may not know the rooms above it. Raises Misconfigured for a
    module without a connector, or two connectors of one name.
    """
    found: dict[str, Connector] = {}
    for module in _modules(packages):
        _add(found, getattr(importlib.import_module(module), "CONNECTOR", None), module)
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        _add(found, point.load(), point.value)
    return found


def _modules(packages: Iterable[str]) -> Iterable[str]:
    for name in packages:
        paths: Iterable[str] = importlib.import_module(name).__path__
        for child in pkgutil.iter_modules(paths):
            inside = f"{name}.{child.name}.connector"
            if child.ispkg and importlib.util.find_spec(inside) is not None:
                yield inside


def _add(found: dict[str, Connector], candidate: object, where: str) -> None:
    if not isinstance(candidate, Connector):
        raise Misconfigured(f"{where} has no CONNECTOR that is a connector.")
    if candidate.name in found:
        raise Misconfigured(f"Two connectors are called {candidate.name!r}; one is in {where}.")
    found[candidate.name] = candidate


def split_config(model: type[BaseModel], given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings that were given, checked, as (those that may be shown, as JSON; the secrets).

    Raises BadInput with `errors`: a list of {"field": path, "detail": what is wrong}. No value is repeated in it.
    """
    config = _validated(model, given)
    secret = secret_fields(model)
    public: dict[str, Any] = config.model_dump(mode="json", exclude=set(secret))
    values = {name: getattr(config, name) for name in secret}
    return public, {name: value.get_secret_value() for name, value in values.items() if isinstance(value, SecretStr)}


def join_config(model: type[C], public: Mapping[str, Any], secrets: Mapping[str, str]) -> C:
    """The settings of a connection as stored. Raises BadInput, as `split_config`, if they no longer fit the model."""
    return _validated(model, {**public, **secrets})


def secret_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """The names of the top-level fields that hold secrets: SecretStr, or SecretStr or None."""
    return tuple(
        name
        for name, field in model.model_fields.items()
        if field.annotation is SecretStr or SecretStr in getattr(field.annotation, "__args__", ())
    )


def _validated(model: type[C], given: Mapping[str, Any]) -> C:
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        errors = [
            {"field": ".".join(str(part) for part in found["loc"]) or "(settings)", "detail": _plain(found["msg"])}
            for found in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    told = "; ".join(f"{error['field']}: {error['detail']}" for error in errors)
    raise BadInput(f"The settings cannot be used: {told}.", hint="Correct these fields.", errors=errors)


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").rstrip(".")
