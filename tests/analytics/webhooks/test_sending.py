"""What is sent, in which order, and how it is signed."""

import msgspec
import pytest
import standardwebhooks
import svix.webhooks

from stoa.analytics.webhooks import actions
from stoa.analytics.webhooks.model import Settings
from tests.analytics.webhooks.conftest import BASE, Ground, ids_of, types_of


async def test_events_arrive_in_order_each_once_with_their_envelope(ground: Ground) -> None:
    served = await ground.receiver()
    made = await ground.endpoint(served)
    types = [f"thing.happened_{number}" for number in range(25)]
    await ground.happen(*types)
    await ground.dispatch()
    assert types_of(served) == types
    first = msgspec.json.decode(served.seen[0].body)
    assert (first["specversion"], first["tenantid"]) == ("1.0", str(ground.tenant_id))
    assert first["source"].startswith(f"{BASE}/tenants/")
    assert first["data"] == {"after": {"name": "Zoë"}}
    assert ids_of(served)[0] == f"evt_{ground.tenant_id.hex}_{first['sequence']}"
    assert [one.state for one in await ground.deliveries(made)] == ["delivered"] * 25
    # Another round has nothing to do.
    assert await ground.dispatch() == 0
    assert len(served.seen) == 25


async def test_a_filter_selects_and_the_cursor_passes_what_is_not_asked_for(ground: Ground) -> None:
    served = await ground.receiver()
    made = await ground.endpoint(served, 'type sw "thing."')
    await ground.happen("thing.created", "other.applied", "thing.updated", "other.applied")
    await ground.dispatch()
    assert types_of(served) == ["thing.created", "thing.updated"]
    assert [one.event_type for one in await ground.deliveries(made)] == ["thing.created", "thing.updated"]
    assert (await ground.state(made)).cursor >= 4


@pytest.mark.parametrize("package", ["standardwebhooks", "svix"])
async def test_both_packages_verify_what_is_sent(ground: Ground, package: str) -> None:
    served = await ground.receiver()
    made = await ground.endpoint(served)
    await ground.happen("thing.created")
    await ground.dispatch()
    verifier = (standardwebhooks.Webhook if package == "standardwebhooks" else svix.webhooks.Webhook)(made.secret)
    seen = served.seen[0]
    verifier.verify(seen.body, seen.headers)
    assert types_of(served) == ["thing.created"]
    assert "." not in seen.headers["webhook-id"]
    with pytest.raises(Exception, match="No matching signature"):
        verifier.verify(seen.body.replace(b"thing", b"nobody"), seen.headers)


async def test_both_secrets_sign_while_they_overlap(ground: Ground) -> None:
    served = await ground.receiver()
    old = await ground.endpoint(served)
    new = await ground.act(lambda tx: actions.rotate_secret(tx, ground.sealer, old.endpoint.endpoint_id))
    await ground.happen("thing.created")
    await ground.dispatch()
    seen = served.seen[-1]
    assert new.secret != old.secret
    for secret in (old.secret, new.secret):
        standardwebhooks.Webhook(secret).verify(seen.body, seen.headers)
        svix.webhooks.Webhook(secret).verify(seen.body, seen.headers)
    ground.clock.move(hours=24, seconds=1)
    await ground.happen("thing.updated")
    await ground.dispatch()
    assert len(served.seen[-1].headers["webhook-signature"].split()) == 1


async def test_another_tenants_events_are_not_sent(ground: Ground) -> None:
    served = await ground.receiver()
    await ground.endpoint(served)
    await ground.happen("thing.created", tenant_id=await ground.other_tenant())
    await ground.happen("thing.updated")
    await ground.dispatch()
    assert types_of(served) == ["thing.updated"]


async def test_a_changed_address_is_used_from_the_next_event_on(ground: Ground) -> None:
    first, second = await ground.receiver(), await ground.receiver()
    made = await ground.endpoint(first)
    await ground.happen("thing.created")
    await ground.dispatch()
    await ground.act(
        lambda tx: actions.change_endpoint(
            tx, made.endpoint.endpoint_id, Settings(f"{second.url}/other"), allow=ground.allow
        )
    )
    await ground.happen("thing.updated")
    await ground.dispatch()
    assert types_of(first) == ["thing.created"]
    assert types_of(second)[-1] == "thing.updated"
