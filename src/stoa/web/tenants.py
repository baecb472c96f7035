"""The settings of a tenant: its name, time zone, owner and accent colour; and the style sheet made of the latter."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final
from zoneinfo import available_timezones

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.kernel.problems import BadInput
from stoa.kernel.stamps import ChangedMeanwhile
from stoa.tenants import queries
from stoa.tenants.actions import change_stamp, change_tenant
from stoa.tenants.branding import Branding, brand_css, branding, preview_css
from stoa.tenants.model import Tenant, TenantChange
from stoa.tenants.rules import BadFields, checked_accent
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.limits import limit_pages
from stoa.web.visiting import Shell, Visit

_SETTINGS: Final = "/settings"
_FIELDS: Final = ("name", "time_zone", "owner_name", "owner_email", "accent")
# The address of a tenant's style sheet names the colour, so that a new colour is a new address.
_A_DAY: Final = "private, max-age=86400"
_ASK_AGAIN: Final = "private, no-cache"
# Stoa's own accent, to begin from.
_OWN: Final = "#14615b"


def tenant_settings_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    return [
        tenant_page(shell, _SETTINGS, _show, needs=Permission.TENANT_VIEW),
        tenant_action(shell, _SETTINGS, _save, needs=Permission.TENANT_CHANGE),
        tenant_page(shell, f"{_SETTINGS}/preview", _preview, needs=Permission.TENANT_VIEW),
        tenant_page(shell, f"{_SETTINGS}/preview.css", _preview_css, needs=Permission.TENANT_VIEW),
        tenant_page(shell, "/brand.css", _brand_css, needs=Permission.TENANT_VIEW),
        *limit_pages(shell),
    ]


async def _show(visit: Visit) -> Response:
    async with visit.tx() as tx:
        tenant = await queries.tenant(tx)
    given = {name: getattr(tenant, name) or "" for name in _FIELDS}
    return _settings(visit, tenant, given, {})


async def _save(visit: Visit) -> Response:
    form = await visit.form()
    given = {name: form.get(name, "").strip() for name in _FIELDS}
    change = TenantChange(
        name=given["name"],
        time_zone=given["time_zone"],
        owner_name=given["owner_name"] or None,
        owner_email=given["owner_email"] or None,
        accent=given["accent"] or None,
    )
    try:
        async with visit.writing() as tx:
            await change_tenant(tx, change, stamp=form.get("stamp"))
    except BadFields as problem:
        async with visit.tx() as tx:
            tenant = await queries.tenant(tx)
        return _settings(visit, tenant, given, problem.by_field, status=422, stamp=form.get("stamp"))
    except ChangedMeanwhile as problem:
        async with visit.tx() as tx:
            tenant = await queries.tenant(tx)
        meanwhile = [name for name in _FIELDS if name in problem.fields]
        return _settings(visit, tenant, given, {}, status=problem.status, meanwhile=meanwhile)
    return visit.see(_SETTINGS, said=visit.gettext("The settings are saved."))


def _settings(
    visit: Visit,
    tenant: Tenant,
    given: Mapping[str, str],
    wrong: Mapping[str, BadInput],
    *,
    status: int = 200,
    stamp: str | None = None,
    meanwhile: Sequence[str] = (),
) -> Response:
    """The page. meanwhile: the fields that somebody else changed since it was shown; saving again takes that back."""
    told = {name: " ".join(filter(None, (problem.detail, problem.hint))) for name, problem in wrong.items()}
    return visit.page(
        "tenants/settings.html",
        status=status,
        settings=tenant,
        given=given,
        errors={name: told.get(name) for name in _FIELDS},
        wrong=len(told),
        stamp=stamp or change_stamp(tenant),
        meanwhile=meanwhile,
        zones=_zones(),
        may_change=visit.may(Permission.TENANT_CHANGE),
        brand=_branding(given["accent"]),
    )


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def _branding(text: str) -> Branding | None:
    """What becomes of a colour; None for none, or for what is no colour."""
    try:
        return branding(checked_accent(text)) if text else None
    except BadInput:
        return None


# ------------------------------------------------------------------ the accent colour


async def _preview(visit: Visit) -> Response:
    asked = visit.request.query_params.get("accent", "")[:40]
    return visit.page("tenants/preview.html", brand=_branding(asked), asked=asked)


async def _preview_css(visit: Visit) -> Response:
    made = _branding(visit.request.query_params.get("accent", "")[:40]) or branding(_OWN)
    return _css(visit, preview_css(made), _A_DAY)


async def _brand_css(visit: Visit) -> Response:
    async with visit.tx() as tx:
        accent = (await queries.tenant(tx)).accent
    text = brand_css(branding(accent)) if accent else ""
    named = accent is not None and visit.request.query_params.get("accent") == accent.removeprefix("#")
    return _css(visit, text, _A_DAY if named else _ASK_AGAIN)


def _css(visit: Visit, text: str, caching: str) -> Response:
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": caching, "Vary": "Cookie"}
    known = visit.request.headers.get("if-none-match", "")
    if etag in (part.strip().removeprefix("W/") for part in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(text, media_type="text/css", headers=headers)
