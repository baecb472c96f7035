"""Examples of a call: for a shell, and for Python with httpx."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pprint import pformat
from urllib.parse import quote

from stoa.web.reference_fields import as_json

_TOKEN = "API_KEY"  # noqa: S105 - the place of one


@dataclass(frozen=True, slots=True)
class Example:
    """What a call says.

    Attributes:
        path: with its parameters filled in.
        query: those that it must have.
        headers: besides the token.
        body: JSON, or None.
        streams: it is answered with events that come as they happen.
    """

    method: str
    base_url: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    media_type: str | None = None
    body: object = None
    streams: bool = False

    @property
    def address(self) -> str:
        """The whole address."""
        pairs = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in self.query.items())
        return f"{self.base_url}{self.path}{'?' if pairs else ''}{pairs}"


def curl(example: Example) -> str:
    """As a command."""
    lines = ["curl -N" if example.streams else "curl"]
    if example.method != "GET":
        lines[0] += f" -X {example.method}"
    lines[0] += f" {_quoted(example.address)}"
    lines += [f"-H {_quoted(f'{name}: {value}')}" for name, value in _headers(example).items()]
    if example.media_type is not None:
        lines += [f"-H {_quoted(f'Content-Type: {example.media_type}')}", f"-d {_quoted(as_json(example.body))}"]
    return " \\\n  ".join(lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def python(example: Example) -> str:
    """As a program that needs httpx alone."""
    headers = _indented(_literal(_headers(example)))
    if example.streams:
        return (
            f'import httpx\n\nwith httpx.stream(\n    "GET",\n    "{example.address}",\n    headers={headers},\n'
            "    timeout=None,\n) as answer:\n    for line in answer.iter_lines():\n        print(line)\n"
        )
    arguments = [f'"{example.address}"', f"headers={headers}"]
    if example.media_type == "application/json":
        arguments.append(f"json={_indented(_literal(example.body))}")
    call = "".join(f"    {one},\n" for one in arguments)
    ends: Sequence[str] = ("print(answer.status_code)",) if example.method == "DELETE" else ("print(answer.json())",)
    return (
        f"import httpx\n\nanswer = httpx.{example.method.lower()}(\n{call})\nanswer.raise_for_status()\n"
        + "\n".join(ends)
        + "\n"
    )


def _headers(example: Example) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {_TOKEN}", **example.headers}


def _literal(value: object) -> str:
    return pformat(value, width=76, sort_dicts=False)


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
