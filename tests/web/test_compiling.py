"""What is known when a template is compiled is said then, and nothing gets past the escaping."""

from collections.abc import Mapping
from typing import Any

import pytest
from jinja2 import DictLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from stoa.web.compiling import IMPORTED, QuickEnvironment


def environment_of(templates: Mapping[str, str], **globals_: Any) -> QuickEnvironment:
    made = QuickEnvironment(loader=DictLoader(templates), autoescape=True, undefined=StrictUndefined)
    made.globals.update(globals_)
    return made


def test_a_text_is_translated_when_the_template_is_compiled() -> None:
    asked: list[str] = []

    def gettext(text: str, /, **values: object) -> Markup:
        asked.append(text)
        return Markup(f"<b>{text}</b>") % values

    source = '{{ _("one") }} {{ "x" ~ _("two") }} {% if on %}{{ _("three", n="<") }}{% endif %} {{ _(word) }}'
    template = environment_of({"page": source}, _=gettext).get_template("page")
    assert asked == ["one"]
    shown = template.render(on=True, word="four")
    assert shown == "<b>one</b> x<b>two</b> <b>three</b> <b>four</b>"
    assert asked == ["one", "two", "three", "four"]
    at_run_time = environment_of({"page": source.replace("_(", "late(")}, late=gettext).get_template("page")
    assert at_run_time.render(on=True, word="four") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("<&>", "&lt;&amp;&gt;"), (Markup("<b>"), "<b>"), (7, "7"), (None, "None"), (["'"], "[&#34;&#39;&#34;]")],
)
def test_what_is_put_out_is_escaped_once(value: object, shown: str) -> None:
    source = (
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ value }}|{{ m(value) }}|{% set y %}{{ m(value) }}{% endset %}{{ y }}"
    )
    assert environment_of({"page": source}).get_template("page").render(value=value) == "|".join([shown] * 3)


def test_a_page_evaluates_what_it_imports_once_and_each_page_anew() -> None:
    made: list[str] = []
    templates = {
        "parts": "{{ note(who) }}{% macro hello() %}{{ who }}{% endmacro %}",
        "other": '{% import "parts" as p with context %}{% macro again() %}{{ p.hello() }}{% endmacro %}',
        "page": '{% import "parts" as p with context %}{% import "other" as o with context %}'
        "{{ p.hello() }}{{ o.again() }}",
    }

    def note(who: str) -> str:
        made.append(who)
        return ""

    template = environment_of(templates, note=note).get_template("page")
    assert template.render({"who": "ann", IMPORTED: {}}) == "annann"
    assert template.render({"who": "<bob>", IMPORTED: {}}) == "&lt;bob&gt;&lt;bob&gt;"
    assert made == ["ann", "<bob>"]
    assert template.render(who="cid") == "cidcid"
    assert made == ["ann", "<bob>", "cid", "cid"]


def test_what_wants_the_context_still_gets_it() -> None:
    @pass_context
    def who(context: Context, end: str) -> str:
        return str(context["name"]) + end

    source = "{% for n in [1] %}{{ who('!') }}{{ loop.index }}{% endfor %}"
    assert environment_of({"page": source}, who=who).get_template("page").render(name="Ann") == "Ann!1"
