"""Sentences that are made below the pages: their ids in the source, and how they are recognised."""

import gettext
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.web import words
from stoa.web.prose import all_sentences, extract, is_for_pages, sentences, teller
from stoa.web.words import PSEUDO, SOURCE, languages, telling

GERMAN: Final = {
    "The run %(run_id)s was decided already.": "Über den Lauf %(run_id)s ist schon entschieden.",
    "Open it to see by whom.": "Öffnen Sie ihn, um zu sehen, von wem.",
    "It has %(n)s %% of %(most)s rows.": "Von %(most)s Zeilen hat er %(n)s %%.",
    "It failed; the last error was: %(error)s": "Gescheitert; der letzte Fehler: %(error)s",
    "This cannot be left empty": "Das darf nicht leer bleiben",
    "One. And a second sentence.": "Eins. Und ein zweiter Satz.",
    "%(name)s is %(name)s again.": "Wieder %(name)s.",
    "A wrong %(value)s.": "Falsch: %(wert)s.",
}

PO: Final = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "The run %(run_id)s is gone."
msgstr "Lauf %(run_id)s fehlt."

msgid "Not yet said."
msgstr ""
"""


class German(gettext.NullTranslations):
    """A few words."""

    def gettext(self, message: str) -> str:
        return GERMAN.get(message, message)


@pytest.fixture
def tell() -> Callable[[str], str]:
    return teller(German(), lambda: GERMAN)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('raise NotFound("There is no such run.")', "There is no such run."),
        ('raise NotFound(f"The run {run_id} is gone.")', "The run %(run_id)s is gone."),
        ('x = f"{self.run.source_name} is held"', "%(source_name)s is held"),
        ('x = f"At most {len(a):,} of {len(b)} rows."', "At most %(value)s of %(value2)s rows."),
        ('x = f"{n} of {n} rows, 5 % of {m}."', "%(n)s of %(n)s rows, 5 %% of %(m)s."),
        ('x = f"{LIMIT} rows are {self._limit}."', "%(limit)s rows are %(limit2)s."),
        ('x = ("One sentence. "\n "And another.")', "One sentence. And another."),
        ('x = Field(description="The report\'s address.")', "The report's address."),
        ('raise ValueError("line is too long")', "line is too long"),
        ('lambda name: f"{name} is empty; every row must have it."', "%(name)s is empty; every row must have it."),
    ],
)
def test_the_id_of_a_sentence_is_its_shape(source: str, message: str) -> None:
    assert [found for _, found in sentences(source)] == [message]


@pytest.mark.parametrize(
    "source",
    [
        '"""What a module is for, and more."""',
        'x = "SELECT name FROM tenant WHERE slug = $1"',
        'x = f"SELECT {columns} FROM run."',
        'x = "run_held"',
        'x = "Held"',
        'x = "content-type: text/plain"',
        'x = f"{a} {b}"',
        'log.info("run ended")',
    ],
)
def test_what_nobody_reads_is_no_sentence(source: str) -> None:
    assert list(sentences(source)) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("The run 7 was decided already.", "Über den Lauf 7 ist schon entschieden."),
        (
            "The run 7 was decided already. Open it to see by whom.",
            "Über den Lauf 7 ist schon entschieden. Öffnen Sie ihn, um zu sehen, von wem.",
        ),
        ("It has 5 % of 1,000 rows.", "Von 1,000 Zeilen hat er 5 %."),
        ("It failed; the last error was: Open it to see by whom.",
         "Gescheitert; der letzte Fehler: Öffnen Sie ihn, um zu sehen, von wem."),
        ("This cannot be left empty.", "Das darf nicht leer bleiben."),
        ("One. And a second sentence.", "Eins. Und ein zweiter Satz."),
        ("Ada is Ada again.", "Wieder Ada."),
        # What is not known stays, beside what is.
        ("Nobody said this. Open it to see by whom.", "Nobody said this. Öffnen Sie ihn, um zu sehen, von wem."),
        ("Ada is Bo again.", "Ada is Bo again."),
        ("The run was decided already.", "The run was decided already."),
        ("The run  was decided already.", "The run  was decided already."),
        ("", ""),
        # Values come through as they are, whatever stands in them.
        ("The run %(run_id)s %s was decided already.", "Über den Lauf %(run_id)s %s ist schon entschieden."),
        ("The run <b>\n.* was decided already.", "Über den Lauf <b>\n.* ist schon entschieden."),
        # A translation that names its value otherwise is none.
        ("A wrong turn.", "A wrong turn."),
    ],
)  # fmt: skip
def test_a_sentence_is_recognised_by_its_shape(tell: Callable[[str], str], text: str, told: str) -> None:
    assert tell(text) == told


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_values_are_kept_character_by_character(n: str, most: str) -> None:
    text = f"It has {n} % of {most} rows."
    told = teller(German(), lambda: ["It has %(n)s %% of %(most)s rows."])(text)
    # Where the words of the id stand in a value as well, another parting is as good.
    if " % of " not in f"{n} {most} " and not any(mark in n + most for mark in ".!?"):
        assert told == f"Von {most} Zeilen hat er {n} %."


@given(st.text(max_size=300))
def test_any_text_is_told_somehow(text: str) -> None:
    assert isinstance(telling(PSEUDO, pseudo=True)(text), str)


def test_a_hostile_text_takes_no_time() -> None:
    tell = telling(PSEUDO, pseudo=True)
    tell("x")
    begun = time.perf_counter()
    for text in ("a: was b, and is. " * 5_000, "The run " * 5_000, ": was is and of rows. " * 2_000):
        tell(text)
    assert time.perf_counter() - begun < 5


def test_in_the_source_language_nothing_is_looked_up() -> None:
    text = "The run 7 was decided already."
    assert telling(SOURCE)(text) is text


def test_the_pseudo_language_knows_the_sentences_of_the_program() -> None:
    assert len(all_sentences()) > 500
    told = telling(PSEUDO, pseudo=True)("There is nothing at this address. Look for a slip in it. Ada was here.")
    assert told == "⟦There is nothing at this address.⟧ ⟦Look for a slip in it.⟧ Ada was here."


def test_a_language_knows_what_was_translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "de" / "LC_MESSAGES" / "stoa.po"
    file.parent.mkdir(parents=True)
    file.write_text(PO, encoding="utf-8")
    monkeypatch.setattr(words, "LOCALES", tmp_path)
    for remembered in (languages, telling):
        remembered.cache_clear()
    assert telling("de")("The run 7 is gone. Not yet said.") == "Lauf 7 fehlt. Not yet said."
    for remembered in (languages, telling):
        remembered.cache_clear()


def test_sentences_are_collected_for_translators() -> None:
    class Source(BytesIO):
        name = "src/stoa/room/rules.py"

    source = b'x = N_("Two words")\nraise NotFound(f"The run {run_id} is gone.")\n'
    found = list(extract(Source(source), {"N_": None}, [], {}))
    assert {message if isinstance(message, str) else message[0] for _, _, message, _ in found} == {
        "Two words",
        "The run %(run_id)s is gone.",
    }
    assert not is_for_pages("/srv/stoa/cli/serving.py")
