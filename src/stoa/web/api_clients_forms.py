"""What the forms of API clients ask, and what somebody entered in them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stoa.access.clients_rules import Terms
from stoa.access.scopes import SCOPES
from stoa.kernel.problems import BadInput
from stoa.tenants.rules import BadFields
from stoa.web.forms import Form

# What a form offers as the life of a key or a secret, in days.
NO_END: Final = "never"
DAYS: Final = ("90", "180", "365", NO_END)
DEFAULT_DAYS: Final = "365"
_VERBS: Final = ("read", "write")
_TEXTS: Final = ("name", "allowed_addresses", "version", "per_minute")
_BETWEEN: Final = re.compile(r"[\s,;]+")
_LONGEST_ADDRESSES: Final = 4_000


@dataclass(frozen=True, slots=True)
class Resource:
    """What a client may be let read or change. read, write: the scopes; None where there is none."""

    name: str
    read: str | None
    write: str | None


@dataclass(frozen=True, slots=True)
class Given:
    """What stands in the form of a client: as it was entered, so that it can be shown again."""

    texts: Mapping[str, str]
    scopes: frozenset[str]


def resources() -> Sequence[Resource]:
    """Every resource that there are scopes for; first that which stands for all."""
    names = dict.fromkeys(scope.partition(":")[0] for scope in SCOPES)
    found = {name: [f"{name}:{verb}" if f"{name}:{verb}" in SCOPES else None for verb in _VERBS] for name in names}
    return [Resource(name, *scopes) for name, scopes in found.items()]


def field_of(scope: str) -> str:
    """The name of a scope's box in the form."""
    return f"scope-{scope.replace(':', '-')}"


EMPTY: Final = Given(dict.fromkeys(_TEXTS, ""), frozenset())


def given_of(terms: Terms) -> Given:
    """The form as it stands for a client that there is."""
    texts = {
        "name": terms.name,
        "allowed_addresses": "\n".join(terms.allowed_addresses),
        "version": terms.version or "",
        "per_minute": "" if terms.per_minute is None else str(terms.per_minute),
    }
    return Given(texts, frozenset(terms.scopes))


def read_terms_form(form: Form) -> Given:
    """What was entered. Raises BadInput for more than a field can hold."""
    texts = {name: form.text(name, most=_LONGEST_ADDRESSES) for name in _TEXTS}
    return Given(texts, frozenset(scope for scope in SCOPES if field_of(scope) in form))


def terms_of(given: Given) -> Terms:
    """The terms that were entered; the room checks what they say.

    Raises:
        BadFields: the number of requests is no number.
    """
    number = given.texts["per_minute"]
    if number and not (number.isascii() and number.isdigit() and len(number) < 10):
        raise BadFields({"per_minute": BadInput("The number of requests a minute must be a whole number.")})
    return Terms(
        name=given.texts["name"],
        scopes=sorted(given.scopes),
        allowed_addresses=[one for one in _BETWEEN.split(given.texts["allowed_addresses"]) if one],
        version=given.texts["version"] or None,
        per_minute=int(number) if number else None,
    )


def days_of(text: str) -> int | None:
    """After how many days something ends; None for never. Raises BadInput for what the form does not offer."""
    if text not in DAYS:
        raise BadInput("It lasts as long as one of the choices says.", hint="Choose one of the list.")
    return None if text == NO_END else int(text)
