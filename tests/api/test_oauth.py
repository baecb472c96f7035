"""The token endpoint (RFC 6749, RFC 8414) for clients that show a secret, and what its tokens open."""

import asyncio
import base64
from urllib.parse import quote_plus
from uuid import uuid4

import httpx2
import pytest
import structlog

from stoa.access import client_credentials, clients
from stoa.access.client_attempts import FREE_TELLINGS
from stoa.access.clients_queries import client as client_of
from stoa.access.clients_rules import Terms
from stoa.access.granting import MOST_TOKENS, MOST_TOLD
from stoa.db import embedded
from stoa.db.database import Database
from tests.access.signing import jwk_of, key_for
from tests.api.asking import (
    GRANT,
    TOKEN,
    Made,
    ask,
    assert_refused,
    events_of,
    register,
    shown,
    signed,
)
from tests.api.calling import BASE_URL, serving
from tests.conftest import MakeTenant

# ------------------------------------------------------------------ with a secret


async def test_a_secret_gives_a_token_for_an_hour(http: httpx2.AsyncClient, database: Database, made: Made) -> None:
    answer = await ask(http, made)
    assert answer.status_code == 200
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert (body["expires_in"], body["scope"]) == (3600, "events:read people:read people:write")
    assert body["access_token"].startswith("stoa_at_")
    assert answer.headers["cache-control"] == "no-store"
    found = await shown(database, made, body["access_token"])
    assert found is not None
    assert (found.kind, found.client_id) == ("access_token", made.client_id)
    async with database.tenant(made.tenant_id) as tx:
        client = await client_of(tx, made.client_id)
    assert found.source_id == client.source_id is not None
    assert client.used_at is not None
    assert (await events_of(database, made))[-1] == (
        "client.signed_in",
        {"method": "client_secret_basic", "scopes": ["events:read", "people:read", "people:write"]},
    )


async def test_the_token_opens_the_api_and_ends_with_its_client(
    http: httpx2.AsyncClient, database: Database, made: Made
) -> None:
    token = (await ask(http, made)).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await http.get("/v1/people", headers=bearer)).status_code == 200
    secret = {"Authorization": f"Bearer {made.secret.token}"}
    assert (await http.get("/v1/people", headers=secret)).status_code == 401
    async with database.tenant(made.tenant_id) as tx:
        await clients.disable_client(tx, made.client_id)
    assert (await http.get("/v1/people", headers=bearer)).status_code == 401


async def test_the_secret_may_stand_in_the_form(http: httpx2.AsyncClient, made: Made) -> None:
    client_id, secret = made.auth
    answer = await http.post(TOKEN, data=GRANT | {"client_id": client_id, "client_secret": secret})
    assert answer.status_code == 200
    with_both = await http.post(TOKEN, data=GRANT | {"client_id": client_id}, auth=made.auth)
    assert with_both.status_code == 200


async def test_id_and_secret_are_form_encoded_in_the_header(http: httpx2.AsyncClient, made: Made) -> None:
    # RFC 6749, 2.3.1. Nothing in ours needs it, but a client may encode what it need not.
    client_id, secret = made.auth
    encoded = ":".join("".join(f"%{ord(one):02x}" for one in part) for part in (client_id, secret))
    header = {"Authorization": "basic " + base64.b64encode(encoded.encode()).decode()}
    assert (await http.post(TOKEN, data=GRANT, headers=header)).status_code == 200
    plain = {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{quote_plus(secret)}".encode()).decode()}
    assert (await http.post(TOKEN, data=GRANT, headers=plain)).status_code == 200


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("people:read", "people:read"),
        ("people:read events:read  people:read", "events:read people:read"),
        ("", "events:read people:read people:write"),
    ],
)
async def test_a_token_may_be_asked_for_less(http: httpx2.AsyncClient, made: Made, asked: str, given: str) -> None:
    assert (await ask(http, made, scope=asked)).json()["scope"] == given


@pytest.mark.parametrize("asked", ["people:read audit:read", "api:read", "nothing", "people:read\x00", "é", "x" * 5000])
async def test_more_than_the_client_has_is_refused(http: httpx2.AsyncClient, made: Made, asked: str) -> None:
    assert_refused(await ask(http, made, scope=asked), 400, "invalid_scope")


async def test_a_token_never_may_more_than_its_client_now(
    http: httpx2.AsyncClient, database: Database, made: Made
) -> None:
    token = (await ask(http, made, scope="people:read people:write")).json()["access_token"]
    async with database.tenant(made.tenant_id) as tx:
        await clients.change_client(tx, made.client_id, Terms("Portal", ["api:read"]))
    found = await shown(database, made, token)
    assert found is not None
    assert found.scopes == {"people:read"}


# ------------------------------------------------------------------ what is refused


async def test_who_shows_nothing_right_is_nobody(http: httpx2.AsyncClient, made: Made) -> None:
    client_id, secret = made.auth
    wrong = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    said: set[str] = set()
    for auth in ((client_id, wrong), (client_id, ""), (str(uuid4()), secret), ("nobody", secret), ("", "")):
        answer = await http.post(TOKEN, data=GRANT, auth=auth)
        assert_refused(answer, 401, "invalid_client")
        assert answer.headers["www-authenticate"] == 'Basic realm="stoa"'
        said.add(answer.json()["error_description"])
    assert len(said) == 1
    assert_refused(await http.post(TOKEN, data=GRANT), 401, "invalid_client")
    for header in ("Basic !", "Basic", "Bearer x", f"Basic {base64.b64encode(b'no colon').decode()}", "Digest x"):
        answer = await http.post(TOKEN, data=GRANT, headers={"Authorization": header})
        assert_refused(answer, 401, "invalid_client")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
    ],
)
async def test_other_grants_are_refused(
    http: httpx2.AsyncClient, made: Made, fields: dict[str, str], error: str
) -> None:
    assert_refused(await http.post(TOKEN, data=fields, auth=made.auth), 400, error)


async def test_what_is_no_token_request_is_refused(http: httpx2.AsyncClient, made: Made) -> None:
    client_id, secret = made.auth
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    twice = "grant_type=client_credentials&grant_type=client_credentials"
    for content, headers in (
        ('{"grant_type": "client_credentials"}', {"Content-Type": "application/json"}),
        ("grant_type=client_credentials", {}),
        (twice, form),
        ("grant_type=client_credentials&scope=%ff", form),
        ("grant_type=é".encode(), form),
        ("&".join(f"a{number}=1" for number in range(50)), form),
    ):
        answer = await http.post(TOKEN, content=content, headers=headers, auth=made.auth)
        assert_refused(answer, 400, "invalid_request")
    mixed = {**GRANT, "client_id": client_id, "client_secret": secret}
    assert_refused(await http.post(TOKEN, data=mixed, auth=made.auth), 400, "invalid_request")
    assert_refused(await http.post(TOKEN, data=GRANT | {"client_id": "x"}, auth=made.auth), 400, "invalid_request")
    large = await http.post(TOKEN, data=GRANT | {"x": "y" * 40_000}, auth=made.auth)
    assert_refused(large, 413, "invalid_request")
    assert (await http.get(TOKEN)).status_code == 405
    # What nobody knows is passed over (RFC 6749, 3.2).
    assert (await ask(http, made, resource="https://x.example", x="1")).status_code == 200


async def test_who_fails_too_often_waits(server: embedded.Server, http: httpx2.AsyncClient, made: Made) -> None:
    client_id, secret = made.auth
    wrong = (client_id, "stoa_secret_" + "x" * 43)
    answers = [await http.post(TOKEN, data=GRANT, auth=wrong) for _ in range(11)]
    assert [one.status_code for one in answers] == [401] * 10 + [429]
    assert_refused(answers[-1], 429, "temporarily_unavailable")
    assert int(answers[-1].headers["retry-after"]) >= 1
    # Here even the right secret waits; elsewhere nobody has locked the client out.
    assert (await http.post(TOKEN, data=GRANT, auth=(client_id, secret))).status_code == 429
    async with serving(server, peer=("203.0.113.77", 1)) as elsewhere:
        assert (await ask(elsewhere, made)).status_code == 200


async def test_nobody_fills_the_log_from_many_addresses(
    server: embedded.Server, database: Database, made: Made
) -> None:
    wrong = (made.auth[0], "x")
    for number in range(FREE_TELLINGS + 5):
        async with serving(server, peer=(f"2001:db8:ffff:{number:x}::1", 1)) as somewhere:
            assert (await somewhere.post(TOKEN, data=GRANT, auth=wrong)).status_code == 401
    told = [name for name, _ in await events_of(database, made)]
    # The five that follow would each be told only after a wait that doubles.
    assert FREE_TELLINGS <= told.count("client.sign_in_failed") < FREE_TELLINGS + 5


async def test_a_fleet_may_ask_all_at_once(http: httpx2.AsyncClient, database: Database, made: Made) -> None:
    answers = await asyncio.gather(*(ask(http, made) for _ in range(40)))
    assert {one.status_code for one in answers} == {200}
    assert len({one.json()["access_token"] for one in answers}) == 40
    assert await shown(database, made, answers[0].json()["access_token"]) is not None


async def test_a_token_costs_a_request_and_the_first_ones_are_told(
    http: httpx2.AsyncClient, database: Database, made: Made
) -> None:
    async with database.tenant(made.tenant_id) as tx:
        terms = Terms("Portal", ["people:read"], per_minute=30)
        await clients.change_client(tx, made.client_id, terms)
    answers = [await ask(http, made) for _ in range(70)]
    given = [one for one in answers if one.status_code == 200]
    # A minute may end meanwhile, and a process may give one token before it has a block of the budget.
    assert 30 <= len(given) <= 62
    limited = next(one for one in answers if one.status_code != 200)
    assert_refused(limited, 429, "temporarily_unavailable")
    assert 1 <= int(limited.headers["retry-after"]) <= 60
    told = [name for name, _ in await events_of(database, made)]
    assert MOST_TOLD <= told.count("client.signed_in") < len(given)


async def test_what_is_right_begins_the_count_anew(http: httpx2.AsyncClient, made: Made) -> None:
    wrong = (made.auth[0], "x")
    for _ in range(2):
        for _ in range(9):
            assert (await http.post(TOKEN, data=GRANT, auth=wrong)).status_code == 401
        assert (await ask(http, made)).status_code == 200


async def test_a_client_may_be_bound_to_networks(server: embedded.Server, database: Database, made: Made) -> None:
    async with database.tenant(made.tenant_id) as tx:
        await clients.change_client(tx, made.client_id, Terms("Portal", ["people:read"], ["198.51.100.0/24"]))
    async with serving(server, peer=("198.51.100.7", 1)) as inside, serving(server, peer=("192.0.2.7", 1)) as outside:
        assert (await ask(inside, made)).status_code == 200
        assert_refused(refused := await ask(outside, made), 401, "invalid_client")
        assert "192.0.2.7" in refused.json()["error_description"]
    assert (await events_of(database, made))[-1] == ("client.sign_in_failed", {"reason": "address"})


# ------------------------------------------------------------------ revoked at once


async def test_a_revoked_secret_takes_its_tokens_along(
    http: httpx2.AsyncClient, database: Database, made: Made
) -> None:
    async with database.tenant(made.tenant_id) as tx:
        second = await client_credentials.issue(tx, made.client_id, "client_secret")
    first_token = (await ask(http, made)).json()["access_token"]
    answer = await http.post(TOKEN, data=GRANT, auth=(made.auth[0], second.token))
    second_token = answer.json()["access_token"]
    async with database.tenant(made.tenant_id) as tx:
        await client_credentials.revoke_of(tx, made.client_id, made.secret.credential_id)
    assert await shown(database, made, first_token) is None
    assert await shown(database, made, second_token) is not None
    assert_refused(await ask(http, made), 401, "invalid_client")


async def test_a_disabled_client_gets_nothing_and_its_tokens_stay_ended(
    http: httpx2.AsyncClient, database: Database, made: Made
) -> None:
    token = (await ask(http, made)).json()["access_token"]
    async with database.tenant(made.tenant_id) as tx:
        await clients.disable_client(tx, made.client_id)
    assert await shown(database, made, token) is None
    refused = await ask(http, made)
    assert_refused(refused, 401, "invalid_client")
    assert "disabled" in refused.json()["error_description"]
    async with database.tenant(made.tenant_id) as tx:
        await clients.enable_client(tx, made.client_id)
    assert await shown(database, made, token) is None
    assert (await ask(http, made)).status_code == 200


async def test_a_secret_that_is_revoked_while_it_is_shown_gives_nothing(
    http: httpx2.AsyncClient, database: Database, made: Made
) -> None:
    async with database.tenant(made.tenant_id) as tx:
        await client_credentials.revoke_of(tx, made.client_id, made.secret.credential_id)
        asked = asyncio.create_task(ask(http, made))
        # The request meets the row that is being revoked, and waits for what becomes of it.
        while not await waits_for(database, tx.connection.get_server_pid()):
            assert not asked.done(), (await asked).text
    assert_refused(await asked, 401, "invalid_client")


async def waits_for(database: Database, pid: int) -> bool:
    async with database.platform() as tx:
        return await tx.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = any(pg_blocking_pids(pid)))", pid
        )


async def test_a_deleted_client_and_another_tenants_secret(
    http: httpx2.AsyncClient, database: Database, made: Made, make_tenant: MakeTenant
) -> None:
    other = await make_tenant()
    async with database.tenant(other) as tx:
        theirs = await clients.create_client(tx, Terms("Portal", ["people:read"]))
        secret = await client_credentials.issue(tx, theirs.client_id, "client_secret")
    crossed = await http.post(TOKEN, data=GRANT, auth=(made.auth[0], secret.token))
    assert_refused(crossed, 401, "invalid_client")
    async with database.tenant(made.tenant_id) as tx:
        await clients.delete_client(tx, made.client_id)
    assert_refused(await ask(http, made), 401, "invalid_client")


async def test_the_oldest_of_too_many_tokens_end(http: httpx2.AsyncClient, database: Database, made: Made) -> None:
    first = (await ask(http, made)).json()["access_token"]
    async with database.tenant(made.tenant_id) as tx:
        await tx.execute(
            """INSERT INTO access_token
                 (tenant_id, token_id, client_id, token_hash, prefix, scopes, created_at, expires_at)
               SELECT $1, gen_random_uuid(), $2, sha256(n::text::bytea), 'x', '{people:read}', $3::timestamptz,
                 $3 + interval '1 hour' * CASE WHEN n > 50 THEN 2 ELSE -1 END
               FROM generate_series(1, $4::integer) n""",
            *(made.tenant_id, made.client_id, tx.now, MOST_TOKENS + 49),
        )
    last = (await ask(http, made)).json()["access_token"]
    async with database.tenant(made.tenant_id) as tx:
        left = await tx.fetchval(
            "SELECT count(*) FROM access_token WHERE tenant_id = $1 AND client_id = $2", made.tenant_id, made.client_id
        )
    assert left == MOST_TOKENS
    assert await shown(database, made, first) is None
    assert await shown(database, made, last) is not None


# ------------------------------------------------------------------ what is written down, and what is published


async def test_no_secret_is_written_down(
    http: httpx2.AsyncClient, database: Database, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    await register(database, made, jwk_of(key_for("ES256")))
    with structlog.testing.capture_logs() as logged:
        answer = await ask(http, made)
        await http.post(TOKEN, data=GRANT, auth=(made.auth[0], made.secret.token + "x"))
        request = signed(made)
        await http.post(TOKEN, data=request | {"client_assertion": request["client_assertion"][:-4] + "AAAA"})
    token = answer.json()["access_token"]
    async with database.tenant(made.tenant_id) as tx:
        tables = ("credential", "access_token", "client_assertion", "api_client", "entry")
        rows = [await tx.fetch(f"SELECT * FROM {name} WHERE tenant_id = $1", made.tenant_id) for name in tables]
    printed = capsys.readouterr()
    everywhere = repr(logged) + repr(rows) + printed.out + printed.err + repr(await events_of(database, made))
    for kept in (token, made.secret.token, request["client_assertion"].rsplit(".", 1)[-1]):
        assert max(kept.split("_"), key=len) not in everywhere
    assert "oauth_client_refused" in repr(logged)


async def test_the_metadata_tells_clients_what_there_is(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/.well-known/oauth-authorization-server")
    body = answer.json()
    assert (body["issuer"], body["token_endpoint"]) == (BASE_URL, BASE_URL + TOKEN)
    assert body["grant_types_supported"] == ["client_credentials"]
    assert set(body["token_endpoint_auth_methods_supported"]) == {
        *("client_secret_basic", "client_secret_post", "private_key_jwt")
    }
    assert {"RS256", "PS256", "ES256", "EdDSA"} <= set(body["token_endpoint_auth_signing_alg_values_supported"])
    assert "people:read" in body["scopes_supported"]
