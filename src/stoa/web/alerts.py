"""Pages of the alerts: what needs a person, and what was done about it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.model import Credential
from stoa.access.operators import operator_by_id
from stoa.access.permissions import Permission
from stoa.access.queries import credential
from stoa.alerts import handling, listing, queries
from stoa.alerts.catalogue import CATALOGUE
from stoa.alerts.listing import AlertsAsk, Shown
from stoa.alerts.model import Alert, AlertId
from stoa.alerts.notes import notes
from stoa.alerts.rules import LONGEST_REASON
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import CredentialId, OperatorId, parse_id
from stoa.kernel.problems import BadInput, NotFound
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

_ONE: Final = "/alerts/{alert_id}"
_TABS: Final[tuple[tuple[Shown, str], ...]] = (
    ("open", "/alerts"),
    ("muted", "/alerts/muted"),
    ("resolved", "/alerts/resolved"),
    ("all", "/alerts/all"),
)
MUTE_DAYS: Final = ("1", "3", "7", "14", "30", "90")
CSV_HEADER: Final = (
    *("state", "severity", "kind", "title", "detail", "hint", "owner_email", "occurrences", "first_at", "last_at"),
    *("muted_until", "muted_reason", "resolved_at", "run_id", "alert_id"),
)


def _listing(shown: Shown) -> Listing:
    sorts = {"last_at": "last_at", "severity": "severity", "first_at": "first_at"}
    # What needs somebody comes by how much it does; what is over, by when it was.
    default = "-severity" if shown == "open" else "-last_at"
    return Listing(name=f"alerts-{shown}", sorts=sorts, default=default, catalogue=CATALOGUE)


LISTS: Final[Mapping[Shown, Listing]] = {shown: _listing(shown) for shown, _ in _TABS}


def alert_pages(shell: Shell) -> list[Route]:
    """Their routes. The tabs stand before the alerts' own pages, for whose ids their names could be taken."""
    lists = [
        route
        for shown, path in _TABS
        for route in (
            tenant_page(shell, path, _list(shown), needs=Permission.TENANT_VIEW),
            tenant_page(shell, f"{path}.csv", _export(shown), needs=Permission.TENANT_VIEW),
        )
    ]
    acts = {
        "acknowledge": _acknowledge,
        "assign": _assign,
        "mute": _mute,
        "unmute": _unmute,
        "resolve": _resolve,
    }
    return [
        *lists,
        tenant_page(shell, _ONE, _show, needs=Permission.TENANT_VIEW),
        *(tenant_action(shell, f"{_ONE}/{name}", act, needs=Permission.ALERT_CHANGE) for name, act in acts.items()),
    ]


# ------------------------------------------------------------------ the list


def _ask(shown: Shown, ask: Ask) -> AlertsAsk:
    sort: listing.AlertSort
    match ask.sort:
        case "severity" | "first_at":
            sort = ask.sort
        case _:
            sort = "last_at"
    return AlertsAsk(shown, ask.search, ask.typed, sort, ask.descending, ask.after, ask.limit)


def _list(shown: Shown) -> Callable[[Visit], Awaitable[Response]]:
    async def show(visit: Visit) -> Response:
        ask = read_ask(visit, LISTS[shown])
        async with visit.tx() as tx:
            found = Slice((), None)
            if ask.problem is None:
                page = await listing.alerts_page(tx, _ask(shown, ask))
                found = Slice(page.rows, page.next)
            numbers = await listing.counts(tx)
        return visit.page(
            "alerts/alerts.html",
            listed=LISTS[shown].page(visit, ask, found),
            shown=shown,
            numbers=numbers,
            tabs={name: visit.base + path for name, path in _TABS},
            kinds=_kinds(visit),
        )

    return show


def _export(shown: Shown) -> Callable[[Visit], Awaitable[Response]]:
    async def export(visit: Visit) -> Response:
        ask = read_ask(visit, LISTS[shown])
        if ask.problem is not None:
            raise BadInput(ask.problem)

        async def rows() -> AsyncGenerator[tuple[object, ...]]:
            async with visit.tx() as tx:
                async for one in listing.all_alerts(tx, _ask(shown, ask)):
                    yield tuple(getattr(one, name) for name in CSV_HEADER)

        return await csv_export(visit, f"alerts-{shown}.csv", CSV_HEADER, rows())

    return export


# ------------------------------------------------------------------ one alert


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the history, as it is read. who: a name, or what acted."""

    at: datetime
    who: str
    what: str
    text: str


async def _show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(
    visit: Visit, *, given: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None
) -> Response:
    alert_id = _id(visit)
    async with visit.tx() as tx:
        alert = await queries.alert(tx, alert_id)
        history = await notes(tx, alert_id)
        shown = None if alert is None else await _credential_of(tx, alert)
    if alert is None:
        raise NotFound("There is no such alert.", hint="The list of alerts shows those there are.")
    actors = {one.actor for one in history} | ({alert.acknowledged_by} if alert.acknowledged_by else set[str]())
    names = await _names(visit, actors)
    return visit.page(
        "alerts/alert.html",
        status=422 if errors else 200,
        alert=alert,
        kind=_kinds(visit).get(alert.kind, alert.kind),
        about=about(visit, alert, shown),
        history=[Line(one.at, names[one.actor], one.what, one.text) for one in reversed(history)],
        acknowledged_by=names.get(alert.acknowledged_by or ""),
        address=f"{visit.base}/alerts/{alert_id}",
        mute_days=MUTE_DAYS,
        longest_reason=LONGEST_REASON,
        given=given or {},
        errors=errors or {},
    )


async def _credential_of(tx: TenantTx, alert: Alert) -> Credential | None:
    """The token, key or secret that an alert is about."""
    credential_id = parse_id(alert.key) if alert.kind == "secret_expiring" else None
    return None if credential_id is None else await credential(tx, CredentialId(credential_id))


def about(visit: Visit, alert: Alert, shown: Credential | None = None) -> tuple[str, str] | None:
    """The address of what an alert is about, and what to call it. shown: the token, key or secret that it names."""
    if shown is not None and shown.client_id is not None:
        return f"{visit.base}/api-clients/{shown.client_id}", visit.gettext("Open the API client")
    if alert.run_id is not None:
        return f"{visit.base}/runs/{alert.run_id}", visit.gettext("Open the run")
    match alert.kind:
        case "run_missed" if parse_id(alert.key) is not None:
            return f"{visit.base}/connections/{quote(alert.key)}", visit.gettext("Open the connection")
        case "webhook_failing" | "webhook_gave_up" if parse_id(alert.key) is not None:
            return f"{visit.base}/webhooks/{quote(alert.key)}", visit.gettext("Open the webhook")
        case "run_held" | "run_failed" | "secret_expiring" | "scim_token_refused" | "scim_refused":
            return f"{visit.base}/connections", visit.gettext("Open the connections")
        case "audit_broken" if visit.may(Permission.AUDIT_VIEW):
            return f"{visit.base}/audit", visit.gettext("Open the audit log")
        case _:
            return None


async def _names(visit: Visit, actors: Iterable[str]) -> dict[str, str]:
    """How people read who acted. Operators are named to those who may see the alert."""
    found: dict[str, str] = {}
    async with visit.platform() as tx:
        for actor in actors:
            sort, _, rest = actor.partition(":")
            operator_id = parse_id(rest) if sort == "operator" else None
            if operator_id is not None:
                try:
                    found[actor] = (await operator_by_id(tx, OperatorId(operator_id))).name
                except NotFound:
                    found[actor] = visit.gettext("An operator who is gone")
            else:
                found[actor] = _machine(visit, sort)
    return found


def _machine(visit: Visit, sort: str) -> str:
    match sort:
        case "operator":
            return visit.gettext("The operator of the server, by command")
        case "scim":
            return visit.gettext("A SCIM client")
        case _:
            return visit.gettext("Stoa")


def _kinds(visit: Visit) -> dict[str, str]:
    return {
        "run_held": visit.gettext("Held run"),
        "run_failed": visit.gettext("Failed run"),
        "run_missed": visit.gettext("Missed run"),
        "job_dead": visit.gettext("Job that gave up"),
        "secret_expiring": visit.gettext("Expiring token or key"),
        "scim_token_refused": visit.gettext("Refused token"),
        "scim_refused": visit.gettext("Refused users"),
        "scim_failed": visit.gettext("SCIM failure"),
        "webhook_failing": visit.gettext("Failing webhook"),
        "webhook_gave_up": visit.gettext("Webhook that missed an event"),
        "audit_broken": visit.gettext("Changed audit log"),
    }


def _id(visit: Visit) -> AlertId:
    return AlertId(visit.id("alert_id"))


# ------------------------------------------------------------------ what can be done


async def _acknowledge(visit: Visit) -> Response:
    return await _act(visit, handling.acknowledge, visit.gettext("You look after this alert now."))


async def _unmute(visit: Visit) -> Response:
    return await _act(visit, handling.unmute, visit.gettext("The alert is open again."))


async def _assign(visit: Visit) -> Response:
    email = (await visit.form()).text("owner", most=320)
    return await _act(
        visit,
        lambda tx, alert_id: handling.assign(tx, alert_id, email),
        visit.gettext("The alert is handed over, and its new owner is told by mail."),
        given={"owner": email},
        field="owner",
    )


async def _mute(visit: Visit) -> Response:
    form = await visit.form()
    reason, days = form.text("mute_reason", most=4 * LONGEST_REASON), form.text("mute_days", most=10)
    given = {"mute_reason": reason, "mute_days": days}
    if days not in MUTE_DAYS:
        return await _page(visit, given=given, errors={"mute_days": visit.gettext("Choose one of these times.")})
    return await _act(
        visit,
        lambda tx, alert_id: handling.mute(tx, alert_id, reason, tx.now + timedelta(days=int(days))),
        visit.gettext("The alert is muted. It comes back when the time is over or it gets worse."),
        given=given,
        field="mute_reason",
    )


async def _resolve(visit: Visit) -> Response:
    reason = (await visit.form()).text("resolve_reason", most=4 * LONGEST_REASON)
    return await _act(
        visit,
        lambda tx, alert_id: handling.resolve(tx, alert_id, reason),
        visit.gettext("The alert is resolved. Seen again, its cause opens a new one."),
        given={"resolve_reason": reason},
        field="resolve_reason",
    )


async def _act(
    visit: Visit,
    act: Callable[[TenantTx, AlertId], Awaitable[Alert]],
    said: str,
    *,
    given: Mapping[str, str] | None = None,
    field: str | None = None,
) -> Response:
    """Does it, and shows the alert; what can be corrected is shown again beside its field."""
    alert_id = _id(visit)
    try:
        async with visit.writing() as tx:
            await act(tx, alert_id)
    except BadInput as error:
        if field is None:
            raise
        return await _page(visit, given=given, errors={field: str(error)})
    return visit.see(f"/alerts/{alert_id}", said=said)
