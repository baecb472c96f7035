"""Sentences that are made far below the pages, read in the visitor's language.

Problems, reasons and alerts are written in English where they arise, and stored and sent to programs as such. Their
shape is in the source: `f"The run {run_id} was decided already."` is the id "The run %(run_id)s was decided already.".
`make words` collects these ids for translators, and a page recognises a sentence by its shape, so that its values come
into the translation. A sentence that nobody translated, or that no shape fits, stays English.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from gettext import NullTranslations
from pathlib import Path
from typing import IO, Any, Final

from babel.messages.extract import extract_python

Said = tuple[int, str]
_HOLE: Final = re.compile(r"%\((\w+)\)s")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?]) ")
# What is not for visitors: the command line, settings, the programs' interface, statements.
_NOT_FOR_PAGES: Final = ("/cli/", "/api/", "/db/", "/settings.py", "/logs.py", "/worker.py")
_SQL: Final = frozenset({"SELECT", "FROM", "WHERE", "INSERT", "UPDATE", "DELETE", "VALUES", "CREATE", "ALTER", "GRANT"})
_FEWEST_WORDS: Final = 2
_MOST_SENTENCES: Final = 12
_REMEMBERED: Final = 4096


# ------------------------------------------------------------------ collecting


def extract(
    file: IO[bytes], keywords: Mapping[str, Any], comment_tags: Sequence[str], options: Mapping[str, Any]
) -> Iterator[tuple[int, Any, Any, Any]]:
    """Babel's extraction method for Python: what is given to gettext, and the sentences."""
    yield from extract_python(file, keywords, comment_tags, options)  # pyright: ignore[reportArgumentType] - Babel asks for its own types
    if is_for_pages(file.name):
        file.seek(0)
        for line, message in sentences(file.read().decode()):
            yield line, None, message, []


def is_for_pages(path: str) -> bool:
    """Whether visitors may read what stands in this file."""
    return not any(part in path for part in _NOT_FOR_PAGES)


def sentences(source: str) -> Iterator[Said]:
    """The ids of a module's sentences, with their lines: `{value}` of an f-string is `%(value)s` of the id."""
    for line, message, is_raised in _strings(ast.parse(source)):
        if _is_prose(message) or (is_raised and _is_phrase(message)):
            yield line, message


def _strings(node: ast.AST, is_raised: bool = False) -> Iterator[tuple[int, str, bool]]:
    """Line, text, and whether it is part of what is raised."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return
        case ast.JoinedStr():
            yield node.lineno, _id_of(node), is_raised
        case ast.Constant(value=str(text)):
            yield node.lineno, text, is_raised
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _strings(child, is_raised or isinstance(node, ast.Raise))


def _id_of(text: ast.JoinedStr) -> str:
    names: dict[str, str] = {}
    parts: list[str] = []
    for part in text.values:
        match part:
            case ast.Constant(value=str(literal)):
                parts.append(literal.replace("%", "%%"))
            case ast.FormattedValue(value=value):
                parts.append(f"%({_name(value, names)})s")
            case _:
                pass
    return "".join(parts)


def _name(value: ast.expr, names: dict[str, str]) -> str:
    """What a value is called in the id. names: what those before it are called, by their expression."""
    written = ast.unparse(value)
    if written not in names:
        name = _word(value)
        taken = set(names.values())
        tries = (name, *(f"{name}{number}" for number in range(2, len(names) + 3)))
        names[written] = next(one for one in tries if one not in taken)
    return names[written]


def _word(value: ast.expr) -> str:
    match value:
        case ast.Name(id=word) | ast.Attribute(attr=word):
            return word.lower().strip("_")
        case _:
            return "value"


def _is_prose(message: str) -> bool:
    """Whether it reads as a title or sentence for people: a capital first or a full stop last, and no statement."""
    words = _words(message)
    reads = message.startswith("%(") or message[:1].isupper() or message.endswith((".", "!", "?"))
    return reads and len(words) >= _FEWEST_WORDS and "\n" not in message and not _SQL.intersection(words)


def _is_phrase(message: str) -> bool:
    return " " in message and "\n" not in message and bool(_words(message))


def _words(message: str) -> list[str]:
    return [word for word in _HOLE.sub(" ", message).split() if word.strip(".,:;!?()`'\"").isalpha()]


def all_sentences() -> frozenset[str]:
    """Every id of the program as it is installed: what the pseudo-language knows."""
    root = Path(__file__).parents[1]
    found: set[str] = set()
    for path in sorted(root.rglob("*.py")):
        if is_for_pages(path.as_posix()):
            found.update(message for _, message in sentences(path.read_text(encoding="utf-8")))
    return frozenset(found)


# ------------------------------------------------------------------ recognising


@dataclass(frozen=True, slots=True)
class _Shape:
    """An id with values in it: `literals` with a value of `names` between each two. weight: characters of literals."""

    message: str
    literals: tuple[str, ...]
    names: tuple[str, ...]
    weight: int

    def values(self, text: str) -> dict[str, str] | None:
        """The values in a text of this shape, or None. In time that grows with the text and nothing else."""
        first, *middle, last = self.literals
        if not text.startswith(first) or not text.endswith(last) or len(text) <= self.weight:
            return None
        found: dict[str, str] = {}
        at, end = len(first), len(text) - len(last)
        for name, literal in zip(self.names, [*middle, None], strict=True):
            # The nearest place is good enough: whatever fits farther on fits from there as well.
            until = end if literal is None else text.find(literal, at + 1, end)
            if until <= at or found.setdefault(name, text[at:until]) != text[at:until]:
                return None
            at = until + len(literal or "")
        return found


def teller(words: NullTranslations, ids: Callable[[], Iterable[str]]) -> Callable[[str], str]:
    """What puts a text of one or more sentences into a language, as far as they are known.

    ids: those that have a translation; asked when the first text is told.
    """
    known: list[tuple[frozenset[str], tuple[_Shape, ...]]] = []

    @lru_cache(_REMEMBERED)
    def tell(text: str) -> str:
        if not known:
            plain, shaped = _parted(ids())
            known.append((plain, shaped))
        return _told(text, lambda part: _one(part, words, *known[0], tell))

    return tell


def _parted(ids: Iterable[str]) -> tuple[frozenset[str], tuple[_Shape, ...]]:
    every = frozenset(ids)
    shaped = [_shape(message) for message in every if _HOLE.search(message)]
    return every, tuple(sorted(shaped, key=lambda shape: (-shape.weight, shape.message)))


def _shape(message: str) -> _Shape:
    parts = _HOLE.split(message)
    literals = tuple(part.replace("%%", "%") for part in parts[::2])
    return _Shape(message, literals, tuple(parts[1::2]), sum(map(len, literals)))


def _told(text: str, one: Callable[[str], tuple[str, int] | None]) -> str:
    """The text, cut into the pieces that are known best: those of which most characters are an id's own.

    one: a piece in the language and how many of its characters are, or None.
    """
    parts = _SENTENCE_END.split(text, _MOST_SENTENCES)
    # best[i]: the best telling of the parts before i.
    best: list[tuple[int, list[str]]] = [(0, [])]
    for end in range(1, len(parts) + 1):
        weight, told = best[end - 1]
        choice = (weight, [*told, parts[end - 1]])
        for begin in range(end):
            found = one(" ".join(parts[begin:end]))
            if found is not None and best[begin][0] + found[1] > choice[0]:
                choice = (best[begin][0] + found[1], [*best[begin][1], found[0]])
        best.append(choice)
    return " ".join(best[-1][1])


def _one(
    text: str,
    words: NullTranslations,
    plain: frozenset[str],
    shapes: Sequence[_Shape],
    tell: Callable[[str], str],
) -> tuple[str, int] | None:
    """A text of one id in the language, and how many of its characters are the id's own; None for what is unknown."""
    if text in plain:
        return words.gettext(text), len(text)
    for shape in shapes:
        found = shape.values(text)
        if found is not None:
            values = {name: tell(value) if " " in value else value for name, value in found.items()}
            return _filled(words.gettext(shape.message), values, text), shape.weight
    if not text.endswith("."):
        return None
    # Whoever put texts together may have given this one its full stop.
    bare = _one(text[:-1], words, plain, shapes, tell)
    return None if bare is None else (f"{bare[0]}.", bare[1])


def _filled(message: str, values: Mapping[str, str], otherwise: str) -> str:
    try:
        return message % values
    except (KeyError, TypeError, ValueError):
        # A translation that names a value otherwise; its checker is the translator's tool, not this page.
        return otherwise
