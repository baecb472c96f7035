"""The words of pages in the visitor's language (Babel, gettext).

The source language is English, so a text that has no translation is read in English. Catalogues are
`locale/<language>/LC_MESSAGES/stoa.po`; `make words` renews the template of them. In development the language `en-XA`
brackets every text that went through gettext, so that one that did not stands out.
"""

import gettext
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Final

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from stoa.web.prose import all_sentences, teller

SOURCE: Final = "en"
PSEUDO: Final = "en-XA"
LOCALES: Final = Path(__file__).parent / "locale"
_RANGE = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q=([01](?:\.\d{1,3})?))?\s*")
_MOST_RANGES: Final = 20


class _Bracketed(gettext.NullTranslations):
    """Shows which texts can be translated."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"


@cache
def languages(*, pseudo: bool = False) -> Mapping[str, gettext.NullTranslations]:
    """The languages there are words for, English always among them."""
    found: dict[str, gettext.NullTranslations] = {SOURCE: gettext.NullTranslations()}
    for path in sorted(LOCALES.glob("*/LC_MESSAGES/stoa.po")):
        name = path.parents[1].name
        with path.open("rb") as file:
            catalogue = read_po(file, locale=name)
        compiled = BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        found[name.replace("_", "-")] = gettext.GNUTranslations(compiled)
    if pseudo:
        found[PSEUDO] = _Bracketed()
    return MappingProxyType(found)


@cache
def telling(language: str, *, pseudo: bool = False) -> Callable[[str], str]:
    """What puts sentences that were made below the pages into a language (`prose`)."""
    if language == SOURCE:
        return lambda text: text
    ids = all_sentences if language == PSEUDO else lambda: frozenset(_translated(language))
    return teller(languages(pseudo=pseudo)[language], ids)


def _translated(language: str) -> Iterator[str]:
    """The ids that a language has words for."""
    name = language.replace("-", "_")
    with (LOCALES / name / "LC_MESSAGES" / "stoa.po").open("rb") as file:
        for message in read_po(file, locale=name):
            if isinstance(message.id, str) and message.id and message.string and not message.fuzzy:
                yield message.id


def N_(message: str) -> str:  # noqa: N802 - the name by which Babel finds texts that are translated later
    """Marks a text that is translated where it is used."""
    return message


def chosen_language(accept: str, offered: Mapping[str, object]) -> str:
    """The offered language that the visitor likes best (RFC 9110, 12.5.4), else English.

    A range matches a language of the same name, or one whose first part it is (`de-AT` takes `de`).
    """
    by_name = {name.lower(): name for name in offered}
    liked: list[tuple[float, str]] = []
    for part in accept.split(",")[:_MOST_RANGES]:
        found = _RANGE.fullmatch(part)
        if found is not None:
            liked.append((float(found[2] or 1), found[1].lower()))
    for quality, name in sorted(liked, key=lambda one: -one[0]):
        match = by_name.get(name) or by_name.get(name.split("-")[0])
        if quality > 0 and match is not None:
            return match
    return SOURCE


def locale_of(language: str) -> Locale:
    """How numbers and dates of a language are written."""
    return Locale.parse(SOURCE if language == PSEUDO else language, sep="-")
