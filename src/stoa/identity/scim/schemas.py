"""The schemas that are truly supported: the core User and Group, and the enterprise extension (RFC 7643, sections 4.1
to 4.3), and what every resource has.

Validation, PATCH paths, projection and /Schemas all read these tables, so that discovery cannot say anything else
than what is done.
"""

from typing import Final

from stoa.identity.scim.model import (
    ENTERPRISE_SCHEMA,
    GROUP_SCHEMA,
    USER_SCHEMA,
    Attribute,
    Kind,
    Mutability,
    ResourceType,
    Schema,
)

_PLACES = ("work", "home", "other")
_LONG = 20_000


def _text(name: str, description: str, max_length: int = 1000) -> Attribute:
    return Attribute(name, description, max_length=max_length)


_LABEL = _text("display", "A name to show for this value.")
_PRIMARY = Attribute("primary", "Whether this is the preferred value. At most one is.", Kind.BOOLEAN)


def _plural(name: str, description: str, value: Attribute, types: tuple[str, ...] = ()) -> Attribute:
    """A multi-valued attribute with the default sub-attributes (RFC 7643, 2.4)."""
    kind = Attribute("type", "What the value is for.", canonical=types, max_length=200)
    return Attribute(name, description, Kind.COMPLEX, multi_valued=True, sub_attributes=(value, _LABEL, kind, _PRIMARY))


_NAME = Attribute(
    "name",
    "The parts of the user's name.",
    Kind.COMPLEX,
    sub_attributes=(
        _text("formatted", "The full name for display."),
        _text("familyName", "The family name."),
        _text("givenName", "The given name."),
        _text("middleName", "Middle names."),
        _text("honorificPrefix", "What stands before the name."),
        _text("honorificSuffix", "What stands after the name."),
    ),
)
_ADDRESSES = Attribute(
    "addresses",
    "Postal addresses.",
    Kind.COMPLEX,
    multi_valued=True,
    sub_attributes=(
        _text("formatted", "The whole address for display or a label.", 4000),
        _text("streetAddress", "Street, number, and further lines.", 4000),
        _text("locality", "City or locality."),
        _text("region", "State or region."),
        _text("postalCode", "Postal code.", 200),
        _text("country", "Country.", 200),
        Attribute("type", "What the address is for.", canonical=_PLACES, max_length=200),
        _PRIMARY,
    ),
)
_GROUPS = Attribute(
    "groups",
    "The groups of which the user is a member. Set by changing the group.",
    Kind.COMPLEX,
    multi_valued=True,
    mutability=Mutability.READ_ONLY,
    sub_attributes=tuple(
        Attribute(
            name,
            description,
            kind,
            mutability=Mutability.READ_ONLY,
            case_exact=kind is Kind.REFERENCE,
            references=references,
        )
        for name, description, kind, references in (
            ("value", "The group's id.", Kind.STRING, ()),
            ("$ref", "The group's address.", Kind.REFERENCE, ("Group",)),
            ("display", "The group's name.", Kind.STRING, ()),
            ("type", "Direct or indirect.", Kind.STRING, ()),
        )
    ),
)

USER: Final = Schema(
    USER_SCHEMA,
    "User",
    "A person's account.",
    (
        Attribute(
            "userName", "The name with which the user signs in at the identity provider.", required=True, unique=True
        ),
        _NAME,
        _text("displayName", "The name to show."),
        _text("nickName", "What the user likes to be called."),
        Attribute(
            "profileUrl",
            "A page about the user.",
            Kind.REFERENCE,
            case_exact=True,
            references=("external",),
            max_length=4000,
        ),
        _text("title", "Job title."),
        _text("userType", "How the user relates to the organisation, for example Employee or Contractor.", 200),
        _text("preferredLanguage", "The language that the user prefers, as in an Accept-Language header.", 100),
        _text("locale", "The conventions for dates and numbers, as a language tag.", 100),
        _text("timezone", "The time zone by its name in the IANA database.", 100),
        Attribute("active", "Whether the user has access. True for a new user that does not say.", Kind.BOOLEAN),
        Attribute(
            "password",
            "Accepted and never kept: users sign in at their identity provider.",
            mutability=Mutability.WRITE_ONLY,
            case_exact=True,
        ),
        _plural("emails", "E-mail addresses.", _text("value", "The address.", 320), _PLACES),
        _plural(
            "phoneNumbers",
            "Telephone numbers.",
            _text("value", "The number.", 100),
            ("work", "home", "mobile", "fax", "pager", "other"),
        ),
        _plural(
            "ims",
            "Instant messaging addresses.",
            _text("value", "The address."),
            ("aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"),
        ),
        _plural(
            "photos",
            "Addresses of pictures of the user.",
            Attribute(
                "value",
                "The picture's URL.",
                Kind.REFERENCE,
                case_exact=True,
                references=("external",),
                max_length=_LONG,
            ),
            ("photo", "thumbnail"),
        ),
        _ADDRESSES,
        _GROUPS,
        _plural("entitlements", "Things that the user has a right to.", _text("value", "The entitlement.", 4000)),
        _plural("roles", "What the user is, for example Student.", _text("value", "The role.", 4000)),
        _plural(
            "x509Certificates",
            "Certificates of the user.",
            Attribute("value", "The certificate, DER in base 64.", Kind.BINARY, case_exact=True, max_length=_LONG),
        ),
    ),
)

_MANAGER = Attribute(
    "manager",
    "The user's manager.",
    Kind.COMPLEX,
    sub_attributes=(
        Attribute(
            "value",
            "The id of the manager's user. It may be pushed later than its first mention.",
            case_exact=True,
            max_length=500,
        ),
        Attribute(
            "$ref",
            "The address of the manager's user.",
            Kind.REFERENCE,
            case_exact=True,
            references=("User",),
            max_length=4000,
        ),
        _text("displayName", "The manager's name, as the client last said."),
    ),
)
ENTERPRISE: Final = Schema(
    ENTERPRISE_SCHEMA,
    "EnterpriseUser",
    "Where the user stands in the organisation.",
    (
        _text("employeeNumber", "The number by which the organisation knows the person.", 200),
        _text("costCenter", "Cost centre.", 200),
        _text("organization", "Organisation."),
        _text("division", "Division."),
        _text("department", "Department."),
        _MANAGER,
    ),
)

_IMPLIED = (
    Attribute(
        "schemas",
        "The schemas that the resource uses.",
        Kind.REFERENCE,
        multi_valued=True,
        mutability=Mutability.READ_ONLY,
    ),
    Attribute("id", "The id that Stoa gave.", mutability=Mutability.READ_ONLY, case_exact=True),
    Attribute("externalId", "The id that the client gave.", case_exact=True),
    Attribute("meta", "About the resource itself.", Kind.COMPLEX, mutability=Mutability.READ_ONLY),
)

USERS: Final = ResourceType(
    "User",
    "/Users",
    "People's accounts",
    USER,
    {ENTERPRISE_SCHEMA.lower(): ENTERPRISE},
    {attribute.name.lower(): attribute for attribute in _IMPLIED},
)


MEMBERS: Final = Attribute(
    "members",
    "The users who are in the group. A group cannot be a member.",
    Kind.COMPLEX,
    multi_valued=True,
    sub_attributes=(
        Attribute("value", "The user's id.", mutability=Mutability.IMMUTABLE, case_exact=True),
        Attribute(
            "$ref",
            "The user's address.",
            Kind.REFERENCE,
            mutability=Mutability.IMMUTABLE,
            case_exact=True,
            references=("User",),
        ),
        Attribute("type", "User.", mutability=Mutability.IMMUTABLE, canonical=("User",)),
        Attribute("display", "The user's name.", mutability=Mutability.READ_ONLY, on_request=True),
    ),
)
GROUP: Final = Schema(
    GROUP_SCHEMA,
    "Group",
    "A group of users.",
    (
        Attribute("displayName", "The group's name. No two groups share one.", required=True, unique=True),
        MEMBERS,
    ),
)
GROUPS: Final = ResourceType("Group", "/Groups", "Groups of users", GROUP, {}, USERS.implied)


def attribute_of(kind: ResourceType, name: str) -> Attribute | None:
    """The attribute of the core schema, or the implied one, with this name in any case."""
    lowered = name.lower()
    return kind.schema.by_name.get(lowered) or kind.implied.get(lowered)
