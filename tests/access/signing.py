"""Keys of a client, and JWTs signed with them: written apart from the library that checks them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def packed(raw: bytes) -> str:
    """Base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def number(value: int, size: int | None = None) -> str:
    return packed(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@cache
def key_for(alg: str) -> PrivateKey:
    """A private key, the same for each algorithm throughout a test process."""
    match alg:
        case "RS256" | "PS256":
            return rsa.generate_private_key(65537, 2048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def jwk_of(key: PrivateKey, *, private: bool = False, **more: Any) -> dict[str, Any]:
    """The key as a JWK (RFC 7517); its public part unless `private`."""
    match key:
        case rsa.RSAPrivateKey():
            numbers = key.public_key().public_numbers()
            made = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
            secret = number(key.private_numbers().d)
        case ec.EllipticCurvePrivateKey():
            point = key.public_key().public_numbers()
            curve = {"secp256r1": ("P-256", 32), "secp384r1": ("P-384", 48)}[key.curve.name]
            made = {"kty": "EC", "crv": curve[0], "x": number(point.x, curve[1]), "y": number(point.y, curve[1])}
            secret = number(key.private_numbers().private_value, curve[1])
        case _:
            made = {"kty": "OKP", "crv": "Ed25519", "x": packed(key.public_key().public_bytes_raw())}
            secret = packed(key.private_bytes_raw())
    return {**made, **({"d": secret} if private else {}), **more}


def set_of(*keys: Mapping[str, Any]) -> str:
    """A JWK set."""
    return json.dumps({"keys": keys})


def signature(key: PrivateKey, alg: str, content: bytes) -> bytes:
    match key:
        case rsa.RSAPrivateKey():
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            return key.sign(content, pss if alg == "PS256" else padding.PKCS1v15(), hashes.SHA256())
        case ec.EllipticCurvePrivateKey():
            r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        case _:
            return key.sign(content)


def jwt(key: PrivateKey, header: Mapping[str, Any], claims: object) -> str:
    """A signed JWT."""
    content = f"{packed(json.dumps(header).encode())}.{packed(json.dumps(claims).encode())}"
    return f"{content}.{packed(signature(key, str(header['alg']), content.encode()))}"


def unsigned(claims: object, alg: str = "none") -> str:
    """A JWT that nobody signed."""
    return f"{packed(json.dumps({'alg': alg}).encode())}.{packed(json.dumps(claims).encode())}."


def keyed_with(secret: bytes, claims: object) -> str:
    """A JWT signed with HS256, which a careless verifier checks with whatever key it has."""
    content = f"{packed(json.dumps({'alg': 'HS256'}).encode())}.{packed(json.dumps(claims).encode())}"
    return f"{content}.{packed(hmac.digest(secret, content.encode(), hashlib.sha256))}"


def claims_of(client_id: str, audience: object, **more: Any) -> dict[str, Any]:
    """What a good assertion says; None leaves a claim out."""
    now = int(time.time())
    made = {"iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + 120, "jti": str(uuid4())}
    return {name: value for name, value in {**made, **more}.items() if value is not None}
