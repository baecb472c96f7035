"""Webhooks: make, list, try out, disable, delete."""

from typing import Annotated
from uuid import UUID

from cyclopts import App, Parameter

from stoa.analytics.webhooks import actions, queries, sending_again
from stoa.analytics.webhooks.model import Endpoint, Settings
from stoa.cli.common import OPERATOR, Options, session, show, show_list
from stoa.kernel.ids import EndpointId

webhook_app = App(name="webhook", help="Send a tenant's events to other systems.")


@webhook_app.command(name="create")
async def create_webhook(
    slug: str,
    url: str,
    *,
    events: str = "",
    description: str = "",
    owner_email: Annotated[str | None, Parameter(name="--owner-email")] = None,
    options: Options = Options(),
) -> None:
    """Make a webhook, which is sent the events that come after it. Its signing secret is printed once.

    Args:
        slug: The tenant.
        url: Where messages are sent: https, at a public address.
        events: A filter over events, such as 'type sw "person."'; all events when left out.
        description: What it is for.
        owner_email: Who is told when it fails; the tenant's owner when left out.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        settings = Settings(url, description, events, owner_email)
        allow = s.platform.settings.outbound_allow
        made = await actions.create_endpoint(tx, s.platform.sealer, settings, allow=allow)
    show(options, {**_told(made.endpoint), "secret": made.secret})


@webhook_app.command(name="list")
async def list_webhooks(slug: str, *, options: Options = Options()) -> None:
    """List a tenant's webhooks, without their secrets.

    Args:
        slug: The tenant.
    """
    async with (
        session(options) as s,
        s.platform.database.tenant(await s.tenant_id(slug), OPERATOR, read_only=True) as tx,
    ):
        found = await queries.endpoints(tx)
    columns = ("id", "state", "url", "events", "success_at", "failing_since")
    empty = f"There is no webhook. Make one: stoa webhook create {slug} https://hooks.example/stoa"
    show_list(options, columns, [_told(one) for one in found], empty)


@webhook_app.command(name="test")
async def try_webhook(slug: str, webhook: UUID, *, options: Options = Options()) -> None:
    """Send a message of type webhook.test to a webhook, once. A worker sends it.

    Args:
        slug: The tenant.
        webhook: The webhook's id.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        asked = await sending_again.send_test(tx, EndpointId(webhook))
    show(options, {"delivery": asked.delivery_id, "state": asked.state, "message_id": asked.message_id})


@webhook_app.command(name="disable")
async def disable_webhook(slug: str, webhook: UUID, *, options: Options = Options()) -> None:
    """Send nothing more to a webhook until it is enabled. Its place in the log is kept.

    Args:
        slug: The tenant.
        webhook: The webhook's id.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        one = await actions.disable_endpoint(tx, EndpointId(webhook))
    show(options, _told(one))


@webhook_app.command(name="enable")
async def enable_webhook(slug: str, webhook: UUID, *, from_now: bool = False, options: Options = Options()) -> None:
    """Send to a webhook again, from where it stopped.

    Args:
        slug: The tenant.
        webhook: The webhook's id.
        from_now: Leave out what came meanwhile.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        one = await actions.enable_endpoint(tx, EndpointId(webhook), from_now=from_now)
    show(options, _told(one))


@webhook_app.command(name="delete")
async def delete_webhook(slug: str, webhook: UUID, *, options: Options = Options()) -> None:
    """Delete a webhook and destroy its secrets.

    Args:
        slug: The tenant.
        webhook: The webhook's id.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        await actions.delete_endpoint(tx, EndpointId(webhook))
    show(options, {"deleted": webhook})


def _told(one: Endpoint) -> dict[str, object]:
    return {
        "id": one.endpoint_id,
        "url": one.url,
        "events": one.filter,
        "description": one.description,
        "owner": one.owner_email,
        "state": one.state,
        "disabled_reason": one.disabled_reason,
        "sequence": one.cursor,
        "success_at": one.success_at,
        "failing_since": one.failing_since,
        "created_at": one.created_at,
    }
