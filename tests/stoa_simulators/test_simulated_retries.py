"""What every provider does alike: retries, giving up, and trying again in the next cycle."""

from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from stoa_simulators.company import Company
from stoa_simulators.scim_client import Mode, Okta, OktaMode, ScimWire
from stoa_simulators.scim_client.cycle import FAILURES_IN_A_ROW
from stoa_simulators.scim_client.wire import ATTEMPTS
from tests.stoa_simulators.conftest import ForeignServer, Push

Pushes = Callable[[Okta], Push]
OIN = Okta(OktaMode.OIN)


async def test_429_waits_as_told_and_5xx_backs_off(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    foreign.script.extend([(429, {"Retry-After": "7"}, False), (503, {}, False), (500, {}, False)])
    okta = push(OIN)
    report = await okta(make_company(size=1))
    assert (report.created, report.failed, report.retries) == (1, 0, 3)
    assert report.requests == len(foreign.sent) == 6
    assert okta.waits == [7.0, 0.5, 1.0]


async def test_retries_are_bounded_and_the_next_cycle_tries_again(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    foreign.script.extend([(500, {}, False)] * ATTEMPTS)
    company, okta = make_company(size=1), push(OIN)
    report = await okta(company)
    assert (report.created, report.failed) == (0, 1)
    assert report.errors == ["POST /Users: 500 scripted"]
    assert len(foreign.of("POST")) == ATTEMPTS
    assert (await okta(company)).created == 1


async def test_a_refusal_is_not_repeated(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    foreign.script.append((400, {}, False))
    assert (await push(OIN)(make_company(size=1))).failed == 1
    assert len(foreign.of("POST")) == 1


async def test_a_post_whose_answer_was_lost_is_found_again(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    foreign.script.append((502, {}, True))
    report = await push(OIN)(make_company(size=1))
    assert (report.failed, report.updated, len(foreign.users)) == (0, 1, 1)


async def test_a_user_who_vanished_is_looked_for_by_the_next_cycle(
    push: Pushes, foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    company, okta = make_company(), push(OIN)
    await okta(company, Mode.FULL)
    foreign.users.clear()
    company.advance(1)
    first = await okta(company)
    assert first.failed > 0
    assert "no such user" in first.errors[0]
    assert (await okta(company)).created >= first.failed - 2


async def test_progress_reaches_the_total(push: Pushes, make_company: Callable[..., Company]) -> None:
    seen: list[tuple[int, int]] = []
    report = await push(OIN)(make_company(), progress=lambda done, total: seen.append((done, total)), concurrency=3)
    assert seen[-1] == (report.people, report.people)
    assert [done for done, _ in seen] == list(range(1, report.people + 1))


@pytest.fixture
async def refusing() -> AsyncIterator[Callable[[int], httpx2.AsyncClient]]:
    clients: list[httpx2.AsyncClient] = []

    def client_that_refuses(after: int) -> httpx2.AsyncClient:
        left = [after]

        def answer(_request: httpx2.Request) -> httpx2.Response:
            left[0] -= 1
            if left[0] >= 0:
                return httpx2.Response(200, json={"Resources": []})
            return httpx2.Response(401, json={"detail": "bad token", "status": "401"})

        clients.append(httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))
        return clients[-1]

    yield client_that_refuses
    for client in clients:
        await client.aclose()


async def test_a_wrong_token_ends_the_cycle_at_the_connection_test(
    refusing: Callable[[int], httpx2.AsyncClient], foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    report = await Push(foreign, refusing(0), OIN)(make_company())
    assert (report.requests, report.stopped, report.failed) == (1, True, report.people)
    assert report.errors == ["GET /Users: 401 bad token"]


async def test_a_cycle_stops_after_many_failures_in_a_row(
    refusing: Callable[[int], httpx2.AsyncClient], foreign: ForeignServer, make_company: Callable[..., Company]
) -> None:
    report = await Push(foreign, refusing(1), OIN)(make_company(size=200), concurrency=1)
    assert report.stopped
    assert report.failed == FAILURES_IN_A_ROW
    assert len(report.errors) == 5


async def test_no_server_is_a_failure_with_its_reason(unused_tcp_port: int) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with httpx2.AsyncClient() as client:
        wire = ScimWire(client, f"http://127.0.0.1:{unused_tcp_port}", {}, sleep=sleep)
        with pytest.raises(Exception, match="GET /Users: no answer ConnectError"):
            await wire.get("/Users")
    assert len(waits) == ATTEMPTS - 1
