"""The pages about the public API over HTTP: they say what the OpenAPI document says, to everybody, and ask nothing of
elsewhere.
"""

import ast
import json
import re
import shlex
from collections.abc import AsyncGenerator, Iterator
from html import unescape
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest

from stoa.api.problems import problem_kinds
from stoa.api.versions import CHANGES
from stoa.db import embedded
from stoa.web.reference_calls import Example, curl, python
from stoa.web.reference_fields import Reading
from stoa.web.reference_reading import Book, book_of
from tests.api.calling import BASE_URL, serving

ATOM = "{http://www.w3.org/2005/Atom}"
Json = dict[str, Any]


@pytest.fixture
async def client(server: embedded.Server) -> AsyncGenerator[httpx2.AsyncClient]:
    """Somebody without a session or a token."""
    async with serving(server) as opened:
        yield opened


@pytest.fixture
async def document(client: httpx2.AsyncClient) -> Json:
    """What the server says of itself to programs."""
    return (await client.get("/v1/openapi.json")).json()


@pytest.fixture
def book(document: Json) -> Book:
    """The same, read."""
    return book_of(document)


def text_of(page: str) -> str:
    """What is read of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", "", page)).split())


def section_of(page: str, name: str) -> str:
    """An operation's part of its page."""
    _, _, rest = page.partition(f'<section class="ref-operation" id="{name}"')
    return rest.partition('<section class="ref-operation"')[0]


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Path, method and operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


async def test_every_operation_stands_on_the_page_of_its_tag(client: httpx2.AsyncClient, document: Json) -> None:
    pages = {tag["name"]: (await client.get(f"/docs/api/{tag['name'].lower()}")).text for tag in document["tags"]}
    assert len(pages) >= 9
    for path, method, operation in operations(document):
        shown = section_of(pages[operation["tags"][0]], operation["operationId"])
        text = text_of(shown)
        assert operation["summary"] in text
        assert f">{method}</span> <code>{path}</code>" in shown
        for parameter in operation["parameters"]:
            assert f"<code>{parameter['name']}</code>" in shown, (path, parameter["name"])
        for answer in operation["responses"].values():
            for code in answer.get("x-problem-codes", ()):
                assert f'href="/docs/problems/{code}"' in shown, (path, code)
        scopes = operation["security"][1]["oauth2"]
        assert (f"Scope: {scopes[0]}" if scopes else "Scope: any valid token") in text


async def test_members_of_a_body_are_shown_with_their_limits(client: httpx2.AsyncClient, document: Json) -> None:
    page = (await client.get("/docs/api/people")).text
    input_of_person = document["components"]["schemas"]["PersonInput"]["properties"]
    created, many = section_of(page, "createPerson"), section_of(page, "bulkPeople")
    for name in input_of_person:
        assert f'<code class="ref-name">{name}</code>' in created
    longest = next(one["maxLength"] for one in input_of_person["user_name"]["anyOf"] if "maxLength" in one)
    assert f"at most {longest} characters" in text_of(created)
    assert "At most 1,048,576 bytes." in text_of(created)
    # What lies in a list of a list is there too.
    assert '<code class="ref-name">employee_id</code>' in many
    assert "required" in text_of(many)


async def test_every_kind_of_problem_has_its_page(client: httpx2.AsyncClient) -> None:
    listed = (await client.get("/docs/problems")).text
    for code, kind in problem_kinds().items():
        assert f'href="/docs/problems/{code}"' in listed
        answer = await client.get(f"/docs/problems/{code}")
        assert answer.status_code == 200, code
        text = text_of(answer.text)
        assert f"Status {kind.status}" in text
        assert kind.title.replace("`", "") in text
        assert "What to do" in text


async def test_the_type_of_a_refusal_is_the_address_of_its_page(client: httpx2.AsyncClient) -> None:
    refusal = (await client.get("/v1/me")).json()
    assert refusal["type"] == f"{BASE_URL}/docs/problems/not_authenticated"
    page = await client.get(refusal["type"])
    assert page.status_code == 200
    assert "The request shows no token that opens anything." in text_of(page.text)
    assert "getCaller" in page.text


@pytest.mark.parametrize("path", ["/docs/problems/nobody_knows", "/docs/problems/%00", "/docs/api/nothing"])
async def test_what_is_not_there_is_not_found(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "/docs/" in answer.text


async def test_the_pages_ask_nothing_of_elsewhere(client: httpx2.AsyncClient) -> None:
    for path in ("/docs/api", "/docs/api/people", "/docs/problems", "/docs/problems/bad_body", "/docs/changelog"):
        page = await client.get(path)
        assert "script-src 'self'" in page.headers["content-security-policy"]
        led = re.findall(r'\s(?:src|href|action)="([^"]+)"', page.text)
        assert [one for one in led if not one.startswith(("/", "#")) or one.startswith("//")] == []
        assert "set-cookie" not in page.headers


async def test_the_search_works_without_a_script(client: httpx2.AsyncClient, book: Book) -> None:
    every = (await client.get("/docs/api")).text
    assert len(re.findall(r"<li data-words=\"[^\"]*\">", every)) == len(list(book.operations))
    found = (await client.get("/docs/api", params={"q": "Create PERSON"})).text
    shown = re.findall(r'<li data-words="([^"]*)">', found)
    assert shown
    assert all("create" in one and "person" in one for one in shown)
    assert "createperson" in " ".join(shown)
    none = (await client.get("/docs/api", params={"q": '<script>alert(1)</script>"'})).text
    assert re.findall(r"<li data-words=\"[^\"]*\">", none) == []
    assert "<script>alert" not in none
    assert re.search(r'id="operations-none"[^>]*>No operation has these words', none)
    assert not re.search(r'id="operations-none"[^>]* hidden', none)


async def test_the_change_log_is_a_page_and_a_feed(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/docs/changelog")).text
    answer = await client.get("/docs/changelog.atom")
    assert answer.headers["content-type"].startswith("application/atom+xml")
    feed = ElementTree.fromstring(answer.content)
    entries = feed.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in entries] == [f"Version {version}" for version in CHANGES]
    ids = [feed.findtext(f"{ATOM}id"), *(entry.findtext(f"{ATOM}id") for entry in entries)]
    assert len(set(ids)) == len(CHANGES) + 1
    assert feed.findtext(f"{ATOM}updated") == f"{next(iter(CHANGES))}T00:00:00Z"
    for version, lines in CHANGES.items():
        assert f'id="v{version}"' in page
        assert all(line.text.replace("`", "") in text_of(page) for line in lines)


def test_the_examples_are_calls(book: Book) -> None:
    for one in book.operations:
        words = shlex.split(one.curl)
        assert words[0] == "curl"
        address = next(word for word in words if word.startswith(BASE_URL))
        assert "{" not in address
        assert ("-X" in words) == (one.method != "GET")
        for parameter in one.parameters:
            if parameter.place == "header" and parameter.field.required:
                assert any(word.startswith(f"{parameter.field.name}: ") for word in words)
        if one.body is not None:
            assert json.loads(words[words.index("-d") + 1]) == json.loads(one.body.example)
        tree = ast.parse(one.python)
        constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert address in constants
        assert "Bearer API_KEY" in constants


def test_what_stands_in_an_example_cannot_leave_its_quotes() -> None:
    body = {"name": "O'Neill $(id) `id` \\ \" \u202e"}
    example = Example("POST", BASE_URL, "/v1/x", {"q": "a b&c='"}, {}, "application/json", body)
    words = shlex.split(curl(example))
    assert json.loads(words[words.index("-d") + 1]) == body
    assert f"{BASE_URL}/v1/x?q=a%20b%26c%3D%27" in words
    assert body["name"] in {
        node.value for node in ast.walk(ast.parse(python(example))) if isinstance(node, ast.Constant)
    }


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/Tree"}}}}
    reading = Reading({"Tree": tree})
    assert [field.name for field in reading.fields({"$ref": "#/Tree"})] == ["kids"]
    assert reading.example({"$ref": "#/Tree"}) is not None


def test_the_types_of_the_document_have_names_for_outsiders(document: Json) -> None:
    assert [name for name in document["components"]["schemas"] if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []
