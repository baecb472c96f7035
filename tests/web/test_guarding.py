"""Who gets in, over HTTP."""

from collections.abc import AsyncGenerator, Sequence

import httpx2
import pytest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from stoa.access.permissions import Permission, Role
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.kernel.problems import BadInput, Conflict
from stoa.web.guarding import open_action, open_page, platform_action, platform_page, tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit
from tests.conftest import MakeTenant
from tests.web.signed_in import Browsers, application_of, browsers, text_of

COUNTING = "SELECT count(*) FROM generate_series(1, 1000000000)"


async def _inside(visit: Visit) -> Response:
    return PlainTextResponse(f"inside {'' if visit.tenant is None else visit.tenant.name}".strip())


async def _slow(visit: Visit) -> Response:
    async with visit.tx() as tx:
        await tx.execute("SET LOCAL statement_timeout = 50")
        await tx.execute(COUNTING)
    return await _inside(visit)


async def _limit(visit: Visit) -> Response:
    async with visit.tx() as tx:
        return PlainTextResponse(str(await tx.fetchval("SELECT current_setting('statement_timeout')")))


async def _writes_while_reading(visit: Visit) -> Response:
    async with visit.tx() as tx:
        await tx.execute("UPDATE tenant SET name = 'x' WHERE tenant_id = $1", tx.tenant_id)
    return await _inside(visit)


async def _meets_another(visit: Visit) -> Response:
    async with visit.writing() as one, visit.writing() as other:
        await one.execute("SELECT pg_advisory_xact_lock(7)")
        await other.execute("SET LOCAL lock_timeout = 20")
        await other.execute("SELECT pg_advisory_xact_lock(7)")
    return await _inside(visit)


async def _conflict(visit: Visit) -> Response:
    raise Conflict("The run <7> was decided already.", hint="Open it to see by whom.")


async def _bad(visit: Visit) -> Response:
    raise BadInput("That is no date.")


async def _one(visit: Visit) -> Response:
    return PlainTextResponse(str(visit.id("thing")))


def _pages(shell: Shell) -> Sequence[BaseRoute]:
    return [
        open_page(shell, "/console/open", _inside),
        open_action(shell, "/console/open", _inside),
        platform_page(shell, "/console/any", _inside, None),
        platform_page(shell, "/console/board", _inside, Permission.BOARD_VIEW),
        platform_page(shell, "/console/password", _inside, None),
        platform_action(shell, "/console/operators", _inside, Permission.OPERATORS_CHANGE),
        tenant_page(shell, "", _inside),
        tenant_page(shell, "/slow", _slow),
        tenant_page(shell, "/limit", _limit),
        tenant_page(shell, "/writes", _writes_while_reading),
        tenant_page(shell, "/conflict", _conflict),
        tenant_page(shell, "/bad", _bad),
        tenant_page(shell, "/things/{thing}", _one),
        tenant_action(shell, "/approve", _inside, Permission.RUN_DECIDE),
        tenant_action(shell, "/met", _meets_another, Permission.RUN_DECIDE),
    ]


@pytest.fixture
async def people(database: Database) -> AsyncGenerator[Browsers]:
    async with browsers(application_of(database, _pages), database) as opened:
        yield opened


@pytest.fixture
async def acme(database: Database, tenant_id: TenantId) -> str:
    """The address of a tenant's pages."""
    async with database.platform() as tx:
        return f"/console/t/{await tx.fetchval('SELECT slug FROM tenant WHERE tenant_id = $1', tenant_id)}"


@pytest.fixture
async def admin(people: Browsers, tenant_id: TenantId) -> httpx2.AsyncClient:
    return await people.of(Role.TENANT_ADMIN, tenant_id)


async def test_whoever_may_gets_in(admin: httpx2.AsyncClient, acme: str) -> None:
    assert (await admin.get(acme)).text.startswith("inside Tenant")
    assert (await admin.post(f"{acme}/approve")).status_code == 200
    assert (await admin.head(acme)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "http://127.0.0.1:81"},
        {"Origin": "http://["},
        {"Origin": "http://"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Referer": "http://127.0.0.1/console"},
        {},
    ],
)
async def test_what_another_site_sends_is_refused(
    admin: httpx2.AsyncClient, acme: str, headers: dict[str, str]
) -> None:
    del admin.headers["Sec-Fetch-Site"]
    for path in (f"{acme}/approve", "/console/open"):
        answer = await admin.post(path, headers=headers)
        assert answer.status_code == 403
        assert "not sent by a page of this server, so nothing was done" in text_of(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": "HTTP://127.0.0.1"},
    ],
)
async def test_what_our_pages_send_is_taken(admin: httpx2.AsyncClient, acme: str, headers: dict[str, str]) -> None:
    del admin.headers["Sec-Fetch-Site"]
    assert (await admin.post(f"{acme}/approve", headers=headers)).status_code == 200


async def test_pages_may_be_opened_from_anywhere(admin: httpx2.AsyncClient, acme: str) -> None:
    assert (await admin.get(acme, headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200


async def test_whoever_is_not_signed_in_is_led_to_the_sign_in_and_back(people: Browsers, acme: str) -> None:
    nobody = await people.stranger()
    answer = await nobody.get(f"{acme}/things/7?q=a%26b&sort=-x")
    assert answer.status_code == 303
    to = httpx2.URL(answer.headers["location"])
    assert to.path == "/console/sign-in"
    assert to.params["next"] == f"{acme}/things/7?q=a%26b&sort=-x"
    assert (await nobody.get("/console/any")).headers["location"] == "/console/sign-in?next=%2Fconsole%2Fany"
    assert (await nobody.post(f"{acme}/approve")).headers["location"] == "/console/sign-in"


@pytest.mark.parametrize("token", ["x", "", "\u00e9", "x" * 5_000])
async def test_a_token_that_is_none_opens_nothing(people: Browsers, acme: str, token: str) -> None:
    nobody = await people.stranger()
    answer = await nobody.get(acme, headers=[(b"cookie", b"stoa_session=" + token.encode())])
    assert answer.status_code == 303


async def test_open_pages_need_nobody(people: Browsers) -> None:
    nobody = await people.stranger()
    assert (await nobody.get("/console/open")).text == "inside"
    assert (await nobody.post("/console/open")).text == "inside"


async def test_a_first_password_opens_nothing_but_the_page_that_changes_it(
    people: Browsers, admin: httpx2.AsyncClient, acme: str, database: Database
) -> None:
    async with database.platform() as tx:
        await tx.execute(
            "UPDATE operator SET must_change_password = true WHERE operator_id IN "
            "(SELECT operator_id FROM operator_session WHERE token_hash = sha256($1))",
            admin.cookies["stoa_session"].encode(),
        )
    for answer in (await admin.get(acme), await admin.get("/console/any"), await admin.post(f"{acme}/approve")):
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/password")
    assert (await admin.get("/console/password")).text == "inside"


async def test_who_lacks_the_permission_is_told_so(people: Browsers, acme: str, tenant_id: TenantId) -> None:
    viewer = await people.of(Role.TENANT_VIEWER, tenant_id)
    assert (await viewer.get(acme)).status_code == 200
    refused = await viewer.post(f"{acme}/approve")
    assert refused.status_code == 403
    assert "Your role does not permit this." in text_of(refused)
    assert "Somebody who manages the operators" in text_of(refused)
    assert (await viewer.get("/console/board")).status_code == 403
    assert (await viewer.post("/console/operators")).status_code == 403
    assert (await viewer.get("/console/any")).status_code == 200


async def test_a_platform_viewer_sees_all_and_changes_nothing(people: Browsers, acme: str) -> None:
    viewer = await people.of(Role.PLATFORM_VIEWER)
    assert (await viewer.get("/console/board")).status_code == 200
    assert (await viewer.post("/console/operators")).status_code == 403
    assert (await viewer.post(f"{acme}/approve")).status_code == 403


async def test_another_tenant_looks_as_if_it_were_not_there(
    people: Browsers, acme: str, make_tenant: MakeTenant
) -> None:
    other = await people.of(Role.TENANT_ADMIN, await make_tenant())
    pages = [await other.get(path) for path in (acme, "/console/t/nobody-at-all", f"{acme}/things/7")]
    assert {page.status_code for page in pages} == {404}
    assert len({text_of(page) for page in pages}) == 1
    assert (await other.post(f"{acme}/approve")).status_code == 404


async def test_a_question_that_costs_too_much_is_answered_in_words(admin: httpx2.AsyncClient, acme: str) -> None:
    answer = await admin.get(f"{acme}/slow")
    assert answer.status_code == 503
    assert "takes longer than ten seconds" in text_of(answer)
    assert "Ask for less" in text_of(answer)
    assert (await admin.get(f"{acme}/limit")).text == "10s"


async def test_who_had_to_give_way_is_told_in_words(admin: httpx2.AsyncClient, acme: str) -> None:
    answer = await admin.post(f"{acme}/met")
    assert answer.status_code == 409
    assert "at the same moment, so nothing was done" in text_of(answer)
    assert "do it again" in text_of(answer)


async def test_a_page_that_reads_cannot_write(admin: httpx2.AsyncClient, acme: str) -> None:
    assert (await admin.get(f"{acme}/writes")).status_code == 500
    assert (await admin.get(acme)).text.startswith("inside Tenant")


async def test_a_problem_is_a_page(admin: httpx2.AsyncClient, acme: str) -> None:
    answer = await admin.get(f"{acme}/conflict")
    assert answer.status_code == 409
    assert "The run <7> was decided already. Open it to see by whom." in text_of(answer)
    assert "<7>" not in answer.text
    assert (await admin.get(f"{acme}/bad")).status_code == 400


@pytest.mark.parametrize("thing", ["7", "x", "%00", "0197f0d0-0000-7000-8000-00000000000g"])
async def test_what_is_no_id_is_at_no_address(admin: httpx2.AsyncClient, acme: str, thing: str) -> None:
    answer = await admin.get(f"{acme}/things/{thing}")
    assert answer.status_code == 404
    assert "There is nothing at this address." in text_of(answer)


async def test_an_id_is_read_from_the_address(admin: httpx2.AsyncClient, acme: str) -> None:
    thing = "0197f0d0-0000-7000-8000-000000000001"
    assert (await admin.get(f"{acme}/things/{thing}")).text == thing
