"""The pages of an identity provider: connecting one, its tokens, and what it did."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.model import Issued
from stoa.access.permissions import Permission
from stoa.access.rules import LONGEST_NAME
from stoa.identity.scim import log_queries, queries, tokens
from stoa.kernel.ids import CredentialId, SourceId, new_id
from stoa.kernel.problems import BadInput, NotFound
from stoa.people.groups_queries import count_groups
from stoa.sync.overview import SOON, is_live, provider_of
from stoa.tenants.model import Source
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_NEW: Final = "/connections/scim/new"
_ONE: Final = "/connections/scim/{source_id}"
# What the form offers as the life of a token, in days.
_NO_END: Final = "never"
DAYS: Final = ("90", "180", "365", _NO_END)
_DEFAULT_DAYS: Final = "365"
# Requests that the page of a provider shows; the log has them all.
_LATEST: Final = 5
PROVIDERS: Final[Mapping[str, str]] = {"okta": "Okta", "entra": "Entra ID", "other": ""}


@dataclass(frozen=True, slots=True)
class _Desk:
    """base_url: scheme, host and port under which clients reach this server."""

    base_url: str

    def address(self, visit: Visit) -> str:
        """Where the tenant's identity provider sends its requests."""
        assert visit.tenant is not None
        return f"{self.base_url}/t/{visit.tenant.slug}/scim/v2"


_Handler = Callable[[Visit, _Desk], Awaitable[Response]]


def scim_pages(shell: Shell, base_url: str) -> list[Route]:
    """Their routes.

    base_url: as `scim_routes` has it.
    """
    desk, change = _Desk(base_url.rstrip("/")), Permission.CONNECTION_CHANGE

    def at(handler: _Handler) -> Callable[[Visit], Awaitable[Response]]:
        async def handle(visit: Visit) -> Response:
            return await handler(visit, desk)

        return handle

    return [
        tenant_page(shell, _NEW, at(_form), needs=change),
        tenant_action(shell, _NEW, at(_connect), needs=change),
        tenant_page(shell, _ONE, at(_show), needs=Permission.TENANT_VIEW),
        tenant_action(shell, f"{_ONE}/tokens", at(_issue), needs=change),
        tenant_action(shell, f"{_ONE}/tokens/{{credential_id}}/revoke", at(_revoke), needs=change),
    ]


# ------------------------------------------------------------------ a new one


async def _form(visit: Visit, desk: _Desk) -> Response:
    provider = _provider(visit.request.query_params.get("provider", ""))
    return _new(visit, desk, {"provider": provider, "name": PROVIDERS[provider], "days": _DEFAULT_DAYS}, {})


async def _connect(visit: Visit, desk: _Desk) -> Response:
    form = await visit.form()
    given = {name: form.get(name, "").strip() for name in ("provider", "name", "days")}
    given["provider"] = _provider(given["provider"])
    try:
        days = _days(given["days"])
        async with visit.writing() as tx:
            made = await tokens.connect_provider(tx, given["name"], days=days)
    except (BadInput, tokens.NameTaken) as problem:
        return _new(visit, desk, given, {"name": str(problem)})
    return _token(visit, desk, made.source, made.issued, given["provider"], first=True)


def _new(visit: Visit, desk: _Desk, given: Mapping[str, str], errors: Mapping[str, str]) -> Response:
    return visit.page(
        "scim/new.html",
        status=422 if errors else 200,
        given=given,
        errors=errors,
        days=DAYS,
        scim_address=desk.address(visit),
        longest_name=LONGEST_NAME,
    )


def _provider(text: str) -> str:
    return text if text in PROVIDERS else "other"


def _days(text: str) -> int | None:
    """Raises BadInput for what the form does not offer."""
    if text not in DAYS:
        raise BadInput("A token lasts as long as one of the choices says.", hint="Choose one of the list.")
    return None if text == _NO_END else int(text)


def _token(visit: Visit, desk: _Desk, source: Source, issued: Issued, provider: str, *, first: bool) -> Response:
    """The only page that ever shows it. No cache keeps it: pages say no-store."""
    return visit.page(
        "scim/token.html",
        source=source,
        token=issued.token,
        first=first,
        provider=provider,
        scim_address=desk.address(visit),
        address=f"{visit.base}/connections/scim/{source.source_id}",
        latest=(),
        latest_after=new_id(),
    )


# ------------------------------------------------------------------ one


def _source_id(visit: Visit) -> SourceId:
    return SourceId(visit.id("source_id"))


async def _show(visit: Visit, desk: _Desk) -> Response:
    return await _page(visit, desk)


async def _page(
    visit: Visit, desk: _Desk, *, error: str | None = None, given: Mapping[str, str] | None = None
) -> Response:
    source_id = _source_id(visit)
    async with visit.tx() as tx:
        line = await provider_of(tx, source_id)
        if line is None:
            raise NotFound(
                visit.gettext("There is no such identity provider."),
                hint=visit.gettext("The list of connections shows those there are."),
            )
        found = await queries.tokens_of(tx, source_id)
        records, active = await queries.headcount(tx, source_id)
        groups = await count_groups(tx, source_id, None)
        refused = await queries.refusals(tx, source_id) if visit.may(Permission.PEOPLE_VIEW) else []
        hours = await queries.windows(tx, source_id)
        latest = await log_queries.latest(tx, source_id, _LATEST) if visit.may(Permission.PEOPLE_VIEW) else []
        fresh = await log_queries.freshness(tx, source_id)
    asked = visit.request.query_params.get("provider", "")
    return visit.page(
        "scim/one.html",
        status=422 if error else 200,
        line=line,
        source=line.source,
        live=[one for one in found if is_live(one, visit.now)],
        ended=[one for one in found if not is_live(one, visit.now)][:20],
        soon=visit.now + SOON,
        most_live=tokens.MOST_LIVE,
        records=records,
        active=active,
        groups=groups,
        refusals=refused,
        windows=hours,
        latest=latest,
        latest_after=latest[0].request_id if latest else new_id(),
        fresh=fresh,
        most_counted=queries.MOST_COUNTED,
        provider=asked if asked in PROVIDERS else provider_of_name(line.source.name),
        scim_address=desk.address(visit),
        days=DAYS,
        default_days=_DEFAULT_DAYS,
        error=error,
        given=given or {},
        longest_name=LONGEST_NAME,
        may_change=visit.may(Permission.CONNECTION_CHANGE),
        may_see_people=visit.may(Permission.PEOPLE_VIEW),
        address=f"{visit.base}/connections/scim/{source_id}",
    )


def provider_of_name(name: str) -> str:
    """Whose steps are shown first: what a source is called mostly says it."""
    folded = name.casefold()
    if "okta" in folded:
        return "okta"
    return "entra" if any(word in folded for word in ("entra", "azure", "microsoft")) else "other"


async def _issue(visit: Visit, desk: _Desk) -> Response:
    form = await visit.form()
    given = {name: form.get(name, "").strip() for name in ("name", "days")}
    try:
        days = _days(given["days"])
        async with visit.writing() as tx:
            issued = await tokens.issue_for(tx, _source_id(visit), given["name"], days=days)
            source = await tokens.provider(tx, _source_id(visit))
    except (BadInput, tokens.TooManyTokens) as problem:
        return await _page(visit, desk, error=str(problem), given=given)
    return _token(visit, desk, source, issued, provider_of_name(source.name), first=False)


async def _revoke(visit: Visit, desk: _Desk) -> Response:  # noqa: ARG001 - as every handler
    source_id = _source_id(visit)
    async with visit.writing() as tx:
        await tokens.revoke_of(tx, source_id, CredentialId(visit.id("credential_id")))
    return visit.see(
        f"/connections/scim/{source_id}", said=visit.gettext("The token is revoked. It opens nothing any more.")
    )
