"""The commands about operators, run as a person at a terminal runs them."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from stoa.access.signing_in import SignedIn, sign_in
from stoa.cli.operators import Grade, _paired
from stoa.db.database import Database
from stoa.kernel.problems import BadInput
from tests.commands import run_command
from tests.conftest import MakeTenant


async def stoa(env: dict[str, str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `stoa operator WORDS`."""
    ran = await asyncio.to_thread(run_command, ("operator", *words), {**env, "COLUMNS": "300"})
    return ran.code, ran.out, ran.err


async def told(env: dict[str, str], *words: str) -> Any:
    """The JSON that a command prints."""
    code, out, err = await stoa(env, *words, "--json")
    assert code == 0, err
    return json.loads(out)


async def enters(database: Database, email: str, password: str) -> bool:
    answer = await sign_in(database, email, password, address=f"cli-{uuid4()}", user_agent="")
    return isinstance(answer, SignedIn)


async def test_an_account_is_made_listed_reset_disabled_and_enabled(
    database: Database, make_tenant: MakeTenant, process_env: dict[str, str]
) -> None:
    slugs = [f"cli-{uuid4().hex[:8]}" for _ in range(2)]
    for slug in slugs:
        await make_tenant(slug=slug)
    email = f"{uuid4().hex}@example.com"
    roles = ("--tenant", slugs[0], "--role", "admin", "--tenant", slugs[1], "--role", "viewer")
    made = await told(process_env, "create", email, "--name", "Bo", *roles)
    assert set(made) == {"id", "email", "roles", "first_password", "sign_in_url"}
    assert made["sign_in_url"].endswith("/console/sign-in")
    assert sorted(made["roles"].split(", ")) == sorted([f"{slugs[0]} admin", f"{slugs[1]} viewer"])
    assert await enters(database, email, made["first_password"])

    listed = await told(process_env, "list", "--search", email.upper())
    assert [(one["id"], one["email"], one["name"], one["disabled"]) for one in listed] == [
        (made["id"], email, "Bo", False)
    ]
    assert made["first_password"] not in repr(listed)

    reset = await told(process_env, "reset-password", email.upper())
    assert not await enters(database, email, made["first_password"])
    assert await enters(database, email, reset["first_password"])

    assert await told(process_env, "disable", made["id"]) == {"disabled": email}
    assert not await enters(database, email, reset["first_password"])
    assert await told(process_env, "enable", email) == {"enabled": email}
    assert await enters(database, email, reset["first_password"])


async def test_without_json_the_password_stands_in_a_table_that_can_be_copied(process_env: dict[str, str]) -> None:
    email = f"{uuid4().hex}@example.com"
    code, out, _ = await stoa(process_env, "create", email, "--name", "Ada Byron", "--platform-role", "viewer")
    assert code == 0
    cells = dict(line.split(maxsplit=1) for line in out.splitlines() if line.strip())
    assert cells["email"].strip() == email
    assert cells["roles"].strip() == "platform viewer"
    assert len(cells["first_password"].strip()) == 24
    code, out, _ = await stoa(process_env, "list", "--search", "nobody has this")
    assert (code, out.strip()) == (0, "No operator has 'nobody has this' in the name or address.")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("create", "x@example.com", "--name", "X"), "without a role"),
        (("create", "x@example.com", "--name", "X", "--tenant", "no-such", "--role", "admin"), "no tenant 'no-such'"),
        (("create", "x", "--name", "X", "--platform-role", "admin"), "not an e-mail address"),
        (("disable", "nobody@example.org"), "no operator 'nobody@example.org'"),
        (("enable", str(uuid4())), "no such operator"),
    ],
)
async def test_a_refusal_says_why_and_has_an_exit_code(
    process_env: dict[str, str], words: tuple[str, ...], why: str
) -> None:
    code, out, err = await stoa(process_env, *words)
    assert code == 1
    assert out == ""
    assert why in " ".join(err.split())


def test_tenants_and_roles_pair_up() -> None:
    assert _paired((), ()) == {}
    assert _paired(("a", "b"), ("admin", "viewer")) == {"a": "admin", "b": "viewer"}
    assert _paired(("a", "b"), ("viewer",)) == {"a": "viewer", "b": "viewer"}


@pytest.mark.parametrize(
    ("tenants", "roles"),
    [
        (("a",), ()),
        ((), ("admin",)),
        (("a", "b", "c"), ("admin", "viewer")),
        (("a",), ("admin", "viewer")),
        (("a", "a"), ("admin",)),
    ],
)
def test_tenants_and_roles_that_do_not_pair_up_are_refused(tenants: tuple[str, ...], roles: tuple[Grade, ...]) -> None:
    with pytest.raises(BadInput):
        _paired(tenants, roles)
