"""The commands about tokens and API clients, run as a script runs them."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from stoa.access.queries import credential_by_token, tenant_of_token
from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.tenants.queries import source as source_of
from tests.access.signing import claims_of, jwk_of, jwt, key_for, set_of
from tests.api.calling import BASE_URL, serving
from tests.commands import run_command
from tests.conftest import MakeTenant


async def stoa(env: dict[str, str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `stoa WORDS`."""
    ran = await asyncio.to_thread(run_command, words, {**env, "COLUMNS": "300"})
    return ran.code, ran.out, ran.err


async def told(env: dict[str, str], *words: str) -> Any:
    """The JSON that a command prints."""
    code, out, err = await stoa(env, *words, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.fixture
async def slug(make_tenant: MakeTenant) -> str:
    """A fresh tenant."""
    given = f"cli-{uuid4().hex[:8]}"
    await make_tenant(slug=given)
    return given


async def opens(server: embedded.Server, token: str) -> int:
    """What the API answers to a token."""
    async with serving(server, token) as http:
        return (await http.get("/v1/people")).status_code


async def test_a_token_of_the_api_opens_it(
    server: embedded.Server, database: Database, process_env: dict[str, str], slug: str
) -> None:
    made = await told(process_env, "token", "create", slug, "--scope", "api:read,api:write")
    assert set(made) == {"token", "id", "base_url"}
    assert made["token"].startswith("stoa_api_")
    assert await opens(server, made["token"]) == 200
    async with database.platform() as tx:
        tenant_id = await tenant_of_token(tx, made["token"])
    assert tenant_id is not None
    async with database.tenant(TenantId(tenant_id)) as tx:
        found = await credential_by_token(tx, made["token"])
        assert found is not None
        assert found.source_id is not None
        source = await source_of(tx, found.source_id)
    assert source is not None
    assert (source.kind, source.name) == ("api", "API")
    await told(process_env, "token", "revoke", slug, made["id"])
    assert await opens(server, made["token"]) == 401


async def test_scopes_are_those_there_are(process_env: dict[str, str], slug: str) -> None:
    reading = await told(process_env, "token", "create", slug, "--scope", " people:read , events:read ", "--days", "3")
    assert reading["token"].startswith("stoa_api_")
    scim = await told(process_env, "token", "create", slug, "--scope", "scim")
    assert scim["scim_base_url"].endswith(f"/t/{slug}/scim/v2")
    for scope, said in (("people:delete", "There is no scope"), (",", "names nothing"), ("scim,api:read", "SCIM")):
        code, out, err = await stoa(process_env, "token", "create", slug, "--scope", scope)
        assert (code, out) == (1, "")
        assert said in err
    code, _, err = await stoa(process_env, "token", "create", slug, "--scope", "api:read", "--days", "0")
    assert code == 1
    assert "days" in err


async def test_a_client_is_made_opened_and_ended(
    server: embedded.Server, process_env: dict[str, str], slug: str
) -> None:
    made = await told(process_env, "client", "create", slug, "--name", "Portal", "--scope", "people:read,people:write")
    assert set(made) == {"id", "name", "scopes", "source_id", "token_url"}
    assert made["token_url"].endswith("/oauth/token")
    key = await told(process_env, "client", "key", slug, "portal", "--name", "Production", "--days", "30")
    secret = await told(process_env, "client", "secret", slug, made["id"])
    assert (key["expires_at"] is None, secret["expires_at"]) == (False, None)
    assert await opens(server, key["key"]) == 200
    grant = {"grant_type": "client_credentials"}
    async with serving(server) as http:
        answer = await http.post("/oauth/token", data=grant, auth=httpx2.BasicAuth(made["id"], secret["secret"]))
    assert await opens(server, answer.json()["access_token"]) == 200

    (listed,) = await told(process_env, "client", "list", slug)
    assert (listed["name"], listed["keys"], listed["secrets"], listed["state"]) == ("Portal", 1, 1, "enabled")
    assert listed["last_used_at"] is not None
    shown = await told(process_env, "client", "show", slug, "Portal")
    assert {(one["kind"], one["name"]) for one in shown} == {
        ("api_key", "Production"),
        ("client_secret", "Portal secret"),
    }
    assert key["key"] not in repr(shown)

    await told(process_env, "client", "disable", slug, "Portal")
    assert await opens(server, key["key"]) == 401
    await told(process_env, "client", "enable", slug, "Portal")
    assert await opens(server, key["key"]) == 200
    await told(process_env, "client", "revoke", slug, "Portal", key["id"])
    assert await opens(server, key["key"]) == 401
    await told(process_env, "client", "delete", slug, "Portal")
    assert await told(process_env, "client", "list", slug) == []
    code, _, err = await stoa(process_env, "client", "key", slug, "Portal")
    assert code == 1
    assert "no API client" in err


async def test_a_client_signs_with_the_keys_of_a_file(
    server: embedded.Server, process_env: dict[str, str], slug: str, tmp_path: Path
) -> None:
    made = await told(process_env, "client", "create", slug, "--name", "Signer", "--scope", "people:read")
    file = tmp_path / "jwks.json"
    file.write_text(set_of(jwk_of(key_for("ES256"), kid="2026")), encoding="utf-8")
    assert (await told(process_env, "client", "jwks", slug, "Signer", str(file)))["keys"] == "2026"
    request = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt(key_for("ES256"), {"alg": "ES256"}, claims_of(made["id"], BASE_URL)),
    }
    async with serving(server) as http:
        token = (await http.post("/oauth/token", data=request)).json()["access_token"]
    assert await opens(server, token) == 200
    assert (await told(process_env, "client", "jwks", slug, "Signer"))["keys"] == ""
    assert await opens(server, token) == 401
    file.write_text(set_of(jwk_of(key_for("ES256"), private=True)), encoding="utf-8")
    code, _, err = await stoa(process_env, "client", "jwks", slug, "Signer", str(file))
    assert code == 1
    assert "private" in err
    code, _, err = await stoa(process_env, "client", "jwks", slug, "Signer", str(tmp_path / "missing.json"))
    assert code == 1
    assert "cannot be read" in err


async def test_what_is_wrong_is_said(process_env: dict[str, str], slug: str) -> None:
    wrong = ("--name", " ", "--scope", "people:all", "--allow", "nowhere", "--per-minute", "0")
    code, out, err = await stoa(process_env, "client", "create", slug, *wrong)
    assert (code, out) == (1, "")
    for said in ("name", "people:all", "nowhere", "minute"):
        assert said in err
