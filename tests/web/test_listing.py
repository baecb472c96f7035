"""What an address asks of a list, and the addresses a list leads to."""

from dataclasses import replace
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from stoa.db.database import Database
from stoa.kernel.cursors import encode_cursor
from stoa.kernel.filters import Attribute, Catalogue
from stoa.web.listing import Ask, Listed, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit
from tests.web.rendering import shared_pages

PEOPLE = Listing("people", {"name": 1, "updated_at": 2}, "name", Catalogue((Attribute("department"),)))
RUNS = Listing("runs", {"created_at": 1}, "-created_at")
PAGES = shared_pages()


@pytest.fixture
def shell(database: Database) -> Shell:
    return Shell(PAGES, database)


def visit_of(shell: Shell, query: str = "", path: str = "/console/people") -> Visit:
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}
    return Visit(Request(scope), shell, None, None)


def ask_of(shell: Shell, listing: Listing = PEOPLE, **given: str) -> Ask:
    return read_ask(visit_of(shell, urlencode(given)), listing)


def followed(shell: Shell, url: str | None, listing: Listing = PEOPLE) -> Ask:
    """What an address of the list asks for."""
    assert url is not None
    path, _, query = url.partition("?")
    return read_ask(visit_of(shell, query, path), listing)


def listed_of(shell: Shell, listing: Listing = PEOPLE, **given: str) -> Listed[str]:
    visit = visit_of(shell, urlencode(given))
    return listing.page(visit, read_ask(visit, listing), Slice(("Ada",), ("Ada", 7)))


def test_an_address_without_more_asks_for_the_first_page(shell: Shell) -> None:
    assert ask_of(shell) == Ask("", "", None, "name", False, None, 25, None)
    assert ask_of(shell, RUNS) == Ask("", "", None, "created_at", True, None, 25, None)


def test_everything_can_be_asked_for(shell: Shell) -> None:
    ask = ask_of(shell, q="  ada ", filter='department eq "Sales"', sort="-updated_at", limit="100")
    assert (ask.search, ask.filter, ask.sort, ask.descending, ask.limit) == (
        "ada",
        'department eq "Sales"',
        "updated_at",
        True,
        100,
    )
    assert ask.typed is not None
    assert ask.problem is None


@pytest.mark.parametrize("limit", ["0", "-1", "26", "1000000", "x", "٢٥", ""])
def test_a_limit_that_is_none_of_ours_is_the_least(shell: Shell, limit: str) -> None:
    ask = ask_of(shell, limit=limit)
    assert (ask.limit, ask.problem) == (25, None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"q": "x" * 201}, "at most 200 characters"),
        ({"q": "a\0b"}, "A search"),
        ({"filter": "department eq"}, "position 13"),
        ({"filter": 'departmnt eq "x"'}, "position 0"),
        ({"filter": 'department eq "\0"'}, "position"),
        ({"filter": "(" * 5_000}, "position"),
        ({"sort": "salary"}, "name, updated_at"),
        ({"sort": "--name"}, "cannot be sorted"),
        ({"sort": "-"}, "cannot be sorted"),
        ({"sort": "x" * 5_000}, "cannot be sorted"),
        ({"cursor": "nonsense"}, "does not belong to this list"),
        ({"cursor": "\0é"}, "does not belong to this list"),
    ],
)
def test_what_cannot_be_used_is_told_in_words(shell: Shell, given: dict[str, str], said: str) -> None:
    ask = ask_of(shell, **given)
    assert ask.problem is not None
    assert said in ask.problem
    assert len(ask.problem) < 1_000
    assert ask.sort in PEOPLE.sorts
    assert listed_of(shell, **given).rows == ()


def test_a_list_without_a_filter_says_so(shell: Shell) -> None:
    assert ask_of(shell, RUNS, filter="x pr").problem == "This list has no filter (at position 0). Use the search."


def test_the_next_page_asks_the_same_from_there(shell: Shell) -> None:
    given = {"q": "ada & <co>", "filter": 'department eq "R&D"', "sort": "-name", "limit": "50"}
    first = ask_of(shell, **given)
    assert first.problem is None
    following = followed(shell, listed_of(shell, **given).next_url)
    assert following == replace(first, after=("Ada", 7))
    assert followed(shell, listed_of(shell, **given).first_url) == first


@pytest.mark.parametrize(
    "changed", [{"q": "bob"}, {"filter": "department pr"}, {"sort": "-name"}, {"sort": "updated_at"}]
)
def test_a_cursor_is_of_one_search_filter_and_order(shell: Shell, changed: dict[str, str]) -> None:
    listed = listed_of(shell)
    assert listed.next_url is not None
    cursor = listed.next_url.partition("cursor=")[2]
    assert ask_of(shell, cursor=cursor).after == ("Ada", 7)
    refused = ask_of(shell, cursor=cursor, **changed)
    assert refused.after is None
    assert refused.problem is not None


def test_a_cursor_is_of_one_list_and_address(shell: Shell) -> None:
    other = Listing("others", PEOPLE.sorts, "name")
    visit = visit_of(shell)
    cursor = encode_cursor(other.scope(visit, "", "", "name"), ("Ada",))
    assert ask_of(shell, cursor=cursor).problem is not None
    elsewhere = visit_of(shell, path="/console/elsewhere")
    cursor = encode_cursor(PEOPLE.scope(elsewhere, "", "", "name"), ("Ada",))
    assert ask_of(shell, cursor=cursor).problem is not None


def test_the_last_page_has_no_next_one(shell: Shell) -> None:
    visit = visit_of(shell)
    assert PEOPLE.page(visit, read_ask(visit, PEOPLE), Slice((), None)).next_url is None


def test_an_export_asks_the_same_of_the_whole_list(shell: Shell) -> None:
    given = {"q": "ada", "filter": 'department eq "Sales"', "sort": "-name"}
    url = listed_of(shell, **given).csv_url
    assert url.startswith("/console/people.csv?")
    assert followed(shell, url) == ask_of(shell, **given)
    assert listed_of(shell).csv_url == "/console/people.csv"


def test_the_present_order_is_turned_round_and_another_one_begins_ascending(shell: Shell) -> None:
    listed = listed_of(shell, q="ada", limit="50")
    assert listed.sort_url("name") == "/console/people?q=ada&sort=-name&limit=50"
    assert listed.sort_url("updated_at") == "/console/people?q=ada&sort=updated_at&limit=50"
    assert listed_of(shell, sort="-name").sort_url("name") == "/console/people"
    assert "cursor" not in listed.sort_url("name")
