"""What a write must leave as it is in a tenant's extensions, and what it must not leave out. Pure.

Only what a write touches is looked at: values that came before their schema was described stay as they are.
"""

from collections.abc import Iterator
from typing import Any

from stoa.identity.scim.errors import ScimType, bad, invalid_value
from stoa.identity.scim.model import Attribute, Document, Mutability, ResourceType, Schema
from stoa.identity.scim.validation import is_object, is_urn


def keep_immutable(kind: ResourceType, before: Document, after: Document) -> None:
    """Puts back what a PUT leaves out and may be set only once, and raises ScimError mutability if it says something
    else (RFC 7644, 3.5.1).
    """
    for schema, attribute, value in _set_once(kind, before):
        after.setdefault(schema.urn, {}).setdefault(attribute.name, value)
    require_kept(kind, before, after)


def require_kept(kind: ResourceType, before: Document, after: Document) -> None:
    """Raises ScimError mutability if something is changed or removed that is set only once."""
    for schema, attribute, value in _set_once(kind, before):
        if after.get(schema.urn, {}).get(attribute.name) != value:
            detail = f'"{schema.urn}:{attribute.name}" is immutable: it is set once, and has a value.'
            raise bad(ScimType.MUTABILITY, detail)


def _set_once(kind: ResourceType, document: Document) -> Iterator[tuple[Schema, Attribute, Any]]:
    """The values that stay, with where they stand."""
    for schema in kind.extensions.values():
        standing = document.get(schema.urn)
        if is_object(standing):
            for attribute in schema.attributes:
                if attribute.mutability is Mutability.IMMUTABLE and attribute.name in standing:
                    yield schema, attribute, standing[attribute.name]


def require_extensions(kind: ResourceType, before: Document, after: Document) -> None:
    """Raises ScimError if a write leaves out what an extension needs that it sends or changes."""
    for schema in kind.extensions.values():
        now = after.get(schema.urn)
        if not is_object(now) or now == before.get(schema.urn):
            continue
        for attribute in schema.attributes:
            if attribute.required and now.get(attribute.name) in (None, "", [], {}):
                raise invalid_value(f'"{schema.urn}:{attribute.name}" is required where the extension is used.')


def respelt(kind: ResourceType, document: Document) -> Document:
    """The document with its extensions under the names of the schemas that are known by now: what came before a schema
    was described stands as its client spelt it. Values stay as they are.
    """
    fixed: Document = {}
    for name, value in document.items():
        schema = kind.extensions.get(name.lower()) if is_urn(name) else None
        if schema is not None and is_object(value):
            value = {_spelling(schema, inner): one for inner, one in value.items()}
        fixed[name if schema is None else schema.urn] = value
    return fixed


def _spelling(schema: Schema, name: str) -> str:
    attribute = schema.by_name.get(name.lower())
    return name if attribute is None else attribute.name
