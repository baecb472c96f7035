"""The token endpoint for clients that sign for themselves (RFC 7523)."""

import asyncio
from uuid import uuid4

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from stoa.access import client_credentials, clients
from stoa.access.clients_rules import Terms
from stoa.db.database import Database
from tests.access.signing import claims_of, jwk_of, jwt, key_for, keyed_with, unsigned
from tests.api.asking import (
    ASSERTION_TYPE,
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
from tests.api.calling import BASE_URL
from tests.conftest import MakeTenant


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_a_client_may_sign_for_itself(http: httpx2.AsyncClient, database: Database, made: Made, alg: str) -> None:
    await register(database, made, jwk_of(key_for(alg)))
    for audience in (BASE_URL + TOKEN, BASE_URL):
        answer = await http.post(TOKEN, data=signed(made, alg, aud=audience) | {"scope": "people:read"})
        assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "people:read"
    assert (await events_of(database, made))[-1][1]["method"] == "private_key_jwt"


async def test_an_assertion_opens_once(http: httpx2.AsyncClient, database: Database, made: Made) -> None:
    await register(database, made, jwk_of(key_for("ES256")))
    request = signed(made, jti="once")
    answers = await asyncio.gather(*(http.post(TOKEN, data=request) for _ in range(6)))
    assert sorted(one.status_code for one in answers) == [200] + [401] * 5
    assert_refused(again := await http.post(TOKEN, data=request), 401, "invalid_client")
    assert "before" in again.json()["error_description"]
    fresh_signature = await http.post(TOKEN, data=signed(made, jti="once"))
    assert_refused(fresh_signature, 401, "invalid_client")
    assert ("client.sign_in_failed", {"reason": "replayed"}) in await events_of(database, made)


async def test_what_is_not_signed_by_the_client_is_refused(
    http: httpx2.AsyncClient, database: Database, made: Made
) -> None:
    await register(database, made, jwk_of(key_for("RS256")), jwk_of(key_for("ES256")))
    client_id = str(made.client_id)
    claims = claims_of(client_id, BASE_URL + TOKEN)
    stranger = ec.generate_private_key(ec.SECP256R1())
    for assertion in (
        unsigned(claims),
        keyed_with(jwk_of(key_for("RS256"))["n"].encode(), claims),
        jwt(stranger, {"alg": "ES256", "jwk": jwk_of(stranger)}, claims),
        jwt(key_for("ES256"), {"alg": "ES256"}, claims_of(client_id, "https://elsewhere.example")),
        jwt(key_for("ES256"), {"alg": "ES256"}, claims_of(client_id, BASE_URL, exp=1)),
        jwt(key_for("ES256"), {"alg": "ES256"}, claims_of(client_id, BASE_URL, more="x" * 9_000)),
        jwt(key_for("ES256"), {"alg": "ES256"}, claims_of(str(uuid4()), BASE_URL)),
        "x.y.z",
    ):
        request = {**GRANT, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        assert_refused(await http.post(TOKEN, data=request), 401, "invalid_client")


async def test_half_an_assertion_is_an_invalid_request(http: httpx2.AsyncClient, made: Made) -> None:
    request = signed(made)
    for wrong in (
        {**request, "client_assertion_type": ""},
        {**request, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {**request, "client_secret": made.auth[1]},
        {**request, "client_id": str(uuid4())},
    ):
        assert_refused(await http.post(TOKEN, data=wrong), 400, "invalid_request")


async def test_a_key_that_is_taken_away_takes_its_tokens_along(
    http: httpx2.AsyncClient, database: Database, made: Made
) -> None:
    first, second = jwk_of(key_for("ES256"), kid="a"), jwk_of(key_for("RS256"), kid="b")
    await register(database, made, first, second)
    by_first = (await http.post(TOKEN, data=signed(made))).json()["access_token"]
    by_second = (await http.post(TOKEN, data=signed(made, "RS256"))).json()["access_token"]
    by_secret = (await ask(http, made)).json()["access_token"]
    await register(database, made, second)
    assert await shown(database, made, by_first) is None
    assert await shown(database, made, by_second) is not None
    assert_refused(await http.post(TOKEN, data=signed(made)), 401, "invalid_client")
    await register(database, made)
    assert await shown(database, made, by_second) is None
    assert await shown(database, made, by_secret) is not None


async def test_a_new_key_under_an_old_id_ends_what_the_old_one_signed_for(
    http: httpx2.AsyncClient, database: Database, made: Made
) -> None:
    await register(database, made, jwk_of(key_for("ES256"), kid="a"))
    token = (await http.post(TOKEN, data=signed(made))).json()["access_token"]
    await register(database, made, jwk_of(key_for("RS256"), kid="a"))
    assert await shown(database, made, token) is None


async def test_a_sandbox_ahead_of_time_takes_assertions_of_today(
    http: httpx2.AsyncClient, database: Database, make_tenant: MakeTenant
) -> None:
    tenant_id = await make_tenant(sandbox=True)
    async with database.tenant(tenant_id) as tx:
        await tx.execute("UPDATE tenant SET clock_offset = '400 days' WHERE tenant_id = $1", tenant_id)
        found = await clients.create_client(tx, Terms("Portal", ["people:read"]))
        secret = await client_credentials.issue(tx, found.client_id, "client_secret")
    made = Made(tenant_id, found.client_id, secret)
    await register(database, made, jwk_of(key_for("ES256")))
    token = (await http.post(TOKEN, data=signed(made))).json()["access_token"]
    assert (await http.get("/v1/people", headers={"Authorization": f"Bearer {token}"})).status_code == 200
