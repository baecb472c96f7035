"""OneLogin's ways (developers.onelogin.com, "Implement RESTful SCIM APIs for your app").

What is sent is a JSON template that the administrator fills with macros, so values come as text:
`"active": "{$user.active}"` gives "true" or "True", which `entra` reads. Beside that:

- The manager under SCIM 1.1's name, `manager.managerId`: templates for "SCIM Provisioner with SAML (SCIM V2
  Enterprise)" have it so (doc.keepnetlabs.com, "OneLogin SCIM integration").
- One object where a list belongs: `"emails": {"value": "...", "primary": true}` (noted by django-scim2's adapter for
  users, which meets it).

The pre-check is `userName eq "..."`; the connection test asks for a user who does not exist. Users are updated by PUT
and removed by DELETE, groups are changed by PATCH (github.com/onelogin/onelogin-scim-php). The older connector "Core
Schema v1.1" speaks SCIM 1.1 and is not for us.
"""

from typing import Any, Final

from stoa.identity.scim.dialects.clients import KnownClient
from stoa.identity.scim.model import Attribute, Kind, ResourceType
from stoa.identity.scim.schemas import attribute_of
from stoa.identity.scim.validation import is_object, is_urn

CLIENT: Final = KnownClient(
    "OneLogin",
    (
        "https://developers.onelogin.com/scim/implement-scim-api",
        "https://github.com/onelogin/onelogin-scim-php",
    ),
    quirks=True,
)
_OLD_VALUE: Final = "managerid"


def normalised_resource(kind: ResourceType, body: dict[str, Any]) -> dict[str, Any]:
    """The body with lists where lists belong, and references by their name in SCIM 2.0."""
    fixed: dict[str, Any] = {}
    for name, value in body.items():
        if not is_urn(name):
            fixed[name] = _listed(attribute_of(kind, name), value)
            continue
        extension = kind.extensions.get(name.lower())
        if extension is not None and is_object(value):
            value = {key: _referring(extension.by_name.get(key.lower()), inner) for key, inner in value.items()}
        fixed[name] = value
    return fixed


def _listed(attribute: Attribute | None, value: Any) -> Any:
    lone = attribute is not None and attribute.multi_valued and attribute.kind is Kind.COMPLEX and is_object(value)
    return [value] if lone else value


def _referring(attribute: Attribute | None, value: Any) -> Any:
    """A reference with `value` for `managerId`, unless it has a value of its own."""
    if attribute is None or "$ref" not in attribute.by_name or not is_object(value):
        return value
    old = next((name for name in value if name.lower() == _OLD_VALUE), None)
    if old is None:
        return value
    rest = {name: inner for name, inner in value.items() if name != old}
    return rest if any(name.lower() == "value" for name in rest) else {**rest, "value": value[old]}
