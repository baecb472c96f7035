"""The public keys of a client, and what it signs with them (RFC 7517, RFC 7523)."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from stoa.access.jwks import BadAssertion, BadKeys, checked_keys, claimed_client, read_assertion
from tests.access.signing import claims_of, jwk_of, jwt, key_for, keyed_with, number, packed, set_of, unsigned

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
CLIENT, HERE = "01980f5e-6f2a-7c3e-9a51-0d6f4b1c2a10", "https://stoa.example/oauth/token"
RSA, EC, ED = jwk_of(key_for("RS256")), jwk_of(key_for("ES256")), jwk_of(key_for("EdDSA"))


def read(assertion: str, *keys: dict[str, Any]) -> Any:
    registered = checked_keys(set_of(*(keys or (RSA, EC, ED))))
    return read_assertion(assertion, registered, CLIENT, frozenset({HERE}), datetime.now(UTC))


# ------------------------------------------------------------------ keys


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=["RSA", "EC", "OKP"])
def test_a_key_alone_or_in_a_set_is_taken(key: dict[str, Any]) -> None:
    (alone,), (in_set,) = checked_keys(json.dumps(key)), checked_keys(set_of({**key, "use": "sig", "x5t": "abc"}))
    assert alone == in_set == {**key, "kid": alone["kid"]}
    assert len(alone["kid"]) == 43


def test_a_key_keeps_its_id_and_algorithm() -> None:
    (found,) = checked_keys(set_of({**RSA, "kid": "2026", "alg": "PS256"}))
    assert (found["kid"], found["alg"]) == ("2026", "PS256")


def small_rsa(bits: int) -> dict[str, Any]:
    return jwk_of(rsa.generate_private_key(65537, bits))


@pytest.mark.parametrize(
    "key",
    [
        jwk_of(key_for("RS256"), private=True),
        jwk_of(key_for("ES256"), private=True),
        jwk_of(key_for("EdDSA"), private=True),
        {**RSA, "p": "AQAB"},
        {"kty": "oct", "k": packed(b"x" * 32)},
    ],
)
def test_a_private_key_is_refused_and_not_repeated(key: dict[str, Any]) -> None:
    with pytest.raises(BadKeys) as caught:
        checked_keys(set_of(key))
    assert "private" in str(caught.value)
    assert not any(len(str(value)) > 5 and str(value) in str(caught.value) for value in key.values())


@pytest.mark.parametrize(
    "key",
    [
        small_rsa(1024),
        {**RSA, "e": "AQ"},
        {**RSA, "e": "AQAA"},
        {**RSA, "n": number(2**2048)},
        {**RSA, "n": number(2**5000 + 1)},
        {**RSA, "n": "!!"},
        {**RSA, "n": 7},
        {"kty": "RSA", "e": "AQAB"},
        jwk_of(ec.generate_private_key(ec.SECP384R1())),
        {**EC, "y": EC["x"]},
        {**EC, "crv": "secp256k1"},
        {**ED, "x": packed(b"short")},
        {**ED, "crv": "X25519"},
        {**ED, "alg": "RS256"},
        {**RSA, "alg": "none"},
        {**RSA, "alg": "HS256"},
        {**RSA, "use": "enc"},
        {**RSA, "key_ops": ["encrypt"]},
        {**RSA, "kid": ""},
        {**RSA, "kid": "x" * 201},
        {**RSA, "kid": ["a"]},
        {**RSA, "kty": "rsa"},
        {},
    ],
)
def test_a_key_of_another_sort_is_refused(key: dict[str, Any]) -> None:
    with pytest.raises(BadKeys, match="Key 2: "):
        checked_keys(set_of(EC, key))


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": 7}',
        '{"keys": [7]}',
        "null",
        "\ud800",
        '{"keys":' * 2_000,
        " " * 16_385,
        set_of(*(dict(RSA, kid=str(i)) for i in range(6))),
        set_of(dict(RSA, kid="a"), dict(EC, kid="a")),
        "-----BEGIN PUBLIC KEY-----",
    ],
)
def test_a_set_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadKeys):
        checked_keys(text)


# ------------------------------------------------------------------ assertions


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_signed_assertion_says_who_it_is_from(alg: str) -> None:
    claims = claims_of(CLIENT, HERE)
    key = key_for("EdDSA" if alg == "Ed25519" else alg)
    assertion = jwt(key, {"alg": alg, "typ": "JWT"}, claims)
    found = read(assertion, jwk_of(key, kid="mine"))
    assert (found.jti, found.kid) == (claims["jti"], "mine")
    assert found.expires_at.timestamp() >= claims["exp"]
    assert claimed_client(assertion) == CLIENT


def test_the_right_key_is_found_by_id_or_without_one() -> None:
    first, second = key_for("ES256"), ec.generate_private_key(ec.SECP256R1())
    keys = (jwk_of(first, kid="a"), jwk_of(second, kid="b"))
    claims = claims_of(CLIENT, [HERE, "elsewhere"])
    assert read(jwt(second, {"alg": "ES256"}, claims), *keys).kid == "b"
    assert read(jwt(second, {"alg": "ES256", "kid": "b"}, claims), *keys).kid == "b"
    for kid in ("a", "c", 7, ["b"]):
        with pytest.raises(BadAssertion):
            read(jwt(second, {"alg": "ES256", "kid": kid}, claims), *keys)


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "somebody"},
        {"iss": None},
        {"sub": "somebody"},
        {"sub": None},
        {"aud": "https://elsewhere.example"},
        {"aud": None},
        {"aud": []},
        {"aud": [7]},
        {"aud": {"a": HERE}},
        {"exp": None},
        {"exp": int(time.time()) - 60},
        {"exp": int(time.time()) + 3_600},
        {"exp": str(int(time.time()) + 60)},
        {"exp": True},
        {"exp": 10**400},
        {"exp": -1e300},
        {"nbf": int(time.time()) + 120},
        {"iat": int(time.time()) + 120},
        {"iat": "now"},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 201},
    ],
)
def test_each_claim_must_be_right(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadAssertion):
        read(jwt(key_for("ES256"), {"alg": "ES256"}, claims_of(CLIENT, HERE, **wrong)))


def test_a_clock_may_be_off_by_some_seconds() -> None:
    now = int(time.time())
    claims = claims_of(CLIENT, HERE, exp=now - 5, iat=now + 20, nbf=now + 20)
    assert read(jwt(key_for("ES256"), {"alg": "ES256"}, claims))


def test_what_nobody_signed_is_refused() -> None:
    claims = claims_of(CLIENT, HERE)
    good = jwt(key_for("ES256"), {"alg": "ES256"}, claims)
    head, body, signed = good.split(".")
    other = packed(json.dumps({**claims, "jti": "other"}).encode())
    stranger = jwt(ec.generate_private_key(ec.SECP256R1()), {"alg": "ES256"}, claims)
    for assertion in (
        *(unsigned(claims, alg) for alg in ("none", "None", "NONE", "ES256", "RS256")),
        f"{head}.{other}.{signed}",
        f"{head}.{body}.",
        f"{head}.{body}.{packed(bytes(64))}",
        f"{head}.{body}",
        stranger,
    ):
        with pytest.raises(BadAssertion):
            read(assertion)


def test_a_public_key_is_no_shared_secret() -> None:
    key = key_for("RS256").public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.strip(), json.dumps(RSA).encode(), RSA["n"].encode()):
        with pytest.raises(BadAssertion):
            read(keyed_with(secret, claims_of(CLIENT, HERE)), RSA)


def test_an_algorithm_of_another_key_is_refused() -> None:
    claims = claims_of(CLIENT, HERE)
    with pytest.raises(BadAssertion):
        read(jwt(key_for("ES256"), {"alg": "RS256"}, claims), EC)
    with pytest.raises(BadAssertion):
        read(jwt(key_for("RS256"), {"alg": "RS256"}, claims), {**RSA, "alg": "PS256"})


@pytest.mark.parametrize(
    "more",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
    ],
    ids=str,
)
def test_a_header_that_asks_for_more_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(BadAssertion):
        read(jwt(key_for("ES256"), {"alg": "ES256", **more}, claims_of(CLIENT, HERE)))


def test_keys_that_an_assertion_brings_are_not_used() -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    header = {
        "alg": "ES256",
        "jwk": jwk_of(stranger),
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example",
    }
    with pytest.raises(BadAssertion):
        read(jwt(stranger, header, claims_of(CLIENT, HERE)))


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b.c", "....", "é.é.é", "\ud800.x.x", packed(b"[]") + ".e30.x", "x" * 9_000, "[" * 3_000 + ".."],
    ids=lambda text: text[:12].encode("ascii", "replace").decode(),
)
def test_what_is_no_jwt_is_refused(text: str) -> None:
    with pytest.raises(BadAssertion):
        read(text)
    assert claimed_client(text) is None


def test_an_assertion_over_the_limit_is_refused_though_its_signature_is_right() -> None:
    assertion = jwt(key_for("ES256"), {"alg": "ES256"}, claims_of(CLIENT, HERE, more="x" * 8_000))
    with pytest.raises(BadAssertion, match="too long"):
        read(assertion)
    assert claimed_client(assertion) is None


@pytest.mark.parametrize("subject", [None, 7, ["x"]])
def test_nobody_is_claimed_without_a_subject(subject: Any) -> None:
    assert claimed_client(unsigned(claims_of(CLIENT, HERE, sub=subject))) is None
