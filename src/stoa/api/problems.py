"""Problem documents (RFC 9457), and the list of every kind that there is, which is their documentation."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec

from stoa.kernel.problems import Problem

MEDIA_TYPE: Final = "application/problem+json"
# Where each kind is documented, by its code; `type` in a document is this address.
PAGES: Final = "/docs/problems"
_encode = msgspec.json.Encoder(decimal_format="number").encode
_OWN: Final = frozenset({"type", "title", "status", "code", "detail", "hint", "trace_id"})


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A kind of problem.

    Attributes:
        title: what it says in general; the same words each time.
        about: further sentences, or an empty text.
    """

    code: str
    status: int
    title: str
    about: str


def kind_of(problem: type[Problem]) -> ProblemKind:
    """The kind that a class of problems stands for: its docstring is its documentation."""
    first, _, rest = inspect.cleandoc(problem.__doc__ or problem.__name__).partition("\n\n")
    text = " ".join(first.split())
    title, dot, more = text.partition(". ")
    about = "\n\n".join(part for part in (more, rest.partition("Attributes:")[0].strip()) if part)
    return ProblemKind(problem.code, problem.status, title.rstrip(".") if dot == "" else title, about)


def problem_kinds() -> Mapping[str, ProblemKind]:
    """Every kind that the loaded rooms can raise, by its code, in order."""
    kinds = {found.code: kind_of(found) for found in _below(Problem) if "code" in found.__dict__}
    return dict(sorted(kinds.items()))


def _below(problem: type[Problem]) -> Iterator[type[Problem]]:
    for one in problem.__subclasses__():
        yield one
        yield from _below(one)


def problem_document(problem: Problem, *, base_url: str, trace_id: str | None) -> bytes:
    """The JSON of a problem."""
    return _encode(problem_members(problem, base_url=base_url, trace_id=trace_id))


def problem_members(problem: Problem, *, base_url: str, trace_id: str | None = None) -> dict[str, object]:
    """The members of a problem document, for one that stands inside of another answer."""
    said: dict[str, object] = {
        "type": f"{base_url}{PAGES}/{problem.code}",
        "title": kind_of(type(problem)).title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "hint": problem.hint,
        "trace_id": trace_id,
        **{name: value for name, value in problem.extra.items() if name not in _OWN},
    }
    return {name: value for name, value in said.items() if value is not None}


def phrase(status: int) -> str:
    """The status in words."""
    return HTTPStatus(status).phrase
