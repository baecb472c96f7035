"""What every failure that is explained to somebody has."""

import re

import pytest

from stoa.kernel.problems import BadInput, Conflict, Misconfigured, NotFound, Problem


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        (Problem, "problem", 500),
        (BadInput, "bad_input", 400),
        (NotFound, "not_found", 404),
        (Conflict, "conflict", 409),
        (Misconfigured, "misconfigured", 500),
    ],
)
def test_each_kind_has_its_code_and_status(kind: type[Problem], code: str, status: int) -> None:
    assert (kind.code, kind.status) == (code, status)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert issubclass(kind, Problem)


def test_it_reads_as_detail_and_hint() -> None:
    assert str(BadInput("The row has no key.")) == "The row has no key."
    assert str(BadInput("The row has no key.", hint="Add one.")) == "The row has no key. Add one."


def test_it_carries_what_else_the_protocol_wants() -> None:
    problem = BadInput("Unknown attribute.", hint=None, position=4, column="emial")
    assert problem.extra == {"position": 4, "column": "emial"}
    assert (problem.detail, problem.hint, problem.args) == ("Unknown attribute.", None, ("Unknown attribute.",))
