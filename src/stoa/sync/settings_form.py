"""What somebody entered as a connection's settings: the connector's own, and the thresholds of its guards. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stoa.changes.model import Action
from stoa.changes.rules import DEFAULT_THRESHOLDS
from stoa.kernel.problems import BadInput
from stoa.sync.forms import Control, FormField, Unreadable, defaults_of, errors_by_field, given_of, texts_of
from stoa.sync.timing import Gettext

# Settings and thresholds share a form with the connection's name and its schedule.
SETTING: Final = "setting-"
GUARD: Final = "guard-"
LIMITS: Final = ("percent", "absolute", "floor")


@dataclass(frozen=True, slots=True)
class Entered:
    """The form as it stands.

    Attributes:
        texts: by the setting's name. Secrets are among them, and no page shows this as it is: see `shown`.
        guards: thresholds by action and limit, `deactivate-percent`; empty for the default.
    """

    fields: Sequence[FormField]
    texts: Mapping[str, str] = field(repr=False)
    guards: Mapping[str, str]

    @property
    def shown(self) -> dict[str, str]:
        """What a page may show: everything but secrets."""
        return {one.name: self.texts.get(one.name, "") for one in self.fields if one.control is not Control.SECRET}

    @property
    def plain(self) -> list[FormField]:
        """The fields that are no secrets."""
        return [one for one in self.fields if one.control is not Control.SECRET]

    @property
    def secrets(self) -> list[FormField]:
        """The fields that are."""
        return [one for one in self.fields if one.control is Control.SECRET]

    def settings(self) -> dict[str, Any]:
        """Everything that was entered, to be checked by the opener. Raises Unreadable."""
        found: dict[str, Any] = {}
        errors: list[Mapping[str, str]] = []
        for read in (lambda: given_of(self.fields, self.texts), lambda: _guards(self.guards)):
            try:
                found |= read()
            except Unreadable as problem:
                errors += problem.errors
        if errors:
            raise Unreadable(errors)
        return found

    def only_secrets(self) -> dict[str, str]:
        """The secrets that were entered; one that was left empty is left out."""
        return {one.name: self.texts[one.name] for one in self.secrets if self.texts.get(one.name)}

    def errors(self, problem: BadInput) -> dict[str, str]:
        """What is wrong, by the name of the field in the form; under "" what belongs to none."""
        guards = [FormField(f"{GUARD}{name}", "", "", Control.NUMBER, required=False) for name in guard_names()]
        told = errors_by_field(problem, [*self.fields, *guards])
        known = {one.name for one in self.fields}
        return {f"{SETTING}{name}" if name in known else name: text for name, text in told.items()}


def fresh(fields: Sequence[FormField]) -> Entered:
    """The form of a connection to be made."""
    return Entered(fields, defaults_of(fields), {})


def stored(fields: Sequence[FormField], config: Mapping[str, Any]) -> Entered:
    """The form of a connection that is there, without its secrets."""
    guards: Mapping[str, Mapping[str, float]] = config.get("guards", {})
    texts = {
        f"{action}-{limit}": f"{guards[action][limit]:g}"
        for action in guards
        for limit in LIMITS
        if limit in guards[action]
    }
    return Entered(fields, texts_of(fields, config), texts)


def entered(fields: Sequence[FormField], form: Mapping[str, str]) -> Entered:
    """The form as it was sent."""
    return Entered(
        fields,
        {one.name: form.get(f"{SETTING}{one.name}", "") for one in fields},
        {name: form.get(f"{GUARD}{name}", "").strip() for name in guard_names()},
    )


def guard_names() -> list[str]:
    """Every threshold there is, as `deactivate-percent`."""
    return [f"{action}-{limit}" for action in DEFAULT_THRESHOLDS for limit in LIMITS]


def default_limit(name: str) -> str:
    """What a threshold is when it is left empty."""
    action, _, limit = name.rpartition("-")
    return f"{getattr(DEFAULT_THRESHOLDS[Action(action)], limit):g}"


def _guards(texts: Mapping[str, str]) -> dict[str, Any]:
    guards: dict[str, dict[str, float]] = {}
    errors: list[dict[str, str]] = []
    for name, text in texts.items():
        if not text:
            continue
        action, _, limit = name.rpartition("-")
        number = _number(text, whole=limit != "percent")
        if number is None:
            wanted = "A number, 0 or more." if limit == "percent" else "A whole number, 0 or more."
            errors.append({"field": f"{GUARD}{name}", "detail": wanted})
        else:
            guards.setdefault(action, {})[limit] = number
    if errors:
        raise Unreadable(errors)
    return {"guards": guards} if guards else {}


def _number(text: str, *, whole: bool) -> float | None:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        return None
    return number if 0 <= number <= 10**9 else None


def in_language(fields: Sequence[FormField], gettext: Gettext) -> list[FormField]:
    """The fields with their words in the visitor's language."""

    def said(text: str) -> str:
        return gettext(text) if text else ""

    return [
        FormField(
            one.name,
            said(one.label),
            said(one.hint),
            *(one.control, one.required, one.options, one.example, one.default, one.longest),
        )
        for one in fields
    ]
