"""Between SCIM's documents and `people`: what a document asserts, how it is stored, and how it is given back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

import msgspec

from stoa.identity.scim.errors import invalid_value
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, USER_SCHEMA, Document
from stoa.identity.scim.validation import is_list, is_object, is_urn
from stoa.kernel.cursors import mark_of
from stoa.kernel.filters.literals import parse_datetime
from stoa.kernel.fold import fold
from stoa.people.fields import BY_NAME
from stoa.people.model import Asserted, Record

# Beside the document in `raw`: folded copies of what filters may ask for and has no key column. Never given to a
# client.
FOLDED: Final = "~"
# Within the copies of extensions: what comes before the name of a text that is as the client spelt it.
EXACT: Final = "="
# And before that of one that is a date and time: the moment in microseconds since 1970.
MOMENT: Final = "@"
FOLDED_TEXTS: Final = (
    "name.formatted",
    "name.familyName",
    "name.givenName",
    "name.middleName",
    "nickName",
    "title",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
)
FOLDED_ENTERPRISE: Final = ("costCenter", "organization", "division", "department")
FOLDED_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "emails": ("value", "display", "type"),
    "phoneNumbers": ("value", "display", "type"),
    "addresses": ("formatted", "streetAddress", "locality", "region", "postalCode", "country", "type"),
    "roles": ("value", "display", "type"),
    "entitlements": ("value", "display", "type"),
}
# A B-tree entry must fit in a third of a page.
MAX_KEY_BYTES: Final = 2_000
MAX_DOCUMENT_BYTES: Final = 1_048_576
_LOOKED_UP: Final = {
    "user_name": "userName",
    "email": "emails.value",
    "display_name": "displayName",
    "employee_id": "employeeNumber",
    "manager_ref": "manager.value",
    "scim_external_id": "externalId",
}
_encode = msgspec.json.Encoder().encode


def asserted(document: Document, *, active: bool) -> Asserted:
    """What a user's document says of the person.

    active: what holds if the document does not say. Raises ScimError for a value that is too long to be looked up.
    """
    enterprise: Document = document.get(ENTERPRISE_SCHEMA, {})
    name: Document = document.get("name", {})
    manager: Document = enterprise.get("manager", {})
    values: dict[str, str | None] = {
        "user_name": _text(document.get("userName")),
        "email": _preferred(document.get("emails"), "work"),
        "display_name": _text(document.get("displayName")),
        "given_name": _text(name.get("givenName")),
        "family_name": _text(name.get("familyName")),
        "phone": _preferred(document.get("phoneNumbers"), "work", "mobile"),
        "title": _text(document.get("title")),
        "worker_type": _text(document.get("userType")),
        "locale": _text(document.get("preferredLanguage")) or _text(document.get("locale")),
        "time_zone": _text(document.get("timezone")),
        "location": _location(document.get("addresses")),
        "employee_id": _text(enterprise.get("employeeNumber")),
        "cost_center": _text(enterprise.get("costCenter")),
        "organization": _text(enterprise.get("organization")),
        "division": _text(enterprise.get("division")),
        "department": _text(enterprise.get("department")),
        "manager_ref": _text(manager.get("value")),
    }
    external_id = document.get("externalId") or None
    _check_sizes(document, {**values, "scim_external_id": external_id})
    said: object = document.get("active", active)
    return Asserted(
        values={field: value for field, value in values.items() if value is not None},
        active=said is True,
        scim_external_id=external_id,
        raw=stored(document),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _preferred(elements: object, *types: str) -> str | None:
    """The value of the primary element, else of the first of one of the types in their order, else of the first."""
    having: list[Document] = [one for one in _elements(elements) if _text(one.get("value")) is not None]
    return None if not having else _text(_best(having, types)["value"])


def _best(elements: list[Document], types: tuple[str, ...]) -> Document:
    def rank(element: Document) -> int:
        if element.get("primary") is True:
            return -1
        kind: object = element.get("type")
        lowered = kind.lower() if isinstance(kind, str) else ""
        return types.index(lowered) if lowered in types else len(types)

    return min(elements, key=rank)


def _elements(elements: object) -> list[Document]:
    return [one for one in elements if is_object(one)] if is_list(elements) else []


def _location(addresses: object) -> str | None:
    """Where the user works in one line: town, region and country, else the address as a whole."""
    having = _elements(addresses)
    if not having:
        return None
    best = _best(having, ("work",))
    parts = [part for part in (_text(best.get(key)) for key in ("locality", "region", "country")) if part is not None]
    line = ", ".join(parts) or " ".join((_text(best.get("formatted")) or "").split())
    return line[: BY_NAME["location"].max_length] or None


def _check_sizes(document: Document, values: Mapping[str, str | None]) -> None:
    for field, where in _LOOKED_UP.items():
        value = values.get(field)
        if value is not None and not (value.isascii() and len(value) <= MAX_KEY_BYTES):
            length = len(fold(value).encode())
            if length > MAX_KEY_BYTES:
                raise invalid_value(f'"{where}" takes {length} bytes; at most {MAX_KEY_BYTES} are kept.')
    size = encoded_size(document)
    if size > MAX_DOCUMENT_BYTES:
        raise invalid_value(f"The user takes {size} bytes; at most {MAX_DOCUMENT_BYTES} are kept.")


def encoded_size(document: Document) -> int:
    """How many bytes a document takes."""
    return len(_encode(document))


# ------------------------------------------------------------------ as it is stored


def stored(document: Document) -> Document:
    """The document with its folded copies, as `raw` holds it."""
    folded: Document = {}
    for path in FOLDED_TEXTS:
        _fold_into(folded, path, _at(document, path))
    enterprise = document.get(ENTERPRISE_SCHEMA)
    if is_object(enterprise):
        for name in FOLDED_ENTERPRISE:
            _fold_into(folded, name, enterprise.get(name))
    for name, subs in FOLDED_LISTS.items():
        elements = _elements(document.get(name))
        if elements:
            folded[name] = [_folded_element(one, subs) for one in elements]
    for name, value in document.items():
        if is_urn(name) and name != ENTERPRISE_SCHEMA and is_object(value):
            folded[name.lower()] = _copied(value)
    return {**document, FOLDED: folded} if folded else document


def _copied(value: Document) -> Document:
    """The copy of an extension, whether anybody has described it yet or not: names in lower case, texts folded and as
    they are. Elements of a list are objects: a plain one is the object of its `value`.
    """
    copy: Document = {}
    for name, inner in value.items():
        key = name.lower()
        if isinstance(inner, str):
            copy[key], copy[EXACT + key] = fold(inner), inner
            moment = parse_datetime(inner)
            if moment is not None:
                copy[MOMENT + key] = mark_of(moment)
        elif is_object(inner):
            copy[key] = _copied(inner)
        elif is_list(inner):
            copy[key] = [_copied(one if is_object(one) else {"value": one}) for one in inner]
        else:
            copy[key] = inner
    return copy


def _at(document: Document, path: str) -> object:
    name, _, sub = path.partition(".")
    value: object = document.get(name)
    return value.get(sub) if sub and is_object(value) else value


def _fold_into(folded: Document, path: str, value: object) -> None:
    if isinstance(value, str):
        folded[path] = fold(value)


def _folded_element(element: Document, subs: tuple[str, ...]) -> Document:
    folded: Document = {name: fold(value) for name in subs if isinstance(value := element.get(name), str)}
    if "primary" in element:
        folded["primary"] = element["primary"]
    return folded


def document_of(record: Record) -> Document:
    """What the client set, without what was stored beside it. What it said of `active` may have been put back since by
    an admin.
    """
    raw = cast("Mapping[str, Any]", record.raw or {})
    document = {name: value for name, value in raw.items() if name != FOLDED}
    return document | {"active": record.asserted_active} if "active" in document else document


# ------------------------------------------------------------------ as it is given back


def version_of(record: Record) -> str:
    """The weak entity tag of a resource (RFC 7644, 3.14)."""
    return f'W/"{record.version}"'


def rendered(record: Record, users_url: str) -> Document:
    """The resource as it is returned: what the client set, and id, schemas and meta.

    users_url: the absolute address of /Users in this tenant.
    """
    document = document_of(record)
    identity = str(record.resource_id)
    return {
        "schemas": [USER_SCHEMA, *(name for name in document if is_urn(name))],
        "id": identity,
        **document,
        "meta": {
            "resourceType": "User",
            "created": moment(record.created_at),
            "lastModified": moment(record.updated_at),
            "location": f"{users_url}/{identity}",
            "version": version_of(record),
        },
    }


def moment(at: datetime) -> str:
    """A time as SCIM writes it (RFC 7643, 2.3.5)."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
