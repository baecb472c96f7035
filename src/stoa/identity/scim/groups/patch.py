"""The members in a group's requests, on a path of their own: a group of ten thousand is changed by what changes of it,
and never read as a whole to do so.

What Entra ID and Okta send is understood without asking who sends it (RFC 7644, 3.5.2, where it speaks of it):

- `remove` of `members` with a list of values takes these away, without one everybody; `members[value eq "..."]` takes
  away whom the filter names. Whoever is not there is passed over, as is the adding of somebody who is.
- `replace` of `members` puts the list in place of all, and an empty list clears the group. `members` that are left
  out, or null, stay as they are.
- A member is an object with `value`, or with a `$ref` that ends in the id, or the plain id.
- A value that is no id of a user may be the external id of one, or a member who is not here yet, where the tenant has
  chosen that such are awaited (docs/adr/0027).
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, assert_never
from uuid import UUID

from stoa.identity.scim.effort import Effort
from stoa.identity.scim.errors import ScimError, ScimType, bad, invalid_syntax, invalid_value
from stoa.identity.scim.groups.wire import no_nesting
from stoa.identity.scim.model import GROUP_SCHEMA, Document, Operation, Verb
from stoa.identity.scim.paths import Target, resolve
from stoa.identity.scim.schemas import GROUPS
from stoa.identity.scim.validation import described, is_list, is_object
from stoa.kernel.filters import Operator, Typed, evaluate
from stoa.kernel.filters.typed import AnyOf, Test
from stoa.people.groups_awaited import LONGEST_NAME, member_name
from stoa.people.groups_model import Delta, MemberName, Memberships, Replaced, no_spellings

_PREFIX: Final = f"{GROUP_SCHEMA}:".lower()
_PATH: Final = re.compile(rf"(?:{re.escape(_PREFIX)})?members(?=$|[\s.\[])", re.IGNORECASE)
# How Entra ID and Okta name one member, a hundred times in a request: read by itself, for the grammar takes ten times
# as long. Whatever else a filter says is left to that.
_ONE: Final = re.compile(
    rf'(?:{re.escape(_PREFIX)})?members\[value eq "([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})"\]',
    re.IGNORECASE | re.ASCII,
)
_NAMES: Final = frozenset({"members", f"{_PREFIX}members"})

# All members as a filter sees them: value, type, display, $ref.
Elements = Callable[[], Awaitable[Sequence[Document]]]


@dataclass(frozen=True, slots=True)
class Edit:
    """One operation upon members.

    Attributes:
        ids: whom it names; None for everybody.
        chosen: a filter that says more than ids could; length: of the path in which it stands.
        spelt: as `Replaced` has it.
    """

    index: int
    verb: Verb
    ids: frozenset[MemberName] | None
    chosen: Typed | None = None
    length: int = 0
    spelt: Mapping[UUID, str] = field(default_factory=no_spellings)


def split_members(body: object) -> tuple[object, Replaced | None]:
    """The body of a POST or PUT without its members, and these; None where it does not speak of them. Raises
    ScimError.
    """
    if not is_object(body):
        return body, None
    named = [name for name in body if name.lower() in _NAMES]
    if len(named) > 1:
        raise invalid_syntax('"members" is given twice, in different spellings.')
    if not named:
        return body, None
    rest = {name: value for name, value in body.items() if name != named[0]}
    value = body[named[0]]
    if value is None:
        return rest, None
    names, spelt = _wanted_names(value)
    return rest, Replaced(names, spelt)


def split_operations(operations: Sequence[Operation]) -> tuple[list[Operation], list[Edit]]:
    """The operations upon the group itself, and those upon its members, each in their order. Raises ScimError."""
    rest: list[Operation] = []
    edits: list[Edit] = []
    for operation in operations:
        try:
            edit, left = _split(operation)
        except ScimError as error:
            detail = f"Operation {operation.index + 1} ({operation.verb.value}): {error.detail}"
            raise ScimError(error.http_status, detail, error.scim_type) from None
        if edit is not None:
            edits.append(edit)
        if left is not None:
            rest.append(left)
    return rest, edits


def _split(operation: Operation) -> tuple[Edit | None, Operation | None]:
    path, value = operation.path, operation.value
    if path is not None:
        return (_edit(operation, path), None) if _PATH.match(path) else (None, operation)
    if not is_object(value) or operation.verb is Verb.REMOVE:
        return None, operation
    others, members = split_members(value)
    if not any(name.lower() in _NAMES for name in value):
        return None, operation
    edit = None if members is None else Edit(operation.index, operation.verb, members.ids, spelt=members.spelt)
    return edit, replace(operation, value=others) if others else None


def _edit(operation: Operation, path: str) -> Edit | None:
    one = _ONE.fullmatch(path) if operation.verb is Verb.REMOVE else None
    if one is not None:
        return Edit(operation.index, operation.verb, frozenset({UUID(one[1])}))
    target = resolve(GROUPS, path)
    if not isinstance(target, Target):
        raise bad(ScimType.INVALID_PATH, f"The path {path[:100]!r} names no attribute of a group.")
    index, verb, value = operation.index, operation.verb, operation.value
    whole = target.sub is None or (target.sub.name == "value" and verb is Verb.REMOVE)
    if not whole or (target.chosen is not None and verb is not Verb.REMOVE):
        detail = f"A member is added or removed as a whole; {path[:100]!r} would change a part of one."
        raise bad(ScimType.MUTABILITY, detail)
    if target.chosen is not None:
        ids = _named_by(target.chosen)
        return Edit(index, verb, ids, None if ids is not None else target.chosen, len(path))
    if value is None:
        # Null says nothing of the members; only a `remove` means all of them without naming any.
        return Edit(index, verb, None) if verb is Verb.REMOVE else None
    names, spelt = _names_of(value) if verb is Verb.REMOVE else _wanted_names(value)
    return Edit(index, verb, names, spelt=spelt)


def _named_by(chosen: Typed) -> frozenset[MemberName] | None:
    """Whom a filter names by their values, or None if it says anything else."""
    nodes = chosen.node.nodes if isinstance(chosen.node, AnyOf) else (chosen.node,)
    names: set[MemberName] = set()
    for node in nodes:
        if not isinstance(node, Test) or node.negated or node.name != "value" or node.op is not Operator.EQ:
            return None
        names.add(member_name(str(node.value)))
    return frozenset(names)


# ------------------------------------------------------------------ whom a value names


_Named = tuple[frozenset[MemberName], dict[UUID, str]]


def _wanted_names(value: Any) -> _Named:
    """Whom a value names as members, and ids as they were sent in another form than ours. Raises ScimError for what
    nobody can be called.
    """
    names, spelt = _names_of(value)
    for name in names:
        if isinstance(name, str) and (len(name) > LONGEST_NAME or "\0" in name):
            detail = f'A "value" of "members" has at most {LONGEST_NAME} characters, none of which is NUL'
            raise invalid_value(f"{detail}: {name[:60]!a} is none. Nothing was changed.")
    return names, spelt


def _names_of(value: Any) -> _Named:
    found = {text: member_name(text) for text in _texts(value)}
    spelt = {name: text for text, name in found.items() if isinstance(name, UUID) and text != text.lower()}
    return frozenset(found.values()), spelt


def _texts(value: Any) -> list[str]:
    elements = value if is_list(value) else [value]
    return [_text(one) for one in elements if one is not None]


def _text(element: Any) -> str:
    if isinstance(element, str):
        return element
    if not is_object(element):
        raise invalid_value(f'"members" must be objects such as {{"value": ...}}, not {described(element)}.')
    parts = {name.lower(): inner for name, inner in element.items() if inner is not None}
    value, reference, kind = parts.get("value"), parts.get("$ref"), parts.get("type")
    for name, part in (("value", value), ("$ref", reference), ("type", kind)):
        if part is not None and not isinstance(part, str):
            raise invalid_value(f'"members.{name}" must be a string, not {described(part)}.')
    found: str = value or (reference or "").rstrip("/").rpartition("/")[2]
    if not found:
        raise invalid_value('A member needs a "value": the id of the user.')
    if (kind or "").lower() == "group" or "/groups/" in (reference or "").lower():
        raise no_nesting(found)
    return found


# ------------------------------------------------------------------ what comes of them together


@dataclass(slots=True)
class _Tally:
    """What the operations so far come to: a whole set, or what is added and taken away."""

    whole: set[MemberName] | None = None
    add: set[MemberName] = field(default_factory=set[MemberName])
    remove: set[MemberName] = field(default_factory=set[MemberName])

    def take(self, verb: Verb, ids: frozenset[MemberName] | None) -> None:
        match verb:
            case Verb.REPLACE:
                self.whole = set(ids or ())
            case Verb.ADD:
                self._grow(ids or frozenset())
            case Verb.REMOVE:
                self._shrink(ids)
            case _:
                assert_never(verb)

    def _grow(self, ids: frozenset[MemberName]) -> None:
        if self.whole is not None:
            self.whole |= ids
        self.add |= ids
        self.remove -= ids

    def _shrink(self, ids: frozenset[MemberName] | None) -> None:
        if ids is None:
            self.whole = set()
            return
        if self.whole is not None:
            self.whole -= ids
        self.add -= ids
        self.remove |= ids


async def memberships(edits: Sequence[Edit], elements: Elements, effort: Effort) -> Memberships | None:
    """What the operations make of the members, one after the other; None where they make nothing.

    elements: asked only for a filter that names nobody by their id, and once. effort: what such filters may cost.
    """
    tally = _Tally()
    there: dict[MemberName, Document] | None = None
    for edit in edits:
        ids = edit.ids
        if edit.chosen is not None:
            if there is None:
                there = {member_name(one["value"]): one for one in await elements()}
            if tally.whole is None:
                tally.whole = (set(there) | tally.add) - tally.remove
            effort.spend(edit.length * len(tally.whole))
            ids = frozenset(one for one in tally.whole if evaluate(edit.chosen, there.get(one, _unnamed(one))))
        tally.take(edit.verb, ids)
    spelt = {name: text for edit in edits for name, text in edit.spelt.items()}
    if tally.whole is not None:
        return Replaced(frozenset(tally.whole), spelt)
    return Delta(frozenset(tally.add), frozenset(tally.remove), spelt) if tally.add or tally.remove else None


def _unnamed(one: MemberName) -> Document:
    """A member whom the same request has just added, as far as a filter can tell."""
    return {"value": str(one), "type": "User"}
