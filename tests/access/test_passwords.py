from time import perf_counter

import pytest
from argon2 import PasswordHasher, extract_parameters

from stoa.access import passwords
from stoa.access.passwords import WeakPassword, checked_password, generated_password, hashed, verified

EMAIL, NAME = "ada.byron.king@example.com", "Ada Byron King"
GOOD = "seven llamas upstairs"


def test_the_cost_is_that_of_the_architecture() -> None:
    stored = passwords._HASHER.hash("x")
    for text in (stored, passwords.DUMMY):
        found = extract_parameters(text)
        assert (found.type.name, found.time_cost, found.memory_cost, found.parallelism) == ("ID", 2, 19_456, 1)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "x7!kQ2#mZ9@p",
        "пароль из четырёх слов",
        "a" * 190 + "bcdefghij",
        "correct llama battery",
        "🦙🐫🐪🦒🐘🦏🦛🐁🐀🐹🐰🦔",
    ],
)
def test_a_long_password_will_do(text: str) -> None:
    assert checked_password(text, email=EMAIL, name=NAME) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("elevenchars", "12 to 200"),
        ("abcde" * 41, "12 to 200"),
        ("aaaabbbbccccdddd", "5 different"),
        ("AaAaBbBbCcCcDdDd", "5 different"),
        (EMAIL, "e-mail address or name"),
        ("ADA.BYRON.KING@EXAMPLE.COM", "e-mail address or name"),
        ("ada.byron.king", "e-mail address or name"),
        ("Ada Byron King", "e-mail address or name"),
        ("adabyronking", "e-mail address or name"),
        (f"x{EMAIL}x", "e-mail address or name"),
        ("password1234", "tried first"),
        ("Password-2026!", "tried first"),
        ("123456789012", "tried first"),
        ("qwertyuiop[]", "tried first"),
        ("Qwertyuiop12", "tried first"),
        ("abcdefghijkl", "tried first"),
        ("1q2w3e4r5t6y", "tried first"),
        ("!@#$%^&*()_+", "tried first"),
        ("administrator!", "tried first"),
        ("LetMeIn LetMeIn", "tried first"),
        ("correct horse battery staple", "tried first"),
    ],
)
def test_a_weak_password_is_refused_and_not_repeated(text: str, why: str) -> None:
    with pytest.raises(WeakPassword, match=why) as refused:
        checked_password(text, email=EMAIL, name=NAME)
    assert text not in str(refused.value)


def test_first_passwords_differ_and_pass_their_own_rules() -> None:
    made = {generated_password() for _ in range(200)}
    assert len(made) == 200
    for text in made:
        assert checked_password(text, email=EMAIL, name=NAME) == text
        assert len(text) == 24


async def test_a_hash_is_salted_and_opens_for_its_password_alone() -> None:
    one, other = await hashed(GOOD), await hashed(GOOD)
    assert one != other
    assert GOOD not in one
    assert await verified(one, GOOD) == passwords.Verdict(right=True)
    for wrong in ("", "x", GOOD.upper(), GOOD + " ", GOOD + "\0", "\ud800", "x" * 100_000):
        assert not (await verified(one, wrong)).right


async def test_the_keyboard_does_not_matter() -> None:
    composed, decomposed = "caf\u00e9 sur la terrasse", "cafe\u0301 sur la terrasse"
    assert (await verified(await hashed(composed), decomposed)).right


async def test_a_hash_of_weaker_parameters_is_told() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(GOOD)
    assert await verified(weak, GOOD) == passwords.Verdict(right=True, outdated=True)


async def test_without_a_hash_the_same_work_is_done_and_the_answer_is_no() -> None:
    async def quickest(stored: str | None) -> float:
        took: list[float] = []
        for _ in range(5):
            began = perf_counter()
            assert not (await verified(stored, "not the password")).right
            took.append(perf_counter() - began)
        return min(took)

    # Without the work it would take a thousandth.
    assert await quickest(None) > 0.4 * await quickest(await hashed(GOOD))


async def test_a_damaged_hash_opens_for_nobody() -> None:
    assert not (await verified("$argon2id$damaged", GOOD)).right
