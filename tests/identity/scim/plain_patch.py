"""PATCH as RFC 7644, 3.5.2, has it, written plainly from its text and from what we promise where it leaves a choice; to
hold the server against. It shares no code with it.

A step is what a client means; `sent` spells it as an operation, `after` says what it comes to.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
# The attributes that the model knows, by how they hold values.
TEXTS = ("userName", "displayName", "title", "nickName", "userType")
FLAGS = ("active",)
OBJECTS = {"name": ("givenName", "familyName", "formatted")}
LISTS = {
    "emails": ("value", "type", "display", "primary"),
    "phoneNumbers": ("value", "type", "display", "primary"),
    "roles": ("value", "type", "display", "primary"),
}
EXTENDED = ("department", "employeeNumber", "costCenter")
# What is left of an element when these alone are left is nothing.
LABELS = {"type", "display", "primary"}


class Refused(Exception):
    """The whole request is refused, with this word for why."""

    def __init__(self, scim_type: str) -> None:
        super().__init__(scim_type)
        self.scim_type = scim_type


@dataclass(frozen=True)
class Where:
    """Which elements a path names: `sub` compared with `value`. `pr` needs no value."""

    sub: str
    op: Literal["eq", "ne", "sw", "pr"]
    value: Any = None
    also: "Where | None" = None

    def text(self) -> str:
        own = f"{self.sub} pr" if self.op == "pr" else f"{self.sub} {self.op} {_literal(self.value)}"
        return own if self.also is None else f"{own} and {self.also.text()}"

    def names(self, element: Json) -> bool:
        found = element.get(self.sub)
        found, wanted = (one.lower() if isinstance(one, str) else one for one in (found, self.value))
        if self.op == "pr":
            holds = found is not None
        elif self.op == "sw":
            holds = isinstance(found, str) and found.startswith(wanted)
        else:
            holds = (found == wanted) is (self.op == "eq")
        return holds and (self.also is None or self.also.names(element))

    def equalities(self) -> Json | None:
        """The element that fulfils it, if equalities alone say it."""
        if self.op != "eq":
            return None
        own = {self.sub: self.value}
        more = {} if self.also is None else self.also.equalities()
        if more is None or any(own.get(name, value) != value for name, value in more.items()):
            return None
        return own | more


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        name: of the attribute; None where the value holds several.
        extension: whether it stands in the enterprise extension; spelt: whether the core's URN is written out.
    """

    verb: Literal["add", "replace", "remove"]
    name: str | None
    value: Any = None
    extension: bool = False
    where: Where | None = None
    sub: str | None = None
    spelt: bool = False


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def sent(step: Step) -> Json:
    """The step as an operation of a PATCH body."""
    told: Json = {"op": step.verb}
    if step.name is not None:
        prefix = f"{ENTERPRISE}:" if step.extension else f"{CORE}:" if step.spelt else ""
        chosen = f"[{step.where.text()}]" if step.where else ""
        told["path"] = f"{prefix}{step.name}{chosen}{f'.{step.sub}' if step.sub else ''}"
    if step.verb != "remove":
        told["value"] = step.value
    return told


def after(document: Json, steps: list[Step]) -> Json:
    """The document when all steps are done. Raises Refused."""
    now = deepcopy(document)
    for step in steps:
        _one(now, step)
    if not now.get("userName", "").strip():
        raise Refused("invalidValue")
    return now


def _one(document: Json, step: Step) -> None:
    if step.name is None:
        for name, value in step.value.items():
            if name != ENTERPRISE:
                _attribute(document, Step(step.verb, name, value))
            elif value is None:
                document.pop(ENTERPRISE, None)
            else:
                for inner, one in value.items():
                    _within(document, Step(step.verb, inner, one, extension=True))
    elif step.extension:
        _within(document, step)
    else:
        _attribute(document, step)


def _within(document: Json, step: Step) -> None:
    inner = document.get(ENTERPRISE, {})
    _attribute(inner, step)
    if inner:
        document[ENTERPRISE] = inner
    else:
        document.pop(ENTERPRISE, None)


def _attribute(holder: Json, step: Step) -> None:
    name, gone = step.name or "", step.verb == "remove" or step.value is None
    if name in LISTS:
        _elements(holder, step, gone=gone)
    elif name in OBJECTS or name == "manager":
        _object(holder, step, gone=gone)
    elif gone and name == "userName":
        raise Refused("mutability")
    elif gone:
        holder.pop(name, None)
    else:
        holder[name] = step.value


def _object(holder: Json, step: Step, *, gone: bool) -> None:
    assert step.name is not None
    standing = dict(holder.get(step.name, {}))
    if step.sub is None:
        given = {} if gone else step.value
        if step.name == "manager" and not gone:
            given = {"value": given} if isinstance(given, str) else given
            # Entra ID clears a manager by an empty value.
            gone = not given or given.get("value", "there") in ("", None)
        if gone:
            holder.pop(step.name, None)
            return
    else:
        given = {step.sub: None if gone or (step.name == "manager" and step.value == "") else step.value}
    if step.name == "manager" and "value" in given and given["value"] != standing.get("value"):
        # The address and the name were those of the former manager.
        standing = {}
    merged = {name: value for name, value in {**standing, **given}.items() if value is not None}
    if merged:
        holder[step.name] = merged
    else:
        holder.pop(step.name, None)


def _elements(holder: Json, step: Step, *, gone: bool) -> None:
    assert step.name is not None
    standing: list[Json] = deepcopy(holder.get(step.name, []))
    if gone:
        now, touched = _removed(standing, step), []
    elif step.where is None and step.sub is None:
        given = [one for one in (step.value if isinstance(step.value, list) else [step.value]) if one]
        _at_most_one_primary(given)
        touched = given
        now = given if step.verb == "replace" else standing + [one for one in given if one not in standing]
    else:
        now, touched = _chosen(standing, step)
    _primary(now, touched)
    if now:
        holder[step.name] = now
    else:
        holder.pop(step.name, None)


def _removed(standing: list[Json], step: Step) -> list[Json]:
    left: list[Json] = []
    for element in standing:
        if step.where is not None and not step.where.names(element):
            left.append(element)
        elif step.sub is not None:
            rest = {name: value for name, value in element.items() if name != step.sub}
            if rest == element or not rest.keys() <= LABELS or (rest and step.sub in LABELS):
                left.append(rest)
    return left


def _chosen(standing: list[Json], step: Step) -> tuple[list[Json], list[Json]]:
    where, sub = step.where, step.sub
    seed = {} if where is None else where.equalities()
    if not any(where is None or where.names(one) for one in standing):
        if seed is None:
            raise Refused("noTarget")
        made = {**seed, **({sub: step.value} if sub else step.value)}
        return ([*standing, made], [made]) if made else (standing, [])
    now: list[Json] = []
    touched: list[Json] = []
    for element in standing:
        if where is not None and not where.names(element):
            now.append(element)
            continue
        if sub is not None:
            changed = {**element, sub: step.value}
        elif step.verb == "add":
            changed = {**element, **{k: v for k, v in step.value.items() if v is not None}}
        else:
            changed = {**(seed or {}), **step.value}
        if changed:
            now.append(changed)
            touched.append(changed)
    return now, touched


def _at_most_one_primary(elements: list[Json]) -> None:
    if sum(one.get("primary") is True for one in elements) > 1:
        raise Refused("invalidValue")


def _primary(elements: list[Json], touched: list[Json]) -> None:
    """The one that has just become primary takes it from the others."""
    _at_most_one_primary(touched)
    fresh = next((one for one in touched if one.get("primary") is True), None)
    if fresh is None or sum(one.get("primary") is True for one in elements) < 2:
        return
    for element in elements:
        if element is not fresh and element.get("primary") is True:
            element["primary"] = False
