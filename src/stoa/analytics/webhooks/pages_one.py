"""One webhook: its settings, its secrets, and what can be done with it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.analytics.webhooks import actions, queries, sending_again
from stoa.analytics.webhooks.model import BadEndpoint, NothingToDo
from stoa.analytics.webhooks.pages_desk import (
    ALL,
    ONE,
    PagesDesk,
    at,
    endpoint_id,
    given_settings,
    line_of,
    path_of,
    secret_page,
    written,
)
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import EndpointId
from stoa.kernel.problems import BadInput
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

OVERLAPS: Final = ("0", "1", "24", "72", "168")
_A_MONTH: Final = timedelta(days=30)


def one_pages(shell: Shell, desk: PagesDesk) -> list[Route]:
    """Their routes."""
    change = Permission.API_CHANGE
    acts = {
        "settings": _save,
        "secrets": _rotate,
        "recover": _recover,
        "resend-failed": _resend_failed,
        "test": _test,
        "skip": _skip,
        "disable": _disable,
        "enable": _enable,
        "delete": _delete,
    }
    return [
        tenant_page(shell, f"{ONE}/settings", at(desk, _settings), needs=change),
        tenant_page(shell, f"{ONE}/secrets", at(desk, _secrets), needs=change),
        tenant_page(shell, f"{ONE}/recover", at(desk, _preview), needs=change),
        *(tenant_action(shell, f"{ONE}/{name}", at(desk, act), needs=change) for name, act in acts.items()),
    ]


# ------------------------------------------------------------------ settings


async def _settings(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    async with visit.tx() as tx:
        one = (await line_of(visit, tx)).endpoint
    return await _page(visit, "webhooks/settings.html", given=written(one.settings), errors={}, version=one.version)


async def _save(visit: Visit, desk: PagesDesk) -> Response:
    settings, given, version = await given_settings(visit)
    try:
        async with visit.writing() as tx:
            await actions.change_endpoint(tx, endpoint_id(visit), settings, allow=desk.allow, version=version)
    except BadEndpoint as problem:
        errors = {problem.field: str(problem)}
        return await _page(visit, "webhooks/settings.html", 422, given=given, errors=errors, version=version)
    return visit.see(path_of(visit), said=visit.gettext("The settings are saved. They hold within a second."))


# ------------------------------------------------------------------ secrets


async def _secrets(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    async with visit.tx() as tx:
        found = await queries.secrets(tx, endpoint_id(visit))
    return await _page(visit, "webhooks/secrets.html", secrets=found, overlaps=OVERLAPS)


async def _rotate(visit: Visit, desk: PagesDesk) -> Response:
    hours = (await visit.form()).text("overlap", most=10)
    if hours not in OVERLAPS:
        raise BadInput("The overlap is one of those that the form offers.", field="overlap")
    async with visit.writing() as tx:
        made = await actions.rotate_secret(tx, desk.sealer, endpoint_id(visit), overlap=timedelta(hours=int(hours)))
    return secret_page(visit, made, first=False)


# ------------------------------------------------------------------ once more


async def _preview(visit: Visit, desk: PagesDesk) -> Response:
    text = visit.request.query_params.get("since", "").strip()[:40]
    problem: str | None = None
    found: sending_again.Recovery | None = None
    if text:
        try:
            since = _since(visit, text)
            async with visit.tx() as tx:
                found = await sending_again.preview_recovery(tx, endpoint_id(visit), since, desk.render)
        except BadInput as error:
            problem = str(error)
    return await _page(
        visit, "webhooks/recover.html", 422 if problem else 200, since=text, found=found, problem=problem
    )


def _since(visit: Visit, text: str) -> datetime | int:
    """The number of an event, or a moment in the tenant's zone. Raises BadInput."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(
            "That is neither a moment nor the number of an event.",
            hint="Write it as 2026-11-23 14:30, or as 1200.",
            field="since",
        ) from None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=visit.zone)
    try:
        return aware.astimezone(UTC)
    except OverflowError:
        raise BadInput("That moment is out of every calendar.", field="since") from None


async def _recover(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    since = _since(visit, (await visit.form()).text("since", most=40))
    said = visit.gettext("The events are sent once more, in order. New ones come after them.")
    return await _act(visit, lambda tx, one: sending_again.recover(tx, one, since), said)


async def _resend_failed(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    said = visit.gettext("What was given up is sent again.")

    async def again(tx: TenantTx, one: EndpointId) -> None:
        if not await sending_again.resend_failed(tx, one, tx.now - _A_MONTH):
            raise NothingToDo("Nothing was given up, or it is on its way again already.")

    return await _act(visit, again, said)


# ------------------------------------------------------------------ acts


async def _test(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    async with visit.writing() as tx:
        asked = await sending_again.send_test(tx, endpoint_id(visit))
    return visit.see(
        f"{path_of(visit)}/deliveries/{asked.delivery_id}",
        said=visit.gettext("A test is on its way. Reload this page to see what the receiver answered."),
    )


async def _skip(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    return await _act(visit, sending_again.skip_blocking, visit.gettext("The event is passed over."))


async def _disable(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    return await _act(visit, actions.disable_endpoint, visit.gettext("Nothing is sent until it is enabled."))


async def _enable(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    from_now = (await visit.form()).text("from_now", most=10) == "on"
    said = visit.gettext("It goes on from now.") if from_now else visit.gettext("It goes on from where it stopped.")
    return await _act(visit, lambda tx, one: actions.enable_endpoint(tx, one, from_now=from_now), said)


async def _delete(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    async with visit.writing() as tx:
        await actions.delete_endpoint(tx, endpoint_id(visit))
    return visit.see(ALL, said=visit.gettext("The webhook is deleted, and its secrets are destroyed."))


async def _act(visit: Visit, act: Callable[[TenantTx, EndpointId], Awaitable[Any]], said: str) -> Response:
    try:
        async with visit.writing() as tx:
            await act(tx, endpoint_id(visit))
    except NothingToDo as problem:
        return visit.see(path_of(visit), said=str(problem), tone="warn")
    return visit.see(path_of(visit), said=said)


async def _page(visit: Visit, template: str, status: int = 200, **values: object) -> Response:
    async with visit.tx() as tx:
        line = await line_of(visit, tx)
    return visit.page(
        template,
        status,
        None,
        **{"line": line, "endpoint": line.endpoint, "address": f"{visit.base}{path_of(visit)}", **values},
    )
