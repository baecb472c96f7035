"""Every text that a visitor reads can be translated: no template says anything outside of gettext."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

ROOT = Path(__file__).parents[2]
# The samples of the style page are data: what a page hands to a component.
SAMPLES = "web/styleguide/"
TEMPLATES = sorted(path for path in (ROOT / "src").glob("**/templates/**/*.html") if SAMPLES not in path.as_posix())
# Read aloud or shown, as text is.
WORDED = {"abbr", "alt", "aria-description", "aria-label", "aria-roledescription", "label", "placeholder", "title"}
# What stands in these is the same in every language.
CODE = {"code", "kbd", "pre", "samp", "script", "style"}
NAMES = {"Entra ID", "Okta", "SCIM", "Stoa", "externalId"}
# Blocks whose content is no text: the class of the page's body.
CLASSES = {"layout"}
GETTEXT = {"_", "N_", "gettext", "ngettext", "npgettext", "pgettext"}
ENVIRONMENT = Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True, autoescape=True)


def literal(source: str) -> str:
    """The text of a template outside of Jinja's tags and of `{% trans %}`, with the lines it stands on."""
    kept: list[str] = []
    line, silent, begun = 1, False, ""
    for number, kind, text in ENVIRONMENT.lex(source):
        if kind == "name" and begun == "tag":
            silent = (silent or text == "trans") and text not in {"endtrans", "endblock"}
        elif kind == "name" and begun == "block" and text in CLASSES:
            silent = True
        if kind != "whitespace":
            begun = _begun(kind, text, begun)
        if kind == "data" and not silent:
            kept.append("\n" * max(0, number - line) + text)
            line = max(line, number) + text.count("\n")
    return "".join(kept)


def _begun(kind: str, text: str, before: str) -> str:
    """Whether a token is followed by the name of a tag, or of a block."""
    if kind == "block_begin":
        return "tag"
    return "block" if before == "tag" and text == "block" else ""


class Texts(HTMLParser):
    """Collects what is read of a page, each with its line."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._code += tag in CODE
        said = [value for name, value in attrs if name in WORDED and value]
        self.found += [(self.getpos()[0], value) for value in said if _has_words(value)]

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in CODE

    def handle_data(self, data: str) -> None:
        if not self._code and _has_words(data):
            self.found.append((self.getpos()[0], " ".join(data.split())))


def _has_words(text: str) -> bool:
    """Whether there are words besides names, addresses and the like of `0O1lI`."""
    bare = text.strip(" \n\t.,:;·()→←–")
    return (
        bare not in NAMES and not bare.startswith("/") and any(word.strip("(.,:;)").isalpha() for word in bare.split())
    )


def texts(source: str) -> list[tuple[int, str]]:
    """What a template says outside of gettext: line and text."""
    parser = Texts()
    parser.feed(literal(source))
    parser.close()
    return parser.found


def phrases(source: str) -> Iterator[tuple[int, str]]:
    """Strings in Jinja's tags that read as sentences or titles, outside of gettext."""
    waiting: list[nodes.Node] = [ENVIRONMENT.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in GETTEXT:
            continue
        if isinstance(node, nodes.Const) and isinstance(node.value, str) and _is_phrase(node.value):
            yield node.lineno, node.value
        waiting += node.iter_child_nodes()


def _is_phrase(text: str) -> bool:
    words = text.split()
    return bool(words) and text not in NAMES and words[0].isalpha() and words[0][0].isupper() and not text.isupper()


# Texts that are made below the pages: of problems, reasons and alerts.
MADE_BELOW = {"detail", "hint", "advice", "problem", "error"}


def untold(source: str) -> list[tuple[int, str]]:
    """What is shown of texts that were made below the pages, and was not put through `told`: line and name."""
    found: list[tuple[int, str]] = []
    for output in ENVIRONMENT.parse(source).find_all(nodes.Output):
        for shown in output.nodes:
            match shown:
                case nodes.Getattr(attr=name) | nodes.Name(name=name) if name in MADE_BELOW:
                    found.append((shown.lineno, name))
                case _:
                    pass
    return found


def test_the_templates_are_found() -> None:
    assert len(TEMPLATES) > 40


@pytest.mark.parametrize(
    "source",
    [
        "<p>Held</p>",
        "<p>{{ n }} runs</p>",
        '<input placeholder="Search">',
        '<p aria-label="{{ name }} is held">',
        "{% trans %}a{% endtrans %} b",
        "{% block layout %}console{% endblock %} b",
    ],
)
def test_a_text_that_was_not_marked_is_found(source: str) -> None:
    assert len(texts(source)) == 1


@pytest.mark.parametrize("source", ['{{ badge("ok", "Held") }}', '{% set title = "Two words" %}', '{{ x or "None" }}'])
def test_a_phrase_that_was_not_marked_is_found(source: str) -> None:
    assert len(list(phrases(source))) == 1


def test_what_is_marked_is_not_found() -> None:
    source = """<p class="held" id="x">{{ _("Held") }}
    {% trans n=n %}{{ n }} run{% pluralize %}{{ n }} runs{% endtrans %}
    {#- A remark -#} {{ ngettext("One run", "%(num)s runs", 2) }} <code>STOA_X</code> &middot; 12</p><b>Stoa</b>
    {% block layout %}console{% endblock %} · 0O1lI <a href="/healthz">/healthz</a>: """
    assert texts(source) == []
    assert list(phrases(source)) == []


@pytest.mark.parametrize("source", ["{{ cause.detail }}", "{{ problem }}", "<p>{{ a.b.hint }}</p>"])
def test_a_text_from_below_that_is_shown_as_it_is_is_found(source: str) -> None:
    assert len(untold(source)) == 1


def test_a_text_from_below_that_is_told_is_not_found() -> None:
    assert untold('{{ cause.detail|told }}{{ _("Held") }}{{ problem|told }}{{ note.text }}') == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.as_posix().partition("/templates/")[2])
def test_everything_that_is_read_can_be_translated(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert texts(source) == []
    assert list(phrases(source)) == []
    assert untold(source) == []
