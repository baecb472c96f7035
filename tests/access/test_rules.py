import hashlib

import pytest

from stoa.access import rules
from stoa.kernel.problems import BadInput

SECRET = "A1-_" * 10 + "xyz"


@pytest.mark.parametrize(
    ("scopes", "kind"),
    [(["scim"], "scim"), (["api:read", "api:write"], "api"), (["scim", "api:read"], "key")],
)
def test_a_token_tells_what_it_is_for(scopes: list[str], kind: str) -> None:
    assert rules.token_text(scopes, SECRET) == f"stoa_{kind}_{SECRET}"


def test_scopes_are_kept_once_and_in_order() -> None:
    assert rules.checked_scopes(["scim", "api:read", "scim"]) == ["api:read", "scim"]


@pytest.mark.parametrize(
    "scopes", [[], ["SCIM"], ["a b"], [""], ["api:"], [":read"], ["a:b:c"], ["*"], [f"s{n}" for n in range(21)]]
)
def test_what_is_not_a_scope_is_refused(scopes: list[str]) -> None:
    with pytest.raises(BadInput):
        rules.checked_scopes(scopes)


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb"])
def test_a_credential_needs_a_printable_name(name: str) -> None:
    with pytest.raises(BadInput):
        rules.checked_name(name)


def test_little_of_a_token_is_shown() -> None:
    assert rules.token_prefix(f"stoa_scim_{SECRET}") == "stoa_scim_" + SECRET[:6]


def test_a_token_is_stored_as_its_sha_256() -> None:
    token = f"stoa_scim_{SECRET}"
    assert rules.token_hash(token) == hashlib.sha256(token.encode()).digest()


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", SECRET, f"stoa_{SECRET}", f"stoa_scim_{SECRET}x", f"stoa_scim_{SECRET[1:]}", f"Stoa_scim_{SECRET}"),
        *(f"stoa_scim_{SECRET}\n", f" stoa_scim_{SECRET}", f"stoa_scim_{'ü' * 43}", f"stoa_scim_{SECRET[:-1]}="),
    ],
)
def test_what_cannot_be_a_token_is_not_looked_up(text: str) -> None:
    assert rules.token_hash(text) is None
