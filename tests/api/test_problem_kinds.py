"""Every kind of problem is documented by its class: what it means, and what to do. Outsiders read both."""

import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator

import pytest

import stoa
from stoa.api.problems import kind_of, problem_kinds
from stoa.kernel.problems import Problem

# What only those who write Stoa would understand, or think of: names in the code, and the first person.
INSIDE = re.compile(r"\b(?i:subclass|caller|ours?|us|todo)\b|\b[Ww]e\b|`[A-Z][a-z]+[A-Z]\w*`|`self\b|Args:|Raises:")


def below(problem: type[Problem]) -> Iterator[type[Problem]]:
    """Every class of problems below one."""
    for one in problem.__subclasses__():
        yield one
        yield from below(one)


def with_codes() -> list[type[Problem]]:
    """Every class in the source that has a code of its own."""
    for module in pkgutil.walk_packages(stoa.__path__, "stoa."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    own = {one for one in below(Problem) if "code" in one.__dict__ and one.__module__.startswith("stoa.")}
    return sorted(own, key=lambda one: (one.code, one.__module__))


KINDS = with_codes()


def test_the_kinds_are_found() -> None:
    assert len(KINDS) > 80
    assert {one.code for one in KINDS} <= set(problem_kinds())


def test_a_code_means_one_thing() -> None:
    assert [code for code, times in Counter(one.code for one in KINDS).items() if times > 1] == []


@pytest.mark.parametrize("problem", KINDS, ids=lambda problem: problem.code)
def test_a_kind_reads_as_documentation(problem: type[Problem]) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", problem.code)
    assert 400 <= problem.status < 600
    kind = kind_of(problem)
    assert len(kind.title.split()) >= 4, "its first sentence says what it means"
    assert kind.title[0].isupper() or kind.title.startswith("`")
    assert kind.about, "what follows the first sentence says what to do"
    assert kind.about.endswith(".")
    assert INSIDE.findall(f"{kind.title} {kind.about}") == []
