"""The pages of webhooks."""

import re
from collections.abc import AsyncGenerator, Callable

import httpx2
import pytest

from stoa.access.permissions import Role
from stoa.analytics.webhooks.pages import webhook_pages
from stoa.changes.rendering import render_changes
from stoa.web.visiting import Shell
from tests.analytics.webhooks.conftest import BASE, OK, Ground, types_of
from tests.outbound.server import reply
from tests.web.signed_in import Browsers, application_of, browsers, text_of

Pages = Callable[[str], str]


@pytest.fixture
async def people(ground: Ground) -> AsyncGenerator[Browsers]:
    served = await ground.receiver()
    ground.allow.add(served.pair)

    def pages(shell: Shell) -> list[object]:
        return [*webhook_pages(shell, ground.sealer, frozenset(ground.allow), BASE, render_changes)]

    app = application_of(ground.database, pages)  # pyright: ignore[reportArgumentType] - routes
    async with browsers(app, ground.database) as opened:
        yield opened


@pytest.fixture
async def base(ground: Ground) -> str:
    async with ground.database.tenant(ground.tenant_id) as tx:
        slug = await tx.fetchval("SELECT slug FROM tenant WHERE tenant_id = $1", tx.tenant_id)
    return f"/console/t/{slug}/webhooks"


async def test_one_is_made_and_its_secret_shown_once(ground: Ground, people: Browsers, base: str) -> None:
    admin = await people.of(Role.TENANT_ADMIN, ground.tenant_id)
    assert "No webhook yet" in text_of(await admin.get(base))
    form = {"url": "https://hooks.acme.example/s3cret", "filter": 'type sw "person."', "description": "<b>Directory"}
    made = await admin.post(f"{base}/new", data=form)
    assert made.status_code == 200
    (secret,) = set(re.findall(r"whsec_[A-Za-z0-9+/=]{20,}", made.text))
    listed = await admin.get(base)
    assert "s3cret" in listed.text
    assert "&lt;b&gt;Directory" in listed.text
    address = re.findall(rf"{base}/[0-9a-f-]{{36}}", listed.text)[0]
    for path in ("", "/settings", "/secrets", "/recover"):
        page = await admin.get(address + path)
        assert page.status_code == 200, page.text
        assert secret not in page.text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"url": "http://10.0.0.1/"}, "not an address of the public internet"),
        ({"url": "https://hooks.acme.example/", "filter": "tpye pr"}, "type"),
        ({"url": "https://hooks.acme.example/", "owner_email": "x"}, "one plain e-mail address"),
        ({}, "names no host"),
    ],
)
async def test_what_is_wrong_is_told_beside_its_field(
    ground: Ground, people: Browsers, base: str, form: dict[str, str], said: str
) -> None:
    admin = await people.of(Role.TENANT_ADMIN, ground.tenant_id)
    answer = await admin.post(f"{base}/new", data=form)
    assert answer.status_code == 422
    assert said in text_of(answer)


async def test_a_viewer_looks_and_changes_nothing(ground: Ground, people: Browsers, base: str) -> None:
    made = await ground.endpoint("https://hooks.acme.example/s3cret")
    viewer = await people.of(Role.TENANT_VIEWER, ground.tenant_id)
    address = f"{base}/{made.endpoint.endpoint_id}"
    page = await viewer.get(address)
    assert page.status_code == 200
    # The path of a URL may be a secret.
    assert "s3cret" not in page.text
    assert "https://hooks.acme.example" in page.text
    for path in ("/settings", "/secrets", "/recover"):
        assert (await viewer.get(address + path)).status_code == 403
    for act in ("settings", "secrets", "recover", "resend-failed", "test", "skip", "disable", "enable", "delete"):
        assert (await viewer.post(f"{address}/{act}")).status_code == 403
    assert (await ground.state(made)).version == made.endpoint.version + 1


async def test_a_failure_is_shown_with_what_was_sent_and_answered(ground: Ground, people: Browsers, base: str) -> None:
    served = await ground.receiver(reply(500, b"<script>alert(1)</script>", x_trace="77"), OK)
    made = await ground.endpoint(served, 'type sw "a."')
    await ground.happen("a.first")
    await ground.dispatch()
    (delivery,) = await ground.deliveries(made)
    admin = await people.of(Role.TENANT_ADMIN, ground.tenant_id)
    address = f"{base}/{made.endpoint.endpoint_id}"
    text = text_of(await admin.get(address))
    assert "An event does not arrive, and those after it wait" in text
    assert "a.first" in text
    page = await admin.get(f"{address}/deliveries/{delivery.delivery_id}")
    assert "<script>alert(1)" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    for told in (delivery.message_id, "webhook-signature", "x-trace", "77", "Zoë"):
        assert told in page.text
    csv = await admin.get(f"{address}.csv")
    assert csv.text.splitlines()[1].split(",")[2:4] == ["waiting", "a.first"]
    assert (await admin.post(f"{address}/skip")).status_code == 303
    assert (await ground.deliveries(made))[0].state == "skipped"


async def test_everything_that_can_be_done_is_done(ground: Ground, people: Browsers, base: str) -> None:
    served = await ground.receiver()
    made = await ground.endpoint(served, 'type sw "a."')
    await ground.happen("a.1", "a.2")
    await ground.dispatch()
    admin = await people.of(Role.TENANT_ADMIN, ground.tenant_id)
    address = f"{base}/{made.endpoint.endpoint_id}"

    async def act(name: str, **form: str) -> httpx2.Response:
        answer = await admin.post(f"{address}/{name}", data=form)
        assert answer.status_code == 303, answer.text
        return answer

    await act("test")
    first = (await ground.deliveries(made))[0]
    await act(f"deliveries/{first.delivery_id}/resend")
    await ground.dispatch()
    assert types_of(served) == ["a.1", "a.2", "webhook.test", "a.1"]
    preview = text_of(await admin.get(f"{address}/recover", params={"since": "1"}))
    assert "2 events" in preview
    assert (await admin.get(f"{address}/recover", params={"since": "soon"})).status_code == 422
    await act("recover", since="1")
    await ground.dispatch()
    assert types_of(served)[4:] == ["a.1", "a.2"]
    await act("disable")
    assert "Somebody disabled it" in text_of(await admin.get(address))
    await act("enable")
    await act("resend-failed")
    rotated = await admin.post(f"{address}/secrets", data={"overlap": "24"})
    assert "whsec_" in rotated.text
    assert "The one before" in text_of(await admin.get(f"{address}/secrets"))
    version = (await ground.state(made)).version
    form = {"url": f"{served.url}/new", "filter": "", "version": str(version)}
    ground.allow.add(served.pair)
    changed = await admin.post(f"{address}/settings", data=form)
    assert changed.status_code in {303, 422}
    await act("delete")
    assert (await admin.get(address)).status_code == 404


async def test_of_another_tenant_nothing_is_there(ground: Ground, people: Browsers, base: str) -> None:
    made = await ground.endpoint("https://hooks.acme.example/x")
    other = await ground.other_tenant()
    async with ground.database.tenant(other) as tx:
        slug = await tx.fetchval("SELECT slug FROM tenant WHERE tenant_id = $1", tx.tenant_id)
    admin = await people.of(Role.TENANT_ADMIN, other)
    address = f"/console/t/{slug}/webhooks/{made.endpoint.endpoint_id}"
    for path in ("", "/settings", "/secrets", "/recover", ".csv"):
        assert (await admin.get(address + path)).status_code == 404
    for act in ("test", "delete", "secrets"):
        assert (await admin.post(f"{address}/{act}", data={"overlap": "24"})).status_code == 404
    assert (await admin.get(f"{base}/{made.endpoint.endpoint_id}")).status_code == 404
