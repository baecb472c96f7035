"""The OpenAPI document as a reader meets it: its tags and operations, each with what it takes and answers."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from stoa.web.reference_calls import Example, curl, python
from stoa.web.reference_fields import Field, Json, Reading, as_json

CODES: Final = "x-problem-codes"
_SCOPE: Final = re.compile(r"^Scope: `[a-z:]+`\.\s*")
_METHODS: Final = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a call.

    Attributes:
        place: `path`, `query` or `header`.
        example: what a form or a call can begin with, or an empty text.
    """

    place: str
    field: Field
    example: str


@dataclass(frozen=True, slots=True)
class Body:
    """What a call sends. sample: a body that fits."""

    media_types: Sequence[str]
    about: str
    fields: Sequence[Field]
    sample: object

    @property
    def example(self) -> str:
        """The sample as JSON."""
        return as_json(self.sample)


@dataclass(frozen=True, slots=True)
class AnswerShown:
    """An answer to what was done.

    Attributes:
        media_type: None for one without a body.
        kind: of its JSON, where it has no fields.
        headers: name and description of each.
    """

    status: str
    phrase: str
    media_type: str | None
    kind: str
    fields: Sequence[Field]
    example: str
    headers: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class OperationShown:
    """One operation.

    Attributes:
        paragraphs: of its description, with code between backticks.
        scope: what the credential must be granted, or None where any will do.
        refusals: status to the codes of its problems.
        words: what a search looks in, folded.
    """

    id: str
    method: str
    path: str
    tag: str
    summary: str
    paragraphs: Sequence[str]
    scope: str | None
    deprecated: bool
    parameters: Sequence[Parameter]
    body: Body | None
    answers: Sequence[AnswerShown]
    refusals: Mapping[str, Sequence[str]]
    curl: str
    python: str
    words: str


@dataclass(frozen=True, slots=True)
class Tag:
    """Operations that belong together."""

    name: str
    about: str
    operations: Sequence[OperationShown]

    @property
    def slug(self) -> str:
        """In the address of its page."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Book:
    """The whole document."""

    version: str
    base_url: str
    tags: Sequence[Tag]

    @property
    def operations(self) -> Iterator[OperationShown]:
        """Every one, by its tag."""
        return (operation for tag in self.tags for operation in tag.operations)

    def tag(self, slug: str) -> Tag | None:
        """The tag of a page's address."""
        return next((tag for tag in self.tags if tag.slug == slug), None)

    def answering(self, code: str) -> list[OperationShown]:
        """The operations that may answer a problem of this code."""
        return [one for one in self.operations if any(code in codes for codes in one.refusals.values())]


def book_of(document: Json) -> Book:
    """A document, read."""
    reading = Reading(document)
    base_url = document["servers"][0]["url"]
    found = [
        _operation(reading, base_url, path, method, methods[method])
        for path, methods in document["paths"].items()
        for method in _METHODS
        if method in methods
    ]
    tags = [
        Tag(one["name"], one.get("description", ""), [each for each in found if each.tag == one["name"]])
        for one in document["tags"]
    ]
    return Book(document["info"]["version"], base_url, tags)


def _operation(reading: Reading, base_url: str, path: str, method: str, told: Json) -> OperationShown:
    parameters = [_parameter(reading, one) for one in told.get("parameters", ())]
    body = _body(reading, told.get("requestBody"))
    responses: Mapping[str, Json] = told["responses"]
    answers = [_answer(reading, status, one) for status, one in responses.items() if status.startswith("2")]
    refusals = {status: tuple(one.get(CODES, ())) for status, one in responses.items() if not status.startswith("2")}
    streams = any(one.media_type == "text/event-stream" for one in answers)
    example = _example(base_url, path, method.upper(), parameters, body, streams)
    paragraphs = [_SCOPE.sub("", part) for part in told.get("description", "").split("\n\n")]
    summary = told["summary"]
    words = " ".join((told["operationId"], method, path, summary, *told["tags"], *paragraphs)).casefold()
    return OperationShown(
        told["operationId"],
        method.upper(),
        path,
        told["tags"][0],
        summary,
        [part for part in paragraphs if part and part != summary],
        _scope(told),
        told.get("deprecated", False),
        parameters,
        body,
        answers,
        refusals,
        curl(example),
        python(example),
        words,
    )


def _scope(told: Json) -> str | None:
    scopes = [scope for one in told.get("security", ()) for scope in one.get("oauth2", ())]
    return scopes[0] if scopes else None


def _parameter(reading: Reading, told: Json) -> Parameter:
    schema: dict[str, Any] = {**told.get("schema", {})}
    schema.setdefault("description", told.get("description", ""))
    field = reading.field(told["name"], schema, required=told.get("required", False))
    return Parameter(told["in"], field, str(told.get("example", schema.get("default", ""))))


def _body(reading: Reading, told: Json | None) -> Body | None:
    if told is None:
        return None
    content: Mapping[str, Json] = told["content"]
    first = next(iter(content.values()))
    sample = _sample(reading, first)
    return Body(tuple(content), told.get("description", ""), reading.fields(first["schema"]), sample)


def _sample(reading: Reading, content: Json) -> object:
    return content["example"] if "example" in content else reading.example(content["schema"])


def _answer(reading: Reading, status: str, told: Json) -> AnswerShown:
    headers = [(name, reading.followed(one).get("description", "")) for name, one in told.get("headers", {}).items()]
    content: Mapping[str, Json] = told.get("content", {})
    if not content:
        return AnswerShown(status, told["description"], None, "", (), "", headers)
    media_type, one = next(iter(content.items()))
    example = as_json(_sample(reading, one)) if media_type.endswith("json") else ""
    schema = one.get("schema", {})
    return AnswerShown(
        status, told["description"], media_type, reading.kind(schema), reading.fields(schema), example, headers
    )


def _example(
    base_url: str,
    path: str,
    method: str,
    parameters: Sequence[Parameter],
    body: Body | None,
    streams: bool,
) -> Example:
    for one in parameters:
        if one.place == "path":
            path = path.replace(f"{{{one.field.name}}}", quote(one.example or one.field.name.upper(), safe=""))
    needed = [one for one in parameters if one.field.required]
    return Example(
        method,
        base_url,
        path,
        {one.field.name: one.example for one in needed if one.place == "query"},
        {one.field.name: one.example for one in needed if one.place == "header"},
        None if body is None else body.media_types[0],
        None if body is None else body.sample,
        streams,
    )
