"""Tests, deliveries sent again, recoveries, deletion and retention."""

from datetime import timedelta

import pytest

from stoa.analytics.webhooks import actions, sending_again
from stoa.analytics.webhooks.jobs import KEPT, RETENTION_JOB, RETENTION_KEY, webhook_jobs
from stoa.analytics.webhooks.model import Changed, NothingToDo, Settings
from stoa.jobs.worker import Worker
from stoa.kernel.problems import BadInput, NotFound
from tests.analytics.webhooks.conftest import OK, Ground, ids_of, types_of
from tests.outbound.server import reply


async def test_a_test_goes_to_one_endpoint_alone_once_and_stands_in_no_log(ground: Ground) -> None:
    served, other = await ground.receiver(reply(500)), await ground.receiver()
    made = await ground.endpoint(served, 'type sw "a."')
    await ground.endpoint(other, 'type sw "a."')
    await ground.act(lambda tx: sending_again.send_test(tx, made.endpoint.endpoint_id))
    await ground.dispatch()
    ground.clock.move(days=1)
    await ground.dispatch()
    assert types_of(served) == ["webhook.test"]
    assert other.seen == []
    (delivery,) = await ground.deliveries(made)
    assert (delivery.kind, delivery.state, delivery.status, delivery.seq) == ("test", "failed", 500, None)
    assert (await ground.state(made)).failing_since is None


async def test_a_test_reaches_a_disabled_endpoint(ground: Ground) -> None:
    served = await ground.receiver()
    made = await ground.endpoint(served)
    await ground.act(lambda tx: actions.disable_endpoint(tx, made.endpoint.endpoint_id))
    await ground.happen("a.first")
    await ground.act(lambda tx: sending_again.send_test(tx, made.endpoint.endpoint_id))
    await ground.dispatch()
    assert types_of(served) == ["webhook.test"]


async def test_one_delivery_is_sent_once_more_under_the_same_id(ground: Ground) -> None:
    served = await ground.receiver()
    made = await ground.endpoint(served)
    await ground.happen("a.first", "a.second")
    await ground.dispatch()
    first = (await ground.deliveries(made))[0]
    await ground.act(lambda tx: sending_again.resend(tx, first.delivery_id))
    await ground.dispatch()
    assert types_of(served) == ["a.first", "a.second", "a.first"]
    assert ids_of(served)[2] == ids_of(served)[0]
    assert served.seen[2].body == served.seen[0].body
    assert [one.kind for one in await ground.deliveries(made)] == ["event", "event", "resent"]


async def test_everything_since_a_number_or_a_moment_is_sent_once_more_in_order(ground: Ground) -> None:
    served = await ground.receiver()
    made = await ground.endpoint(served, 'type sw "a."')
    endpoint_id = made.endpoint.endpoint_id
    await ground.happen("a.1", "b.1", "a.2")
    ground.clock.move(hours=2)
    moment = ground.clock.now
    await ground.happen("a.3", "a.4")
    await ground.dispatch()
    before = ids_of(served)
    served.seen.clear()
    preview = await ground.act(lambda tx: sending_again.preview_recovery(tx, endpoint_id, moment, None))
    # The change of the endpoint's cursor was told in between, and is asked for by nobody.
    assert preview.matching == 2
    await ground.act(lambda tx: sending_again.recover(tx, endpoint_id, moment))
    await ground.happen("a.5")
    await ground.dispatch()
    assert types_of(served) == ["a.3", "a.4", "a.5"]
    assert ids_of(served)[:2] == before[2:]
    served.seen.clear()
    await ground.act(lambda tx: sending_again.recover(tx, endpoint_id, 1))
    await ground.dispatch()
    assert types_of(served) == ["a.1", "a.2", "a.3", "a.4", "a.5"]
    kinds = [one.kind for one in await ground.deliveries(made)]
    assert kinds == ["event"] * 4 + ["replayed"] * 2 + ["event"] + ["replayed"] * 5
    with pytest.raises(NothingToDo):
        await ground.act(lambda tx: sending_again.recover(tx, endpoint_id, ground.clock.now + timedelta(days=1)))
    with pytest.raises(BadInput):
        await ground.act(lambda tx: sending_again.recover(tx, endpoint_id, 0))


async def test_what_was_given_up_is_sent_again_each_once(ground: Ground) -> None:
    served = await ground.receiver(reply(400))
    made = await ground.endpoint(served)
    endpoint_id, began = made.endpoint.endpoint_id, ground.clock.now
    await ground.happen("a.1")
    await ground.dispatch()
    for _ in range(9):
        ground.clock.move(hours=30)
        await ground.dispatch()
    assert [one.state for one in await ground.deliveries(made)] == ["failed"]
    well = await ground.receiver(OK)
    await ground.act(lambda tx: actions.change_endpoint(tx, endpoint_id, Settings(f"{well.url}/x"), allow=ground.allow))
    assert await ground.act(lambda tx: sending_again.resend_failed(tx, endpoint_id, began)) == 1
    assert await ground.act(lambda tx: sending_again.resend_failed(tx, endpoint_id, began)) == 0
    await ground.dispatch()
    assert "a.1" in types_of(well)


async def test_a_deleted_endpoint_is_sent_nothing_and_leaves_a_tombstone(ground: Ground) -> None:
    served = await ground.receiver(reply(500))
    made = await ground.endpoint(served)
    endpoint_id = made.endpoint.endpoint_id
    await ground.happen("a.1")
    await ground.dispatch()
    await ground.act(lambda tx: actions.delete_endpoint(tx, endpoint_id))
    ground.clock.move(days=1)
    await ground.happen("a.2")
    assert await ground.dispatch() == 0
    assert (await ground.state(made)).deleted_at is not None
    assert [one.state for one in await ground.deliveries(made)] == ["skipped"]
    assert await ground.act(lambda tx: actions.queries.secrets(tx, endpoint_id)) == []
    with pytest.raises(NotFound):
        await ground.act(lambda tx: sending_again.send_test(tx, endpoint_id))


async def test_who_changes_what_another_has_changed_is_told(ground: Ground) -> None:
    made = await ground.endpoint(await ground.receiver())
    settings = Settings(made.endpoint.url, "Another")
    await ground.act(lambda tx: actions.change_endpoint(tx, made.endpoint.endpoint_id, settings, allow=ground.allow))
    with pytest.raises(Changed):
        await ground.act(
            lambda tx: actions.change_endpoint(
                tx, made.endpoint.endpoint_id, settings, allow=ground.allow, version=made.endpoint.version
            )
        )


async def test_enabled_from_now_on_what_came_meanwhile_is_left_out(ground: Ground) -> None:
    served = await ground.receiver()
    made = await ground.endpoint(served)
    endpoint_id = made.endpoint.endpoint_id
    await ground.act(lambda tx: actions.disable_endpoint(tx, endpoint_id))
    await ground.happen("a.1")
    await ground.act(lambda tx: actions.enable_endpoint(tx, endpoint_id, from_now=True))
    await ground.happen("a.2")
    await ground.dispatch()
    assert "a.1" not in types_of(served)
    assert types_of(served)[-1] == "a.2"


async def test_a_sandbox_tenants_messages_are_kept_and_not_sent(ground: Ground) -> None:
    sandbox = await ground.make_tenant(sandbox=True)
    ground.others.append(sandbox)
    allowed = await ground.receiver()
    stays = await ground.endpoint("https://hooks.acme.example/x", 'type sw "a."', tenant_id=sandbox)
    await ground.endpoint(allowed, 'type sw "a."', tenant_id=sandbox)
    await ground.happen("a.1", tenant_id=sandbox)
    await ground.dispatch()
    # What the operator of the server allows is sent to all the same.
    assert types_of(allowed) == ["a.1"]
    ground.tenant_id, sandbox = sandbox, ground.tenant_id
    (delivery,) = await ground.deliveries(stays)
    assert (delivery.state, delivery.attempts, delivery.event_type) == ("kept", 0, "a.1")
    ground.tenant_id, sandbox = sandbox, ground.tenant_id


async def test_deliveries_are_removed_after_thirty_days_and_the_log_is_still_sent(ground: Ground) -> None:
    served = await ground.receiver()
    made = await ground.endpoint(served)
    await ground.happen("a.1")
    await ground.dispatch()
    ground.clock.move(seconds=KEPT.total_seconds() + 1)
    await ground.happen("a.2")
    await ground.dispatch()
    worker = Worker(ground.database, webhook_jobs())
    await worker.claim_one(RETENTION_JOB, RETENTION_KEY, ground.tenant_id)
    left = await ground.deliveries(made)
    assert [one.event_type for one in left] == ["a.2"]
    async with ground.database.tenant(ground.tenant_id) as tx:
        due = await tx.fetchval(
            "SELECT due_at FROM job WHERE tenant_id = $1 AND kind = $2", tx.tenant_id, RETENTION_JOB
        )
        attempts = await tx.fetchval("SELECT count(*) FROM webhook_attempt WHERE tenant_id = $1", tx.tenant_id)
    assert due == ground.clock.now + timedelta(days=1)
    assert attempts == 1


async def test_many_that_were_asked_for_by_hand_are_all_sent(ground: Ground) -> None:
    served = await ground.receiver()
    made = await ground.endpoint(served, 'type sw "a."')
    await ground.act(lambda tx: actions.disable_endpoint(tx, made.endpoint.endpoint_id))
    for _ in range(45):
        await ground.act(lambda tx: sending_again.send_test(tx, made.endpoint.endpoint_id))
    await ground.dispatch()
    assert len(set(ids_of(served))) == 45
    assert {one.state for one in await ground.deliveries(made)} == {"delivered"}
