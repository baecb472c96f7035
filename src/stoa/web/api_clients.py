"""API clients: the integrations that a tenant lets in, what they may do, and their keys and secrets."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access import client_credentials, clients, clients_queries
from stoa.access.client_credentials import MOST_LIVE, Shown
from stoa.access.clients_model import Client, ClientLine, ClientNameTaken, TooManyClients, TooManySecrets
from stoa.access.clients_rules import MOST_PER_MINUTE
from stoa.access.jwks import LONGEST_SET, BadKeys
from stoa.access.model import Credential, Issued
from stoa.access.permissions import Permission
from stoa.access.rules import LONGEST_NAME
from stoa.kernel.cursors import Position, id_mark, moment_mark, read_position, text_mark
from stoa.kernel.ids import ClientId, CredentialId
from stoa.kernel.problems import BadInput, Conflict, NotFound
from stoa.kernel.stamps import ChangedMeanwhile
from stoa.tenants.queries import source as source_of
from stoa.tenants.rules import BadFields
from stoa.web.api_clients_forms import (
    DAYS,
    DEFAULT_DAYS,
    EMPTY,
    Given,
    days_of,
    field_of,
    given_of,
    read_terms_form,
    resources,
    terms_of,
)
from stoa.web.api_clients_tokens import api_token_pages, api_tokens
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.listing import Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

_LIST: Final = "/api-clients"
_ONE: Final = f"{_LIST}/{{client_id}}"
_CREDENTIAL: Final = f"{_ONE}/credentials/{{secret_id}}/revoke"
LIST: Final = Listing(
    name="api-clients", sorts={"name": "name", "created_at": "created_at"}, default="name", catalogue=None
)
CSV_HEADER: Final = (
    *("name", "client_id", "state", "scopes", "keys", "secrets", "allowed_addresses", "created_at", "last_used_at"),
    "next_expiry",
)
# What expires within this time is told of; the same as the first alert about it.
SOON: Final = timedelta(days=30)
_MOST_ENDED: Final = 20
_KINDS: Final[Mapping[str, Shown]] = {"keys": "api_key", "secrets": "client_secret"}


@dataclass(frozen=True, slots=True)
class _Desk:
    """base_url: where clients reach this server. versions: those of the API, newest first."""

    base_url: str
    versions: Sequence[str]


_Handler = Callable[[Visit, _Desk], Awaitable[Response]]


def api_client_pages(shell: Shell, *, base_url: str, versions: Sequence[str]) -> list[Route]:
    """Their routes.

    base_url: scheme, host and port under which clients reach this server. versions: of the API, newest first.
    """
    desk, change = _Desk(base_url.rstrip("/"), versions), Permission.API_CHANGE

    def at(handler: _Handler) -> Callable[[Visit], Awaitable[Response]]:
        async def handle(visit: Visit) -> Response:
            return await handler(visit, desk)

        return handle

    return [
        tenant_page(shell, _LIST, _list),
        tenant_page(shell, f"{_LIST}.csv", _export),
        tenant_page(shell, f"{_LIST}/new", at(_new), needs=change),
        tenant_action(shell, f"{_LIST}/new", at(_create), needs=change),
        tenant_page(shell, _ONE, at(_show)),
        tenant_page(shell, f"{_ONE}/change", at(_edit), needs=change),
        tenant_action(shell, f"{_ONE}/change", at(_change), needs=change),
        *(tenant_action(shell, f"{_ONE}/{name}", at(_issuing(kind)), needs=change) for name, kind in _KINDS.items()),
        tenant_action(shell, f"{_ONE}/jwks", at(_set_keys), needs=change),
        tenant_page(shell, _CREDENTIAL, _ask_revoke, needs=change),
        tenant_action(shell, _CREDENTIAL, _revoke, needs=change),
        tenant_action(shell, f"{_ONE}/disable", _disable, needs=change),
        tenant_action(shell, f"{_ONE}/enable", _enable, needs=change),
        tenant_page(shell, f"{_ONE}/delete", _ask_delete, needs=change),
        tenant_action(shell, f"{_ONE}/delete", _delete, needs=change),
        *api_token_pages(shell),
    ]


# ------------------------------------------------------------------ the list


async def _list(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    found: Slice[ClientLine] = Slice((), None)
    async with visit.tx() as tx:
        tokens = await api_tokens(tx)
        if ask.problem is None:
            rows, further = await clients_queries.clients(
                tx,
                search=ask.search,
                sort=_sort(ask.sort),
                descending=ask.descending,
                after=_position(ask.after, ask.sort),
                limit=ask.limit,
            )
            found = Slice(rows, further)
    return visit.page(
        "api_clients/list.html",
        tokens=tokens,
        listed=LIST.page(visit, ask, found),
        soon=visit.now + SOON,
        may_change=visit.may(Permission.API_CHANGE),
    )


def _sort(name: str) -> clients_queries.Sort:
    return "created_at" if name == "created_at" else "name"


def _position(after: Position | None, sort: str) -> tuple[object, ...] | None:
    """Where a page begins, from its cursor. Raises BadCursor for one that no page gave."""
    if after is None:
        return None
    return read_position(after, moment_mark if sort == "created_at" else text_mark, id_mark)


async def _export(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)

    async def rows() -> AsyncGenerator[tuple[object, ...]]:
        async with visit.tx() as tx:
            found, _ = await clients_queries.clients(
                tx,
                search=ask.search,
                sort=_sort(ask.sort),
                descending=ask.descending,
                limit=clients.MOST_CLIENTS,
            )
        for line in found:
            one = line.client
            yield (
                *(one.name, str(one.client_id), "disabled" if one.disabled_at else "enabled"),
                *(" ".join(sorted(one.scopes)), line.api_keys, line.secrets, " ".join(one.allowed_addresses)),
                *(one.created_at, one.used_at, line.expires_at),
            )

    return await csv_export(visit, "api-clients.csv", CSV_HEADER, rows())


# ------------------------------------------------------------------ what a client may


async def _new(visit: Visit, desk: _Desk) -> Response:
    return _form(visit, desk, None, EMPTY, {})


async def _create(visit: Visit, desk: _Desk) -> Response:
    given = read_terms_form(await visit.form())
    try:
        async with visit.writing() as tx:
            made = await clients.create_client(tx, terms_of(given))
    except BadFields as problem:
        return _form(visit, desk, None, given, _errors(problem))
    except ClientNameTaken as problem:
        return _form(visit, desk, None, given, {"name": str(problem)})
    except (Conflict, TooManyClients) as problem:
        return _form(visit, desk, None, given, {"form": str(problem)})
    said = visit.gettext("The client is made. Nothing opens it yet: make a key or a secret.")
    return visit.see(f"{_LIST}/{made.client_id}", said=said)


async def _edit(visit: Visit, desk: _Desk) -> Response:
    async with visit.tx() as tx:
        client = await clients_queries.client(tx, _id(visit))
    return _form(visit, desk, client, given_of(client.terms), {})


async def _change(visit: Visit, desk: _Desk) -> Response:
    form = await visit.form()
    given, client_id = read_terms_form(form), _id(visit)
    errors: Mapping[str, str]
    try:
        async with visit.writing() as tx:
            await clients.change_client(tx, client_id, terms_of(given), stamp=form.text("stamp", most=1_000))
    except BadFields as problem:
        errors = _errors(problem)
    except ClientNameTaken as problem:
        errors = {"name": str(problem)}
    except ChangedMeanwhile as problem:
        errors = {"meanwhile": ", ".join(sorted(problem.fields))}
    except Conflict as problem:
        errors = {"form": str(problem)}
    else:
        return visit.see(f"{_LIST}/{client_id}", said=visit.gettext("The client is changed. It holds at once."))
    async with visit.tx() as tx:
        client = await clients_queries.client(tx, client_id)
    return _form(visit, desk, client, given, errors)


def _form(visit: Visit, desk: _Desk, client: Client | None, given: Given, errors: Mapping[str, str]) -> Response:
    return visit.page(
        "api_clients/form.html",
        status=422 if errors else 200,
        client=client,
        stamp=None if client is None else clients.change_stamp(client),
        given=given.texts,
        scopes=given.scopes,
        errors=errors,
        resources=resources(),
        field_of=field_of,
        # A version that is no longer offered stays, until somebody chooses another.
        versions=list(dict.fromkeys(filter(None, (given.texts["version"], *desk.versions)))),
        longest_name=LONGEST_NAME,
        most_per_minute=MOST_PER_MINUTE,
    )


def _errors(problem: BadFields) -> dict[str, str]:
    return {name: str(one) for name, one in problem.by_field.items()}


# ------------------------------------------------------------------ one client


async def _show(visit: Visit, desk: _Desk) -> Response:
    return await _page(visit, desk)


async def _page(
    visit: Visit, desk: _Desk, *, errors: Mapping[str, str] | None = None, given: Mapping[str, str] | None = None
) -> Response:
    client_id = _id(visit)
    async with visit.tx() as tx:
        line = await clients_queries.client_line(tx, client_id)
        shown = await clients_queries.credentials_of(tx, client_id)
        source = None if line.client.source_id is None else await source_of(tx, line.client.source_id)
    return visit.page(
        "api_clients/client.html",
        status=422 if errors else 200,
        line=line,
        client=line.client,
        source=source,
        keys=_alive(visit, shown, "api_key"),
        secrets=_alive(visit, shown, "client_secret"),
        ended=[one for one in shown if not one.opens_at(visit.now)][:_MOST_ENDED],
        soon=visit.now + SOON,
        most_live=MOST_LIVE,
        days=DAYS,
        default_days=DEFAULT_DAYS,
        longest_name=LONGEST_NAME,
        longest_set=LONGEST_SET,
        errors=errors or {},
        given=given or {},
        base_url=desk.base_url,
        may_change=visit.may(Permission.API_CHANGE),
        address=_address(visit, client_id),
    )


def _alive(visit: Visit, shown: Sequence[Credential], kind: Shown) -> list[Credential]:
    return [one for one in shown if one.kind == kind and one.opens_at(visit.now)]


def _issuing(kind: Shown) -> _Handler:
    async def issue(visit: Visit, desk: _Desk) -> Response:
        form, client_id = await visit.form(), _id(visit)
        given = {"name": form.get("name", "").strip(), "days": form.get("days", "")}
        try:
            days = days_of(given["days"])
            async with visit.writing() as tx:
                issued = await client_credentials.issue(tx, client_id, kind, given["name"], days=days)
                client = await clients_queries.client(tx, client_id)
        except (BadInput, TooManySecrets) as problem:
            return await _page(visit, desk, errors={kind: str(problem)}, given=given)
        return _once(visit, desk, client, issued, kind)

    return issue


def _once(visit: Visit, desk: _Desk, client: Client, issued: Issued, kind: Shown) -> Response:
    """The only page that ever shows it. No cache keeps it: pages say no-store."""
    return visit.page(
        "api_clients/once.html",
        client=client,
        shown=issued.token,
        kind=kind,
        base_url=desk.base_url,
        address=_address(visit, client.client_id),
    )


async def _set_keys(visit: Visit, desk: _Desk) -> Response:
    text = (await visit.form()).text("jwks", most=4 * LONGEST_SET)
    client_id = _id(visit)
    try:
        async with visit.writing() as tx:
            changed = await clients.set_keys(tx, client_id, text)
    except BadKeys as problem:
        # A private key that was pasted by mistake is not shown again.
        return await _page(visit, desk, errors={"jwks": str(problem)})
    said = visit.gettext("The public keys are registered.") if changed.keys else visit.gettext("It has no keys now.")
    return visit.see(f"{_LIST}/{client_id}", said=said)


async def _ask_revoke(visit: Visit) -> Response:
    client_id = _id(visit)
    async with visit.tx() as tx:
        client = await clients_queries.client(tx, client_id)
        shown = await clients_queries.credentials_of(tx, client_id)
    one = next((one for one in shown if one.credential_id == visit.id("secret_id")), None)
    if one is None:
        raise NotFound("This client has no such key or secret.", hint="Its page shows those that it has.")
    return visit.page(
        "api_clients/revoke.html",
        client=client,
        one=one,
        others=len(_alive(visit, shown, "api_key" if one.kind == "api_key" else "client_secret")) - 1,
        address=_address(visit, client_id),
    )


async def _revoke(visit: Visit) -> Response:
    client_id = _id(visit)
    async with visit.writing() as tx:
        await client_credentials.revoke_of(tx, client_id, CredentialId(visit.id("secret_id")))
    return visit.see(f"{_LIST}/{client_id}", said=visit.gettext("It is revoked. It opens nothing any more."))


async def _disable(visit: Visit) -> Response:
    async with visit.writing() as tx:
        await clients.disable_client(tx, _id(visit))
    return visit.see(f"{_LIST}/{_id(visit)}", said=visit.gettext("The client is shut out."))


async def _enable(visit: Visit) -> Response:
    async with visit.writing() as tx:
        await clients.enable_client(tx, _id(visit))
    return visit.see(f"{_LIST}/{_id(visit)}", said=visit.gettext("The client is let in again."))


async def _ask_delete(visit: Visit) -> Response:
    async with visit.tx() as tx:
        line = await clients_queries.client_line(tx, _id(visit))
    return visit.page(
        "api_clients/delete.html", line=line, client=line.client, address=_address(visit, line.client.client_id)
    )


async def _delete(visit: Visit) -> Response:
    async with visit.writing() as tx:
        await clients.delete_client(tx, _id(visit))
    return visit.see(_LIST, said=visit.gettext("The client is deleted."))


def _id(visit: Visit) -> ClientId:
    return ClientId(visit.id("client_id"))


def _address(visit: Visit, client_id: ClientId) -> str:
    return f"{visit.base}{_LIST}/{client_id}"
