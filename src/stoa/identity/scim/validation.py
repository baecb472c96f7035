"""Values against the schema: types, lengths, characters, unknown names. Pure.

What passes is as the client sent it, but for three things: names are spelt as the schema spells them (RFC 7643, 2.1:
they are case-insensitive), nulls and empty lists are gone (2.5: they mean unassigned), and what is read-only or never
kept is left out.
"""

import binascii
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, TypeGuard, assert_never

from stoa.identity.scim.errors import ScimError, invalid_syntax, invalid_value
from stoa.identity.scim.model import Attribute, Document, Kind, Mutability, ResourceType, Schema
from stoa.identity.scim.schemas import attribute_of
from stoa.kernel.filters.literals import parse_datetime

MAX_ELEMENTS: Final = 500
MAX_DEPTH: Final = 20
MAX_TEXT: Final = 20_000
MAX_EXTENSIONS: Final = 20
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_INTEGER = 2**63
_CORE: Final = "urn:ietf:params:scim:schemas:core:"


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a decoded JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a decoded JSON value is an array."""
    return isinstance(value, list)


def is_urn(name: str) -> bool:
    """Whether a member of a resource is the object of a schema extension."""
    return name[:4].lower() == "urn:"


def clean_document(kind: ResourceType, body: object) -> Document:
    """A whole resource, as POST and PUT carry it.

    Unknown attributes are refused by name. Objects of schemas that are not known (identity providers let admins add
    such) are kept and given back, and have no effect. Raises ScimError.
    """
    if not is_object(body):
        raise invalid_syntax(f"The body must be a JSON object with a {kind.name}, not {described(body)}.")
    _check_schemas(body)
    document: Document = {}
    for name, value in body.items():
        if value is None:
            continue
        if is_urn(name):
            _clean_extension(kind, document, name, value)
            continue
        attribute = attribute_of(kind, name)
        if attribute is None:
            raise unknown_attribute(name, kind.schema.name)
        _put_once(document, attribute, clean_value(attribute, value, attribute.name))
    require_whole(kind, document)
    return document


def _check_schemas(body: Mapping[str, Any]) -> None:
    schemas = next((value for name, value in body.items() if name.lower() == "schemas"), None)
    if schemas is not None and not (is_list(schemas) and all(isinstance(urn, str) for urn in schemas)):
        raise invalid_syntax('"schemas" must be a list of schema URNs.')


def _put_once(target: Document, attribute: Attribute, value: Any) -> None:
    if value is None:
        return
    if attribute.name in target:
        raise invalid_syntax(f'"{attribute.name}" is given twice, in different spellings.')
    target[attribute.name] = value


def _clean_extension(kind: ResourceType, document: Document, urn: str, value: object) -> None:
    schema = kind.extensions.get(urn.lower())
    name = urn if schema is None else schema.urn
    cleaned = clean_extension(schema, urn, value)
    if cleaned is None:
        return
    if name in document:
        raise invalid_syntax(f'"{name}" is given twice, in different spellings.')
    document[name] = cleaned


def clean_extension(schema: Schema | None, urn: str, value: object) -> Document | None:
    """The object of an extension; None when nothing in it is assigned. Without a schema it is only made sure that it
    can be stored.
    """
    if schema is None:
        require_extension(urn)
        check_text(urn, urn[:60], 500)
        opaque = _opaque(value, urn, 0)
        return opaque or None
    if not is_object(value):
        raise invalid_value(f'"{schema.urn}" must be an object, not {described(value)}.')
    cleaned: Document = {}
    for name, inner in value.items():
        if inner is None:
            continue
        attribute = schema.by_name.get(name.lower())
        if attribute is None:
            raise unknown_attribute(name, schema.urn)
        _put_once(cleaned, attribute, clean_value(attribute, inner, attribute.name))
    return cleaned or None


def require_extension(urn: str) -> None:
    """Raises ScimError for the core schema's own URN: its attributes stand at the top of a resource."""
    if urn.lower().startswith(_CORE):
        raise invalid_syntax(
            f'The attributes of "{urn[:100]}" stand at the top of the resource, not under their schema.'
        )


def clean_value(attribute: Attribute, value: object, where: str) -> Any:
    """One attribute's value, None if that leaves nothing assigned. Read-only ones give None; write-only ones are
    checked, and give None too.
    """
    if attribute.mutability is Mutability.READ_ONLY or value is None:
        return None
    if not attribute.multi_valued:
        cleaned = _clean_single(attribute, value, where)
        return None if attribute.mutability is Mutability.WRITE_ONLY else cleaned
    if not is_list(value):
        raise invalid_value(f'"{where}" has many values and must be a list, not {described(value)}.')
    return clean_elements(attribute, value, where) or None


def clean_elements(attribute: Attribute, values: list[Any], where: str) -> list[Any]:
    """The elements of a multi-valued attribute. At most one may be primary (RFC 7643, 2.4)."""
    if len(values) > MAX_ELEMENTS:
        raise invalid_value(f'"{where}" has {len(values)} values; at most {MAX_ELEMENTS} are kept.')
    cleaned = [_clean_single(attribute, value, f"{where}[{i}]") for i, value in enumerate(values) if value is not None]
    elements = [element for element in cleaned if element is not None]
    if sum(is_primary(element) for element in elements) > 1:
        raise invalid_value(f'Only one value of "{where}" can be primary.')
    return elements


def is_primary(element: object) -> bool:
    """Whether this is an element that is marked as the preferred one."""
    return is_object(element) and element.get("primary") is True


def _clean_single(attribute: Attribute, value: object, where: str) -> Any:
    match attribute.kind:
        case Kind.COMPLEX:
            return clean_complex(attribute, value, where)
        case Kind.BOOLEAN:
            if not isinstance(value, bool):
                raise invalid_value(f'"{where}" must be true or false, not {described(value)}.')
        case Kind.BINARY:
            _check_base64(_text(value, where, attribute.max_length), where)
        case Kind.INTEGER | Kind.DECIMAL:
            _check_number(attribute.kind, value, where)
        case Kind.DATETIME:
            _check_moment(_text(value, where, attribute.max_length), where)
        case Kind.STRING | Kind.REFERENCE:
            _text(value, where, attribute.max_length)
        case _:
            assert_never(attribute.kind)
    return value


def clean_complex(attribute: Attribute, value: object, where: str) -> Document | None:
    """The object of a complex attribute or of one of its elements; None when nothing in it is assigned."""
    if not is_object(value):
        example = attribute.sub_attributes[0].name if attribute.sub_attributes else "value"
        raise invalid_value(f'"{where}" must be an object such as {{"{example}": ...}}, not {described(value)}.')
    cleaned: Document = {}
    for name, inner in value.items():
        if inner is None:
            continue
        sub = attribute.by_name.get(name.lower())
        if sub is None:
            raise unknown_attribute(name, where)
        _put_once(cleaned, sub, clean_value(sub, inner, f"{where}.{sub.name}"))
    return cleaned or None


def _text(value: object, where: str, most: int) -> str:
    if not isinstance(value, str):
        raise invalid_value(f'"{where}" must be a string, not {described(value)}.')
    check_text(value, where, most)
    return value


def check_text(text: str, where: str, most: int) -> None:
    """Raises ScimError for what could not be stored: too long, control characters, half of a surrogate pair."""
    if len(text) > most:
        raise invalid_value(f'"{where}" has {len(text)} characters; at most {most} are kept.')
    if text.isprintable():
        return
    found = _UNSTORABLE.search(text)
    if found is not None:
        raise invalid_value(
            f'"{where}" contains the control character U+{ord(found[0]):04X} at position {found.start()}.'
        )


def _check_base64(text: str, where: str) -> None:
    try:
        binascii.a2b_base64(text)
    except (binascii.Error, ValueError):
        raise invalid_value(f'"{where}" is not base 64.') from None


def _check_number(kind: Kind, value: object, where: str) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (kind is Kind.INTEGER and isinstance(value, float))
    ):
        wanted = "a whole number" if kind is Kind.INTEGER else "a number"
        raise invalid_value(f'"{where}" must be {wanted}, not {described(value)}.')
    # In this order: a whole number may be too long to be asked whether it is finite.
    if abs(value) >= _INTEGER or not isfinite(value):
        raise invalid_value(f'"{where}" holds a number beyond 64 bits.')


def _check_moment(text: str, where: str) -> None:
    # xsd:dateTime (RFC 7643, 2.3.5), with the zone, without which nobody knows when it is.
    if parse_datetime(text) is None:
        raise invalid_value(f'"{where}" must be a date and time such as 2026-03-01T09:00:00Z, with its zone.')


def _opaque(value: object, where: str, depth: int) -> Any:
    """A value of an unknown schema without its nulls. Raises ScimError for what could not be stored."""
    if depth > MAX_DEPTH:
        raise invalid_value(f'"{where}" nests deeper than {MAX_DEPTH} levels.')
    if is_object(value):
        for name in value:
            check_text(name, where, 200)
        return {name: _opaque(inner, where, depth + 1) for name, inner in value.items() if inner is not None}
    if is_list(value):
        return [_opaque(inner, where, depth + 1) for inner in value if inner is not None]
    if isinstance(value, str):
        check_text(value, where, MAX_TEXT)
    elif isinstance(value, float) and not isfinite(value):
        raise invalid_value(f'"{where}" holds a number that JSON does not have.')
    elif isinstance(value, int) and not -_INTEGER <= value < _INTEGER:
        raise invalid_value(f'"{where}" holds a number beyond 64 bits.')
    return value


def clean_opaque(value: object, where: str) -> Any:
    """An attribute of a schema that is not known, as it can be stored."""
    return _opaque(value, where, 0)


def require_whole(kind: ResourceType, document: Document) -> None:
    """Raises ScimError unless every required attribute has a value that names something, and unknown extensions are
    few.
    """
    for attribute in kind.schema.attributes:
        if attribute.required:
            value: object = document.get(attribute.name)
            if not isinstance(value, str) or not value.strip():
                raise invalid_value(f'"{attribute.name}" is required and must not be empty.')
    if sum(is_urn(name) for name in document) > MAX_EXTENSIONS:
        raise invalid_value(f"At most {MAX_EXTENSIONS} schema extensions are kept.")


def unknown_attribute(name: str, where: str) -> ScimError:
    """The refusal of a name that the schema does not have."""
    shown = name if len(name) <= 60 else name[:57] + "..."
    return invalid_syntax(f"Unknown attribute {ascii(shown)[1:-1]!r} in {where}. Remove it from the attribute mapping.")


def described(value: object) -> str:
    """What a JSON value is, in words, without its content."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"
