"""What the handlers of the connections' pages share."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import Response

from stoa.db.transactions import TenantTx
from stoa.jobs.model import Schedule
from stoa.kernel.ids import ConnectionId
from stoa.kernel.problems import Misconfigured, NotFound
from stoa.sync.connectors import Connector
from stoa.sync.forms import FormField, fields_of
from stoa.sync.opening import Opener
from stoa.sync.overview import Line, line_of
from stoa.sync.probing import Probed, probe
from stoa.sync.settings_form import Entered, in_language
from stoa.sync.target import SyncTarget
from stoa.sync.timing import Gettext, in_words, next_times
from stoa.web.visiting import Visit

ONE: Final = "/connections/{connection_id}"
# Trials read up to 16 MiB each; of more at a time, the others wait.
_TRIALS_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers work with.

    Attributes:
        target: what the runs of connections change.
    """

    opener: Opener
    target: SyncTarget
    trials: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_TRIALS_AT_ONCE))

    def connector(self, name: str) -> Connector:
        """The connector of a stored connection. Raises Misconfigured if it is not installed any more."""
        found = self.opener.connectors.get(name)
        if found is None:
            raise Misconfigured(
                f"The connector {name} is not installed here.",
                hint="The operator of the server installs it; until then the connection cannot run.",
            )
        return found

    def fields(self, name: str, gettext: Gettext) -> list[FormField]:
        """The form of a connector's settings, in the visitor's language. Raises as `connector`."""
        return in_language(fields_of(self.connector(name).config_model.model_json_schema()), gettext)

    async def trial(self, connector: str, given: Mapping[str, Any]) -> Probed:
        """Tries settings with their secrets. Raises BadInput with the field that is wrong."""
        public, secrets = self.opener.split(connector, given)
        config = self.opener.config(connector, public, secrets)
        async with self.trials:
            return await probe(
                self.connector(connector), config, self.opener.client, self.target.fields, allow=self.opener.allow
            )


Handler = Callable[[Visit, Desk], Awaitable[Response]]


def at(desk: Desk, handler: Handler) -> Callable[[Visit], Awaitable[Response]]:
    """The handler with the desk in its hands."""

    async def handle(visit: Visit) -> Response:
        return await handler(visit, desk)

    return handle


def connection_id(visit: Visit) -> ConnectionId:
    """The connection that the address names. Raises NotFound when it is no id."""
    return ConnectionId(visit.id("connection_id"))


async def line(visit: Visit, tx: TenantTx) -> Line:
    """The connection that the address names. Raises NotFound."""
    found = await line_of(tx, connection_id(visit))
    if found is None:
        raise NotFound(
            visit.gettext("There is no such connection."),
            hint=visit.gettext("The list of connections shows those there are."),
        )
    return found


def timing(schedule: Schedule | None, visit: Visit) -> dict[str, object]:
    """A schedule in words, and its next moments."""
    if schedule is None:
        return {"rhythm_words": None, "next_runs": []}
    return {
        "rhythm_words": in_words(schedule.cron, visit.gettext),
        "next_runs": next_times(schedule.cron, schedule.time_zone, visit.now),
    }


def settings_of(entered: Entered, errors: Mapping[str, str]) -> dict[str, object]:
    """What the template of a form of settings needs. No secret is among it."""
    return {
        "fields": entered.plain,
        "secrets": entered.secrets,
        "texts": entered.shown,
        "guards": entered.guards,
        "errors": errors,
    }
