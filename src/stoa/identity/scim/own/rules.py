"""What a tenant's own extension may be, and what it may become. Pure."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, get_args

import msgspec

from stoa.identity.scim.model import ENTERPRISE_SCHEMA
from stoa.identity.scim.own.model import OwnAttribute, OwnMutability, OwnSchema, OwnType
from stoa.kernel.problems import BadInput, Conflict

LONGEST_URN: Final = 200
LONGEST_NAME: Final = 100
LONGEST_DESCRIPTION: Final = 1_000
MOST_SCHEMAS: Final = 10
MOST_ATTRIBUTES: Final = 50
MOST_CANONICAL: Final = 100
_URN: Final = re.compile(r"urn:[a-z0-9][a-z0-9-]{1,31}:[A-Za-z0-9._:-]*[A-Za-z0-9_-]", re.IGNORECASE)
_LAST: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_TAKEN: Final = frozenset({"schemas", "id", "meta", "externalid"})
_CORE: Final = "urn:ietf:params:scim:schemas:core:"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class SchemaClash(Conflict):
    """The tenant's schemas do not allow it: the URN or the name is taken, or what exists would mean something else.

    Choose another name, or describe a further attribute beside the one that is there.
    """

    code = "schema_clash"


def checked_urn(urn: str, others: Iterable[str]) -> str:
    """The URN of a new extension. others: those of the tenant's other ones, retired ones too. Raises BadInput,
    SchemaClash.
    """
    urn = urn.strip()
    if len(urn) > LONGEST_URN or _URN.fullmatch(urn) is None or _LAST.fullmatch(urn.rpartition(":")[2]) is None:
        raise BadInput(
            "This is no URN of a schema.",
            hint="Write it as the identity provider sends it, such as urn:acme:params:scim:schemas:1.0:User.",
        )
    key = urn.lower()
    if key.startswith(_CORE) or key == ENTERPRISE_SCHEMA.lower():
        raise SchemaClash("This schema is Stoa's own already.", hint="Choose a URN of your organisation.")
    for other in (ENTERPRISE_SCHEMA, *others):
        if key == other.lower():
            raise SchemaClash("There is a schema with this URN already.", hint="Open it, and add attributes to it.")
        if f"{key}:".startswith(f"{other.lower()}:") or f"{other.lower()}:".startswith(f"{key}:"):
            raise SchemaClash(
                f"The URN would be read as an attribute of {other}, or the other way round.",
                hint="Choose one that neither begins with the other.",
            )
    return urn


def checked_texts(name: str, description: str) -> tuple[str, str]:
    """Name and description of a schema. Raises BadInput."""
    name, description = name.strip(), description.strip()
    if not name:
        raise BadInput("A schema needs a name.", hint="Such as Acme user.")
    for text, most in ((name, LONGEST_NAME), (description, LONGEST_DESCRIPTION)):
        _plain(text, most)
    return name, description


def _plain(text: str, most: int) -> None:
    if len(text) > most:
        raise BadInput(f"The text has {len(text)} characters; at most {most} are kept.")
    if _CONTROL.search(text):
        raise BadInput("The text contains a control character.", hint="Remove line breaks and the like.")


def checked_attribute(attribute: OwnAttribute) -> OwnAttribute:
    """An attribute as it can be offered. Raises BadInput."""
    if _NAME.fullmatch(attribute.name) is None or attribute.name.lower() in _TAKEN:
        raise BadInput(
            f"{attribute.name[:40]!r} is no name of an attribute.",
            hint="A name begins with a letter, and has letters, digits, - and _, at most 64.",
        )
    if attribute.type not in get_args(OwnType) or attribute.mutability not in get_args(OwnMutability):
        raise BadInput("There is no such type or mutability.", hint="Choose one of the list.")
    _plain(attribute.description, LONGEST_DESCRIPTION)
    if attribute.canonical and attribute.type != "string":
        raise BadInput("Only texts have suggested values.", hint="Choose the type string, or leave them out.")
    if len(attribute.canonical) > MOST_CANONICAL:
        raise BadInput(f"An attribute has at most {MOST_CANONICAL} suggested values.")
    for value in attribute.canonical:
        _plain(value, LONGEST_NAME)
    if (attribute.type == "complex") != bool(attribute.sub_attributes):
        raise BadInput(
            "A complex attribute consists of others, and no other does.",
            hint="Name its parts one to a line, such as code or level:integer.",
        )
    subs = tuple(_checked_sub(sub) for sub in attribute.sub_attributes)
    if len({sub.name.lower() for sub in subs}) != len(subs) or len(subs) > MOST_ATTRIBUTES:
        raise BadInput(f"Two parts have one name, or there are more than {MOST_ATTRIBUTES}.")
    return msgspec.structs.replace(attribute, sub_attributes=subs)


def _checked_sub(sub: OwnAttribute) -> OwnAttribute:
    if sub.type == "complex" or sub.multi_valued:
        raise BadInput(f"The part {sub.name[:40]!r} must be a single value that is not complex.")
    if sub.mutability != "readWrite":
        raise BadInput("The parts of an attribute are written as the whole is.")
    return checked_attribute(sub)


def with_attribute(schema: OwnSchema, attribute: OwnAttribute) -> OwnSchema:
    """The schema with one attribute more, which nobody needs to send. Raises BadInput, SchemaClash."""
    attribute = checked_attribute(attribute)
    if any(one.name.lower() == attribute.name.lower() for one in schema.attributes):
        raise SchemaClash(f"The schema has an attribute {attribute.name!r} already.", hint="Change that one.")
    if len(schema.attributes) >= MOST_ATTRIBUTES:
        raise SchemaClash(f"A schema has at most {MOST_ATTRIBUTES} attributes.")
    return replace(schema, attributes=(*schema.attributes, attribute))


def with_changed(schema: OwnSchema, attribute: OwnAttribute) -> OwnSchema:
    """The schema with an attribute changed so that whatever was accepted stays accepted: another description, more
    suggested values, more parts, and no longer required. Raises BadInput, SchemaClash.
    """
    attribute = checked_attribute(attribute)
    standing = next((one for one in schema.attributes if one.name.lower() == attribute.name.lower()), None)
    if standing is None:
        raise BadInput("The schema has no such attribute.", hint="Add it as a new one.")
    changed = msgspec.structs.replace(
        standing,
        description=attribute.description,
        required=standing.required and attribute.required,
        canonical=tuple(dict.fromkeys((*standing.canonical, *attribute.canonical))),
        sub_attributes=(*standing.sub_attributes, *_more(standing, attribute)),
    )
    rest = tuple(changed if one is standing else one for one in schema.attributes)
    checked_attribute(changed)
    return replace(schema, attributes=rest)


def _more(standing: OwnAttribute, given: OwnAttribute) -> list[OwnAttribute]:
    known = {sub.name.lower(): sub for sub in standing.sub_attributes}
    for sub in given.sub_attributes:
        same = known.get(sub.name.lower())
        if same is not None and same.type != sub.type:
            raise SchemaClash(f"{same.name!r} is of the type {same.type}, and stays so: values of it are stored.")
    return [sub for sub in given.sub_attributes if sub.name.lower() not in known]


def described(attribute: OwnAttribute) -> dict[str, Any]:
    """An attribute as events and the API tell of it."""
    return msgspec.to_builtins(attribute)
