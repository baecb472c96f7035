"""The functional core: what PATCH and PUT make of a resource (RFC 7644, 3.5.1 and 3.5.2). No I/O, no clock, no client
quirks.

Where the RFC leaves it open:
- `replace` of a complex attribute puts the sub-attributes that are given and leaves the rest, but a reference that is
  given a new `value` loses the `$ref` and names that belonged to the old one;
- `remove` of what is not there succeeds, so that a repeated request is harmless;
- an element that loses its `value`, and has nothing but labels left, is gone.
"""

from collections.abc import Callable, Sequence
from typing import Any, assert_never

from stoa.identity.scim.errors import ScimError, ScimType, bad, invalid_value
from stoa.identity.scim.model import Attribute, Document, Kind, Mutability, Operation, ResourceType, Verb
from stoa.identity.scim.own.keeping import keep_immutable, require_extensions, require_kept
from stoa.identity.scim.paths import Extension, OpaqueAttribute, Target, resolve, seeded
from stoa.identity.scim.schemas import attribute_of
from stoa.identity.scim.validation import (
    MAX_ELEMENTS,
    clean_complex,
    clean_document,
    clean_elements,
    clean_extension,
    clean_opaque,
    clean_value,
    described,
    is_list,
    is_object,
    is_primary,
    is_urn,
    require_whole,
    unknown_attribute,
)
from stoa.kernel.filters import evaluate

_LABELS = frozenset({"type", "primary", "display"})
_OF_VALUE = ("$ref", "display", "displayName")


def created(kind: ResourceType, body: object) -> Document:
    """The resource that a POST makes: what it says, and `active` where it does not. Raises ScimError."""
    document = clean_document(kind, body)
    if "active" in kind.schema.by_name:
        document.setdefault("active", True)
    require_extensions(kind, {}, document)
    return document


def replaced(kind: ResourceType, document: Document, body: object) -> Document:
    """The resource after a PUT: what the client says, and nothing else.

    Only `active` stays as it was when the client leaves it out: nobody loses or regains access by an omission. Raises
    ScimError.
    """
    fresh = clean_document(kind, body)
    if "active" in document:
        fresh.setdefault("active", document["active"])
    keep_immutable(kind, document, fresh)
    require_extensions(kind, document, fresh)
    return fresh


def patched(kind: ResourceType, document: Document, operations: Sequence[Operation]) -> Document:
    """The resource after all operations in order, or none: raises ScimError for the first that cannot be done.
    `document` stays as it was.
    """
    after: Document = copied(document)
    for operation in operations:
        try:
            _apply(kind, after, operation)
        except ScimError as error:
            detail = f"Operation {operation.index + 1} ({operation.verb.value}): {error.detail}"
            raise ScimError(error.http_status, detail, error.scim_type) from None
    require_whole(kind, after)
    require_kept(kind, document, after)
    require_extensions(kind, document, after)
    return after


def copied(value: Any) -> Any:
    """A deep copy of a JSON value."""
    if is_object(value):
        return {name: copied(inner) for name, inner in value.items()}
    return [copied(inner) for inner in value] if is_list(value) else value


def _apply(kind: ResourceType, document: Document, operation: Operation) -> None:
    if operation.path is None:
        _apply_whole(kind, document, operation)
        return
    target = resolve(kind, operation.path)
    match target:
        case Extension():
            _apply_extension(document, target, operation)
        case OpaqueAttribute(urn, name):
            _apply_opaque(document, urn, name, operation)
        case Target():
            _apply_target(document, target, operation)
        case _:
            assert_never(target)


def _apply_whole(kind: ResourceType, document: Document, operation: Operation) -> None:
    """An operation without a path: its value holds attributes of the resource."""
    if operation.verb is Verb.REMOVE:
        raise bad(ScimType.NO_TARGET, "It needs a path that says what to remove.")
    if not is_object(operation.value):
        raise invalid_value(
            f"Without a path the value must be an object of attributes, not {described(operation.value)}."
        )
    for name, value in operation.value.items():
        if is_urn(name):
            extension = kind.extensions.get(name.lower())
            where = Extension(name if extension is None else extension.urn, extension)
            _apply_extension(document, where, Operation(operation.index, operation.verb, name, value))
            continue
        attribute = attribute_of(kind, name)
        if attribute is None:
            raise unknown_attribute(name, kind.schema.name)
        one = Operation(operation.index, operation.verb, attribute.name, value)
        _apply_target(document, Target(attribute.name, None, attribute), one)


def _apply_extension(document: Document, extension: Extension, operation: Operation) -> None:
    urn = extension.urn
    if operation.verb is Verb.REMOVE or operation.value is None:
        document.pop(urn, None)
        return
    if not is_object(operation.value):
        raise invalid_value(f'"{urn}" must be an object, not {described(operation.value)}.')
    if extension.schema is None:
        cleaned = clean_extension(None, urn, operation.value)
        if cleaned is not None:
            # In place, for it is a copy already and may be large.
            document.setdefault(urn, {}).update(cleaned)
        return
    for name, value in operation.value.items():
        attribute = extension.schema.by_name.get(name.lower())
        if attribute is None:
            raise unknown_attribute(name, urn)
        one = Operation(operation.index, operation.verb, attribute.name, value)
        _apply_target(document, Target(attribute.name, urn, attribute), one)


def _apply_opaque(document: Document, urn: str, name: str, operation: Operation) -> None:
    held: Document = document.get(urn, {})
    held.pop(name, None)
    value = None if operation.verb is Verb.REMOVE else clean_opaque(operation.value, f"{urn}:{name}")
    if value is not None:
        held[name] = value
    _set(document, urn, held or None)


def _apply_target(document: Document, target: Target, operation: Operation) -> None:
    attribute = target.attribute
    changed = target.sub or attribute
    if Mutability.READ_ONLY in {attribute.mutability, changed.mutability}:
        raise bad(ScimType.MUTABILITY, f'"{target.path}" is read-only.')
    verb, value = operation.verb, operation.value
    if verb is not Verb.REMOVE and value is None:
        # RFC 7643, 2.5: null and unassigned are the same.
        verb = Verb.REMOVE
    if verb is Verb.REMOVE and changed.required:
        raise bad(ScimType.MUTABILITY, f'"{target.path}" is required and cannot be removed.')
    holder: Document = document if target.urn is None else dict(document.get(target.urn, {}))
    if attribute.multi_valued:
        _apply_elements(holder, target, verb, value, creates=operation.creates)
    else:
        _apply_single(holder, target, verb, value)
    if target.urn is not None:
        _set(document, target.urn, holder or None)


def _set(holder: Document, name: str, value: Any) -> None:
    if value is None or value == []:
        holder.pop(name, None)
    else:
        holder[name] = value


def _apply_single(holder: Document, target: Target, verb: Verb, value: Any) -> None:
    attribute = target.attribute
    if target.sub is not None:
        inner: Document = dict(holder.get(attribute.name, {}))
        _put_sub(attribute, inner, target.sub, None if verb is Verb.REMOVE else value)
        _set(holder, attribute.name, inner or None)
    elif verb is Verb.REMOVE:
        holder.pop(attribute.name, None)
    elif attribute.kind is Kind.COMPLEX:
        given = _explicit(attribute, value, attribute.name)
        merged = _merged(attribute, holder.get(attribute.name, {}), given)
        _set(holder, attribute.name, merged or None)
    else:
        _set(holder, attribute.name, clean_value(attribute, value, attribute.name))


def _explicit(attribute: Attribute, value: Any, where: str) -> Document:
    """The sub-attributes that a complex value sets, with None for those that it takes away by null."""
    cleaned = clean_complex(attribute, value, where) or {}
    gone = {
        attribute.by_name[name.lower()].name
        for name, inner in value.items()
        if inner is None and name.lower() in attribute.by_name
    }
    return cleaned | dict.fromkeys(gone)


def _merged(attribute: Attribute, standing: Document, given: Document) -> Document:
    merged = dict(standing)
    if "$ref" in attribute.by_name and "value" in given and given["value"] != standing.get("value"):
        for name in _OF_VALUE:
            merged.pop(name, None)
    merged.update(given)
    return {name: value for name, value in merged.items() if value is not None}


def _put_sub(attribute: Attribute, holder: Document, sub: Attribute, value: Any) -> None:
    cleaned = clean_value(sub, value, f"{attribute.name}.{sub.name}")
    merged = _merged(attribute, holder, {sub.name: cleaned})
    holder.clear()
    holder.update(merged)


# ------------------------------------------------------------------ multi-valued attributes


def _apply_elements(holder: Document, target: Target, verb: Verb, value: Any, *, creates: bool) -> None:
    attribute = target.attribute
    standing: list[Any] = list(holder.get(attribute.name, []))
    if target.chosen is not None or target.sub is not None:
        after, touched = _changed_elements(standing, target, verb, value, creates=creates)
    elif verb is Verb.REMOVE:
        after, touched = [], []
    else:
        touched = clean_elements(attribute, value if is_list(value) else [value], attribute.name)
        after = touched if verb is Verb.REPLACE else [*standing, *(one for one in touched if one not in standing)]
    if len(after) > MAX_ELEMENTS:
        raise invalid_value(f'"{attribute.name}" would have {len(after)} values; at most {MAX_ELEMENTS} are kept.')
    _set(holder, attribute.name, _one_primary(after, touched))


def _changed_elements(
    standing: list[Any], target: Target, verb: Verb, value: Any, *, creates: bool
) -> tuple[list[Any], list[Any]]:
    """The elements after the operation, and those of them that it touched."""
    chosen = _chooser(target)
    if verb is Verb.REMOVE:
        return _without(standing, target, chosen), []
    change = _changer(target, verb, value)
    after: list[Any] = []
    touched: list[Any] = []
    for element in standing:
        if not chosen(element):
            after.append(element)
            continue
        new = change(element)
        if new:
            after.append(new)
            touched.append(new)
    if not any(chosen(element) for element in standing):
        seed = _new_element(target, creates=creates)
        made = change(seed)
        if made:
            after.append(made)
            touched.append(made)
    return after, touched


def _chooser(target: Target) -> Callable[[Any], bool]:
    chosen = target.chosen
    return (lambda _: True) if chosen is None else lambda element: evaluate(chosen, element)


def _changer(target: Target, verb: Verb, value: Any) -> Callable[[Document], Document]:
    """What the operation does to one chosen element."""
    attribute, sub = target.attribute, target.sub
    if sub is not None:
        cleaned = clean_value(sub, value, target.path)
        return lambda element: _merged(attribute, element, {sub.name: cleaned})
    single = value[0] if is_list(value) and len(value) == 1 else value
    given = clean_complex(attribute, single, target.path) or {}
    if verb is Verb.ADD:
        return lambda element: _merged(attribute, element, given)
    # What made the element the chosen one stays, unless the new value says otherwise.
    return lambda _: {**(seeded(target) or {}), **given}


def _new_element(target: Target, *, creates: bool) -> Document:
    """What an operation begins with when no element was chosen."""
    if target.chosen is None:
        return {}
    seed = seeded(target)
    if not creates or seed is None:
        raise bad(ScimType.NO_TARGET, f'No value of "{target.attribute.name}" fulfils the path {target.path!r}.')
    return seed


def _without(standing: list[Any], target: Target, chosen: Callable[[Any], bool]) -> list[Any]:
    sub = target.sub
    if sub is None:
        return [element for element in standing if not chosen(element)]
    after: list[Any] = []
    for element in standing:
        if not chosen(element) or sub.name not in element:
            after.append(element)
            continue
        left = {name: value for name, value in element.items() if name != sub.name}
        if left and (sub.name in _LABELS or not left.keys() <= _LABELS):
            after.append(left)
    return after


def _one_primary(elements: list[Any], touched: list[Any]) -> list[Any]:
    """RFC 7644, 3.5.2: when a value becomes the primary one, the one that was it no longer is."""
    if sum(is_primary(element) for element in elements) <= 1:
        return elements
    kept = next((one for one in reversed(touched) if is_primary(one)), None)
    if sum(is_primary(element) for element in touched) > 1:
        raise invalid_value("Only one value can be primary.")
    return [{**one, "primary": False} if is_primary(one) and one is not kept else one for one in elements]
