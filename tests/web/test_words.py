"""The visitor's language, and the texts in it."""

import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from stoa.web import words
from stoa.web.assets import load_assets
from stoa.web.templates import make_pages
from stoa.web.words import chosen_language, languages, locale_of

ROOT = Path(__file__).parents[2]
OFFERED = dict.fromkeys(["en", "de", "pt-BR"], 0)
GERMAN = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Language: de\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "Held"
msgstr "Angehalten"

#, fuzzy
msgid "Undone"
msgstr "Vielleicht zurück"

msgid "%(num)s run"
msgid_plural "%(num)s runs"
msgstr[0] "%(num)s Lauf"
msgstr[1] "%(num)s Läufe"
"""


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """A folder with the words of one language."""
    file = tmp_path / "de" / "LC_MESSAGES" / "stoa.po"
    file.parent.mkdir(parents=True)
    file.write_text(GERMAN, encoding="utf-8")
    monkeypatch.setattr(words, "LOCALES", tmp_path)
    languages.cache_clear()
    yield
    languages.cache_clear()


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("de-AT, en;q=0.9", "de"),
        ("en;q=0.8, de;q=0.9", "de"),
        ("en-GB, de", "en"),
        ("fr, de;q=0.3", "de"),
        ("pt-br", "pt-BR"),
        ("pt", "en"),
        ("de;q=0", "en"),
        ("fr", "en"),
        ("*", "en"),
        ("de;q=2, de;q=x, ;;, \x00, de", "de"),
        ("de;q=2", "en"),
        (", " * 5_000 + "de", "en"),
    ],
)
def test_the_language_is_the_one_the_visitor_likes_best(accept: str, chosen: str) -> None:
    assert chosen_language(accept, OFFERED) == chosen


@pytest.mark.usefixtures("german")
def test_words_come_from_their_files() -> None:
    assert list(languages()) == ["en", "de"]
    spoken = languages()["de"]
    assert spoken.gettext("Held") == "Angehalten"
    assert spoken.gettext("Nobody translated this") == "Nobody translated this"
    assert spoken.gettext("Undone") == "Undone"
    assert [spoken.ngettext("%(num)s run", "%(num)s runs", n) for n in (1, 2)] == ["%(num)s Lauf", "%(num)s Läufe"]


@pytest.mark.usefixtures("german")
def test_pages_are_written_in_the_language() -> None:
    pages = make_pages(load_assets())
    text = """{{ _("Held") }} {{ ngettext("%(num)s run", "%(num)s runs", 2) }} {{ 1234567|count }}"""
    rendered = {name: one.from_string(text).render() for name, one in pages.environments.items()}
    assert rendered == {"en": "Held 2 runs 1,234,567", "de": "Angehalten 2 Läufe 1.234.567"}


def test_only_developers_are_offered_the_pseudo_language() -> None:
    assert "en-XA" not in make_pages(load_assets()).environments
    pseudo = make_pages(load_assets(), development=True).environments["en-XA"]
    assert pseudo.from_string('{{ _("Held") }} {{ ngettext("a run", "runs", 2) }}').render() == "⟦Held⟧ ⟦runs⟧"
    assert locale_of("en-XA").language == "en"


def test_the_texts_are_collected_for_translators(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src" / "stoa", tmp_path / "stoa", ignore=shutil.ignore_patterns("built", "__pycache__"))
    command = [sys.executable, "-m", "babel.messages.frontend", "--quiet", "extract"]
    options = ["--mapping-file", str(ROOT / "babel.cfg"), "--output-file", "stoa.pot", "stoa"]
    subprocess.run([*command, *options], cwd=tmp_path, check=True, timeout=100)
    with (tmp_path / "stoa.pot").open("rb") as file:
        found = read_po(file)
    rooms = {Path(place).parts[1] for message in found for place, _ in message.locations}
    assert {"web", "changes", "people", "console"} <= rooms
    held = found.get("Held")
    assert held is not None
    assert any(place.endswith("web/ui/states.html") for place, _ in held.locations)
    rows = found.get("%(num)s row on this page")
    assert rows is not None
    assert rows.id == ("%(num)s row on this page", "%(num)s rows on this page")
