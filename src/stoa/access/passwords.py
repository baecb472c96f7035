"""Passwords of operators: what they must be, and how they are kept (argon2id, RFC 9106).

A password is hashed in its NFKC form, so that it does not matter which keyboard typed it.
"""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Final
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from stoa.kernel.fold import fold
from stoa.kernel.problems import BadInput

SHORTEST: Final = 12
LONGEST: Final = 200
_MOST_ALIKE: Final = 5
# Cost for one guess: two passes over 19 MiB, about 18 ms of one core.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Of a password that nobody knows: an unknown account costs the sender as much time as a known one.
DUMMY: Final = "$argon2id$v=19$m=19456,t=2,p=1$BZKY7H22cMPjgQmtGjV4JQ$fV29Jt5DJUCD+95uxCdILvs32OOLiBulIVdM0Jad0GY"
# Without letters and digits that look alike.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS: Final = 5
_GROUP: Final = 4

# What is left of the commonest long passwords without digits and punctuation before and behind.
_COMMON_WORDS: Final = """
abcdefgh access account admin adminadmin administrator adminpassword baseball batterystaple changeit changeme
changemenow changemeplease changepassword computer correcthorse correcthorsebattery correcthorsebatterystaple
default defaultpassword dragon dragondragon football footballfootball iloveyou iloveyouforever iloveyousomuch
letmein letmeinletmein letmeinnow letmeinplease loveyou master masterpassword monkey monkeymonkey mypassword
newpassword nopassword opensesame passpasspass password passwordpassword passwort princess qazwsxedc
qazwsxedcrfv qwertyqwerty qwertyuiop qwertyuiopasdf root rootpassword rootroot secret secretpassword
secretsecret shadow starwars stoa stoaadmin stoapassword sunshine superman supersecret temporary temppassword
testpassword testtesttest thisisapassword thisismypassword trustno unbelievable welcome welcomeback
welcomewelcome whatever
"""
_COMMON: Final = frozenset(_COMMON_WORDS.split())
# Keys in a row, alphabets and counting. A password with fewer letters and digits than this is not taken for one.
_SHORTEST_RUN: Final = 8
_RUNS: Final = (
    "01234567890123456789012345678901234567890",
    "09876543210987654321098765432109876543210",
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    "zyxwvutsrqponmlkjihgfedcbazyxwvutsrqponmlkjihgfedcba",
    "qwertyuiopasdfghjklzxcvbnmqwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnmqwertzuiopasdfghjklyxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "1q2w3e4r5t6y7u8i9o0p",
    "!@#$%^&*()_+",
)


class WeakPassword(BadInput):
    """The password is too easily guessed.

    Take a longer one, such as four words that have nothing to do with one another.
    """

    code = "weak_password"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password was right, and whether its stored hash was made with weaker parameters than today's."""

    right: bool
    outdated: bool = False


def checked_password(text: str, *, email: str, name: str) -> str:
    """`text` if it will do as the password of the account with that e-mail address and name.

    Raises:
        WeakPassword: saying which rule it breaks. The password itself is never in the message.
    """
    if not SHORTEST <= len(text) <= LONGEST:
        raise WeakPassword(
            f"A password must have {SHORTEST} to {LONGEST} characters.", hint="A few words in a row are easy to keep."
        )
    folded = fold(text)
    if len(set(folded)) < _MOST_ALIKE:
        raise WeakPassword(f"A password must have at least {_MOST_ALIKE} different characters.")
    if _names_account(folded, fold(email), fold(name)):
        raise WeakPassword("A password must not be the account's e-mail address or name.")
    if _is_common(folded):
        raise WeakPassword(
            "This password is among those that are tried first.", hint="Take several words that do not belong together."
        )
    return text


def _names_account(folded: str, email: str, name: str) -> bool:
    bare = "".join(folded.split())
    return email in bare or bare in {email.partition("@")[0], "".join(name.split())}


def _is_common(folded: str) -> bool:
    bare = "".join(character for character in folded if character.isalnum())
    stem = bare.strip("0123456789")
    run_of = bare if len(bare) >= _SHORTEST_RUN else folded
    return stem in _COMMON or any(run_of in run for run in _RUNS)


def generated_password() -> str:
    """A first password for somebody to read and type once: 99 random bits in five groups of four."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


async def hashed(password: str) -> str:
    """The argon2id hash of a password with a salt of its own, made in a thread."""
    return await asyncio.to_thread(_HASHER.hash, _bytes(password))


async def verified(stored: str | None, password: str) -> Verdict:
    """Whether `password` is the one that `stored` is the hash of.

    Takes as long when `stored` is None, for an account that does not exist, and the answer is then no.
    """
    right = await asyncio.to_thread(_matches, stored or DUMMY, password)
    if stored is None or not right:
        return Verdict(right=False)
    return Verdict(right=True, outdated=_HASHER.check_needs_rehash(stored))


def _matches(stored: str, password: str) -> bool:
    # What is longer than any password is can be no password; it is hashed all the same, but not for longer.
    given = _bytes(password[: LONGEST + 1])
    try:
        _HASHER.verify(stored, given)
    except (VerificationError, InvalidHashError):
        return False
    return len(password) <= LONGEST


def _bytes(password: str) -> bytes:
    return normalize("NFKC", password).encode("utf-8", "surrogatepass")
