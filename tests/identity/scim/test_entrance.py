"""Who is let in: tokens, tenants, scopes."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from stoa.access.actions import revoke
from stoa.access.client_credentials import issue
from stoa.access.clients import create_client
from stoa.access.clients_rules import Terms
from stoa.db.database import Database, open_database
from stoa.identity.scim.entrance import Slugs
from stoa.identity.scim.errors import ScimError
from stoa.identity.scim.model import ERROR_SCHEMA
from stoa.identity.scim.routes import ENDPOINTS
from tests.conftest import ConnectArgs, MakeTenant
from tests.identity.conftest import MakeScim, Scim, ScimToken, patch_body

BODIES: dict[str, Any] = {
    "POST": {"userName": "intruder"},
    "PUT": {"userName": "intruder"},
    "PATCH": patch_body({"op": "replace", "path": "active", "value": False}),
}
CALLS = [
    (method, f"/{path.format(id=UUID(int=1))}", BODIES.get(method))
    for path, handlers in ENDPOINTS.items()
    for method in handlers
]


def assert_error(answer: httpx2.Response, status: int) -> None:
    """An error in SCIM's form, its status as a string."""
    assert answer.status_code == status, answer.text
    assert answer.json()["schemas"] == [ERROR_SCHEMA]
    assert answer.json()["status"] == str(status)
    assert answer.json()["detail"]
    assert answer.headers["content-type"].startswith("application/scim+json")


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=[f"{method} {path}" for method, path, _ in CALLS])
async def test_every_endpoint_refuses_whoever_is_not_of_the_tenant(
    scim: Scim, make_scim: MakeScim, method: str, path: str, body: Any
) -> None:
    other = await make_scim()
    for headers, status in (
        ({"Authorization": ""}, 401),
        ({"Authorization": "Basic YTpi"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer nonsense"}, 401),
        ({"Authorization": f"Bearer stoa_scim_{'x' * 43}"}, 401),
        ({"Authorization": f"Bearer {'x' * 5000}"}, 401),
        ({"Authorization": f"Bearer {other.issued.token}"}, 404),
    ):
        answer = await scim(method, path, body, headers=headers)
        assert_error(answer, status)
        assert answer.headers.get("www-authenticate", "").startswith("Bearer") is (status == 401)
    assert await scim.find("userName pr") == []


async def test_another_tenants_ids_are_not_there(scim: Scim, make_scim: MakeScim) -> None:
    made = await scim.make("ada")
    other = await make_scim()
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert_error(await other(method, f"/Users/{made['id']}", BODIES.get(method)), 404)
    assert await other.find(f'id eq "{made["id"]}"') == []
    assert (await scim.get(made["id"]))["active"] is True


async def test_an_unknown_tenant_is_404_for_any_token_and_401_without(scim: Scim) -> None:
    for slug in ("nobody", "x" * 70, "%00", "A.B"):
        url = f"/t/{slug}/scim/v2/Users"
        assert_error(await scim.http.get(url, headers=scim.headers), 404)
        assert_error(await scim.http.get(url, headers={"Authorization": "Bearer x"}), 404)
        assert_error(await scim.http.get(url), 401)


async def test_an_expired_or_revoked_token_is_401(make_scim: MakeScim, database: Database) -> None:
    short = await make_scim()
    async with database.tenant(short.tenant_id) as tx:
        soon = tx.now + timedelta(hours=1)
    expiring = await make_scim(short.tenant_id, expires_at=soon)
    assert (await expiring("GET", "/Users")).status_code == 200
    async with database.tenant(short.tenant_id) as tx:
        await tx.execute(
            "UPDATE credential SET expires_at = $3 WHERE tenant_id = $1 AND credential_id = $2",
            tx.tenant_id, expiring.issued.credential_id, tx.now - timedelta(seconds=1),
        )  # fmt: skip
        await revoke(tx, short.issued.credential_id)
    for client in (short, expiring):
        answer = await client("GET", "/Users")
        assert_error(answer, 401)
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_two_tokens_of_one_source_see_the_same_users(scim: Scim, make_scim: MakeScim) -> None:
    made = await scim.make("ada")
    rotated = await make_scim(scim.tenant_id)
    assert rotated.issued.token != scim.issued.token
    assert (await rotated.get(made["id"]))["userName"] == "ada"


async def test_what_an_api_client_shows_opens_no_scim(scim: Scim, database: Database) -> None:
    async with database.tenant(scim.tenant_id) as tx:
        client = await create_client(tx, Terms("Portal", ["api:read", "api:write"]))
        key = await issue(tx, client.client_id, "api_key")
        secret = await issue(tx, client.client_id, "client_secret")
    assert_error(await scim("GET", "/Users", headers={"Authorization": f"Bearer {key.token}"}), 403)
    assert_error(await scim("GET", "/Users", headers={"Authorization": f"Bearer {secret.token}"}), 401)


async def test_a_token_for_something_else_is_403(scim: Scim, scim_token: ScimToken) -> None:
    token = await scim_token(scim.tenant_id, scopes=("api:read",))
    assert_error(await scim("GET", "/Users", headers={"Authorization": f"Bearer {token}"}), 403)


async def test_the_scheme_is_read_in_any_case(scim: Scim) -> None:
    answer = await scim("GET", "/Users", headers={"Authorization": f"bearer   {scim.issued.token}"})
    assert answer.status_code == 200


async def test_a_slug_is_remembered_for_a_while_but_not_that_there_was_none(
    database: Database, make_tenant: MakeTenant
) -> None:
    now = 0.0
    slugs = Slugs(database, lambda: now)
    with pytest.raises(ScimError):
        await slugs.tenant_of("later-tenant")
    made = await make_tenant(slug="later-tenant")
    assert await slugs.tenant_of("later-tenant") == made
    now = 10_000.0
    assert await slugs.tenant_of("later-tenant") == made


async def test_a_remembered_slug_needs_no_database(connect_args: ConnectArgs, make_tenant: MakeTenant) -> None:
    made = await make_tenant(slug="remembered")
    opened = await open_database(connect_args)
    slugs = Slugs(opened)
    assert await slugs.tenant_of("remembered") == made
    await opened.close()
    assert await slugs.tenant_of("remembered") == made
