"""The style page shows every component, and no template holds what the pages' policy refuses."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from jinja2 import Environment, nodes
from starlette.applications import Starlette

import stoa
from stoa.db.database import Database
from stoa.web.styleguide import COLOURS, GROUPS, TONES, groups, styleguide_pages
from stoa.web.visiting import Shell
from tests.web.rendering import shared_pages

TEMPLATES = sorted(Path(stoa.__file__).parent.glob("**/templates/**/*.html"))
ASSETS = Path(stoa.__file__).parent / "web" / "assets"


@pytest.fixture(scope="module")
def environment() -> Environment:
    return shared_pages().environment


@pytest.fixture
async def page(database: Database) -> str:
    shell = Shell(pages=shared_pages(), database=database, development=True)
    transport = httpx2.ASGITransport(Starlette(routes=styleguide_pages(shell)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/console/styleguide")
    assert answer.status_code == 200
    return answer.text


def _parsed(environment: Environment, name: str) -> nodes.Template:
    assert environment.loader is not None
    return environment.parse(environment.loader.get_source(environment, name)[0])


def _components(environment: Environment) -> set[str]:
    """The names that `web/ui.html` exports."""
    body = _parsed(environment, "web/ui.html").body
    targets = [node.target for node in body if isinstance(node, nodes.Assign)]
    macros = [node.name for node in body if isinstance(node, nodes.Macro)]
    return {*macros, *(target.name for target in targets if isinstance(target, nodes.Name))}


def _called(environment: Environment, name: str) -> Iterator[str]:
    """The components that a template calls."""
    for call in _parsed(environment, name).find_all(nodes.Call):
        match call.node:
            case nodes.Getattr(node=nodes.Name(name="ui"), attr=attribute):
                yield attribute
            case _:
                pass


def test_every_component_has_a_sample_that_calls_it(environment: Environment) -> None:
    shown = {
        one.name: set(_called(environment, one.template)) for group in groups(environment) for one in group.samples
    }
    assert set(shown) == _components(environment)
    assert [name for name, called in shown.items() if name not in called] == []


def test_every_macro_that_others_may_use_is_a_component(environment: Environment) -> None:
    parts = ("states", "marks", "values", "lists", "forms", "charts")
    macros = {
        node.name
        for part in parts
        for node in _parsed(environment, f"web/ui/{part}.html").body
        if isinstance(node, nodes.Macro) and not node.name.startswith("_")
    }
    assert macros == _components(environment)


async def test_the_page_shows_each_sample_and_how_it_is_written(page: str) -> None:
    for name in (name for names in GROUPS.values() for name in names):
        assert f'id="{name}"' in page
    assert page.count('class="fold style-source"') == sum(map(len, GROUPS.values()))
    assert "{{ ui.badge(&#34;ok&#34;, &#34;Signed in&#34;) }}" in page


async def test_what_people_wrote_stays_text(page: str) -> None:
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page


async def test_no_id_is_given_twice(page: str) -> None:
    given = re.findall(r'\sid="([^"]+)"', page)
    assert {name for name in given if given.count(name) > 1} == set()


async def test_there_is_no_such_page_outside_development(database: Database) -> None:
    assert styleguide_pages(Shell(pages=shared_pages(), database=database, development=False)) == []


def test_every_tone_and_colour_of_the_page_is_a_token() -> None:
    tokens = set(re.findall(r"--([a-z-]+): light-dark", (ASSETS / "tokens.css").read_text(encoding="utf-8")))
    assert set(COLOURS) <= tokens
    assert {
        tone for tone in TONES if f".badge-{tone}" not in (ASSETS / "marks.css").read_text(encoding="utf-8")
    } == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_template_holds_nothing_inline(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert re.findall(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=|javascript:|\shx-on|\bjs:", text) == []


@pytest.mark.parametrize("script", sorted(ASSETS.glob("*.js")), ids=lambda path: path.name)
def test_a_script_evaluates_no_text_and_writes_no_markup(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert re.findall(r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write", text) == []
