"""The public keys of a client, and what it signs with them to show who it is (RFC 7523, 3). Pure.

Only signatures by asymmetric keys of today's strength are looked at, and only with a key that the client registered: a
key, an address of keys or an algorithm that the assertion itself names is never used.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact

from stoa.kernel.problems import BadInput

MOST_KEYS: Final = 5
LONGEST_SET: Final = 16 * 1024
LONGEST_ASSERTION: Final = 8 * 1024
LONGEST_LIFE: Final = timedelta(minutes=5)
# How far two clocks may be apart.
LEEWAY: Final = timedelta(seconds=30)
ALGORITHMS: Final[Mapping[str, tuple[str, ...]]] = {
    "RSA": ("RS256", "PS256"),
    "EC": ("ES256",),
    "OKP": ("EdDSA", "Ed25519"),
}
_LONGEST_ID: Final = 200
_RSA_BITS: Final = (2048, 4096)
# The members that make a key public, by its type, and the one curve of each that is taken.
_PUBLIC: Final[Mapping[str, tuple[str, ...]]] = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_CURVES: Final[Mapping[str, str]] = {"EC": "P-256", "OKP": "Ed25519"}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_UNREADABLE: Final = (ValueError, binascii.Error, msgspec.DecodeError, RecursionError)

PublicKey = RSAKey | ECKey | OKPKey
Jwk = Mapping[str, str]
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class _Registry(JWSRegistry):
    """Our algorithms alone. The library's own warns each time that EdDSA has a newer name (RFC 9864), which is the
    client's choice.
    """

    def get_alg(self, name: str) -> Any:
        """The algorithm of that name."""
        if name not in self.algorithms or name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


_REGISTRIES: Final = {name: _Registry(algorithms=[name]) for names in ALGORITHMS.values() for name in names}


class BadKeys(BadInput):
    """The public keys of a client cannot be accepted.

    The detail names the key and what is wrong with it. Give public keys alone: RSA of 2048 bits or more, P-256 or
    Ed25519.
    """

    code = "bad_keys"


class BadAssertion(Exception):
    """A signed assertion does not show what it should. Says why, for the answer and the log; never quotes it."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion whose signature and claims are right. It may have been shown before.

    Attributes:
        jti: its own id.
        kid: the id of the key that it was signed with.
        expires_at: until when it could be shown again.
    """

    jti: str
    kid: str
    expires_at: datetime


# ------------------------------------------------------------------ keys


def checked_keys(text: str) -> list[dict[str, str]]:
    """The public keys in a JWK set (RFC 7517, 5) or a single JWK, each with its id; members that nobody needs are left
    out. A key without an id gets its thumbprint (RFC 7638).

    Raises:
        BadKeys: saying which key is not a public one of RSA (2048 to 4096 bits), P-256 or Ed25519, and why.
    """
    if len(text) > LONGEST_SET:
        raise BadKeys("The key set is too large.", hint=f"At most {LONGEST_SET:,} characters are possible.")
    keys: list[dict[str, str]] = []
    for place, given in enumerate(_listed(text), 1):
        try:
            keys.append(_checked_key(given))
        except BadKeys as problem:
            raise BadKeys(f"Key {place}: {problem.detail}", hint=problem.hint) from None
    ids = [key["kid"] for key in keys]
    if len(set(ids)) < len(ids):
        raise BadKeys("Two keys have the same id.", hint="Give each its own kid.")
    return keys


def _listed(text: str) -> Sequence[Mapping[str, Any]]:
    try:
        given = _decode(text.encode("utf-8", "surrogatepass"))
        listed = msgspec.convert(given.get("keys", [given]), list[dict[str, Any]])
    except (msgspec.DecodeError, RecursionError):
        raise BadKeys("It is not a JSON key set.", hint='A JWK set is written {"keys": [...]}.') from None
    if not 1 <= len(listed) <= MOST_KEYS:
        raise BadKeys(f"It has {len(listed)} keys.", hint=f"1 to {MOST_KEYS} are possible: old and new.")
    return listed


def _checked_key(members: Mapping[str, Any]) -> dict[str, str]:
    if _PRIVATE & members.keys():
        raise BadKeys(
            "it is a private or symmetric key, which must never leave your side.",
            hint="Take it as disclosed, make a new one, and give its public part alone.",
        )
    kty = members.get("kty")
    if kty not in _PUBLIC:
        raise BadKeys("its type (kty) is not RSA, EC or OKP.")
    alg = members.get("alg")
    if alg is not None and alg not in ALGORITHMS[kty]:
        raise BadKeys(f"its algorithm (alg) must be {' or '.join(ALGORITHMS[kty])}.")
    if members.get("use", "sig") != "sig" or members.get("key_ops", ["verify"]) != ["verify"]:
        raise BadKeys("it is not meant for checking signatures (use, key_ops).")
    public = {name: _member(members, name) for name in _PUBLIC[kty]} | {"kty": kty}
    if kty in _CURVES and public["crv"] != _CURVES[kty]:
        raise BadKeys(f"its curve (crv) must be {_CURVES[kty]}.")
    if kty == "RSA":
        _refuse_weak_rsa(public)
    found = _imported(public)
    kid = members.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 1 <= len(kid) <= _LONGEST_ID or not kid.isprintable()):
        raise BadKeys(f"its id (kid) must be 1 to {_LONGEST_ID} printable characters.")
    return public | {"kid": kid or found.thumbprint()} | ({} if alg is None else {"alg": alg})


def _member(members: Mapping[str, Any], name: str) -> str:
    found = members.get(name)
    if not isinstance(found, str) or not found:
        raise BadKeys(f"it has no {name}.")
    return found


def _imported(public: Mapping[str, str]) -> PublicKey:
    kinds: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    try:
        return kinds[public["kty"]].import_key({name: value for name, value in public.items() if name != "kid"})
    except (JoseError, ValueError, TypeError, OverflowError):
        raise BadKeys("it is damaged: its numbers make no key.") from None


def _refuse_weak_rsa(public: Mapping[str, str]) -> None:
    try:
        modulus, exponent = (int.from_bytes(_unpacked(public[name])) for name in ("n", "e"))
    except _UNREADABLE:
        raise BadKeys("it is damaged: its numbers cannot be read.") from None
    least, most = _RSA_BITS
    if not least <= modulus.bit_length() <= most:
        raise BadKeys(f"an RSA key must have {least} to {most} bits.")
    if not 3 <= exponent < 2**32 or exponent % 2 == 0 or modulus % 2 == 0:
        raise BadKeys("its exponent (e) or modulus (n) is not that of an RSA key.", hint="Use 65537 (AQAB).")


# ------------------------------------------------------------------ assertions


def claimed_client(assertion: str) -> str | None:
    """Which client an assertion says it is, before anything of it is believed; None if it cannot be read."""
    if len(assertion) > LONGEST_ASSERTION or assertion.count(".") != 2:
        return None
    payload = assertion.split(".")[1]
    try:
        subject = _decode(_unpacked(payload)).get("sub")
    except _UNREADABLE:
        return None
    return subject if isinstance(subject, str) else None


def read_assertion(
    assertion: str, keys: Sequence[Jwk], client_id: str, audiences: frozenset[str], now: datetime
) -> Assertion:
    """Checks the signature and every claim of an assertion (RFC 7523, 3).

    keys: the client's, as `checked_keys` gave them. audiences: the names of this server, of which it must name one.
    now: by the server's clock, aware.

    Raises:
        BadAssertion: saying what is wrong with it.
    """
    if len(assertion) > LONGEST_ASSERTION:
        raise BadAssertion("The assertion is too long.")
    claims, kid = _verified(assertion, keys)
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise BadAssertion("The assertion's iss and sub must both be the client's id.")
    _check_audience(claims.get("aud"), audiences)
    expires_at = _moment(claims, "exp")
    if expires_at is None:
        raise BadAssertion("The assertion has no exp.")
    if expires_at + LEEWAY <= now:
        raise BadAssertion("The assertion has expired.")
    if expires_at > now + LONGEST_LIFE + LEEWAY:
        raise BadAssertion("The assertion's exp is more than 5 minutes ahead.")
    for name in ("nbf", "iat"):
        since = _moment(claims, name)
        if since is not None and since > now + LEEWAY:
            raise BadAssertion(f"The assertion's {name} is in the future.")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= _LONGEST_ID:
        raise BadAssertion(f"The assertion has no jti of 1 to {_LONGEST_ID} characters.")
    return Assertion(jti, kid, expires_at + LEEWAY)


def _verified(assertion: str, keys: Sequence[Jwk]) -> tuple[dict[str, Any], str]:
    header = _header(assertion)
    alg, kid = str(header.get("alg")), header.get("kid")
    fitting = [
        key
        for key in keys
        if alg in ALGORITHMS[key["kty"]] and key.get("alg", alg) == alg and (kid is None or key["kid"] == kid)
    ]
    if not fitting:
        raise BadAssertion("No registered key fits the assertion's alg and kid.")
    for key in fitting:
        try:
            found = deserialize_compact(assertion, _imported(key), registry=_REGISTRIES[alg])
            return _decode(found.payload or b""), key["kid"]
        except (JoseError, *_UNREADABLE):
            continue
    raise BadAssertion("The assertion's signature is not that of a registered key.")


def _header(assertion: str) -> Mapping[str, Any]:
    try:
        header = _decode(_unpacked(assertion.partition(".")[0]))
    except _UNREADABLE:
        raise BadAssertion("The assertion is not a signed JWT.") from None
    if "crit" in header:
        # RFC 7515, 4.1.11: what must be understood and is not, refuses the whole.
        raise BadAssertion("The assertion's header asks for extensions (crit) that there are not here.")
    return header


def _unpacked(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_")


def _check_audience(given: Any, audiences: frozenset[str]) -> None:
    try:
        named = msgspec.convert(given, str | list[str])
    except msgspec.ValidationError:
        named = []
    if audiences.isdisjoint([named] if isinstance(named, str) else named):
        raise BadAssertion("The assertion's aud must be this server's issuer or its token endpoint.")


def _moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    """A NumericDate (RFC 7519, 2), or None if the claim is missing. Raises BadAssertion."""
    given = claims.get(name)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise BadAssertion(f"The assertion's {name} is not a number of seconds.")
    try:
        return datetime.fromtimestamp(given, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadAssertion(f"The assertion's {name} is not a time.") from None
