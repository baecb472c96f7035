"""What only a listening server shows: bodies beyond the limit on a real connection, a database that is slow or away."""

import asyncpg
import httpx2
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from tests.identity.conftest import MakeScim, Running, Scim
from tests.identity.scim.test_entrance import assert_error


async def test_ten_megabytes_are_refused_and_the_next_request_is_served(running: Running, scim: Scim) -> None:
    async with httpx2.AsyncClient(base_url=running.base_url + scim.base, headers=scim.headers) as client:
        for _ in range(2):
            refused = await client.post("/Users", content=b" " * 10_000_000)
            assert_error(refused, 413)
            assert (await client.get("/Users")).status_code == 200


async def test_head_options_and_errors_are_sound_http(running: Running, scim: Scim) -> None:
    async with httpx2.AsyncClient(base_url=running.base_url + scim.base, headers=scim.headers) as client:
        for method, status in (("HEAD", 200), ("OPTIONS", 204), ("PUT", 405), ("GET", 200)):
            assert (await client.request(method, "/Users")).status_code == status


async def test_a_server_without_its_database_says_503_and_when_to_try_again(
    make_scim: MakeScim, database: Database
) -> None:
    scim = await make_scim()
    await database.close()
    answer = await scim("GET", "/Users")
    assert_error(answer, 503)
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.all
async def test_a_filter_that_takes_too_long_is_given_up(scim: Scim, server: embedded.Server) -> None:
    await scim.make("ada")
    admin = await asyncpg.connect(server.admin_dsn.replace("/postgres?", "/stoa?"))
    try:
        await admin.execute("BEGIN; LOCK TABLE source_record IN ACCESS EXCLUSIVE MODE")
        answer = await scim("GET", "/Users", params={"filter": 'title co "x"'})
    finally:
        await admin.close()
    assert_error(answer, 400)
    assert answer.json()["scimType"] == "tooMany"
