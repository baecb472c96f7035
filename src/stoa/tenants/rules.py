"""What tenants, their names and their domains must look like. Pure."""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import timedelta
from typing import Final

from stoa.kernel.ids import TenantId
from stoa.kernel.problems import BadInput
from stoa.tenants.model import NewConnection, NewTenant, TenantChange

# Would be taken for the platform's own host names or paths.
RESERVED_SLUGS: Final = frozenset({"admin", "api", "assets", "localhost", "platform", "static", "www"})
LONGEST_NAME: Final = 200
FARTHEST_OFFSET: Final = timedelta(days=36_525)

_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ACCENT = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
_CONNECTOR = re.compile(r"[a-z][a-z0-9_]{0,62}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[^\s@<>,;:\"()\[\]\\]{1,255}")


class BadSlug(BadInput):
    """The slug cannot stand in an address.

    It has lower-case letters, digits and hyphens, 63 at most, with no hyphen at either end.
    """

    code = "bad_slug"


class BadFields(BadInput):
    """Some fields of a form cannot be accepted.

    The answer names each field and what is wrong with it.

    Attributes:
        by_field: what is wrong with each.
    """

    code = "bad_fields"

    def __init__(self, by_field: Mapping[str, BadInput]) -> None:
        super().__init__(" ".join(problem.detail for problem in by_field.values()))
        self.by_field = by_field


def checked_slug(text: str) -> str:
    """`text` if it can be a tenant's slug: a DNS label (RFC 1123, 2.1) in lower case that is not reserved.

    Raises:
        BadSlug: saying what is wrong with it.
    """
    if not _SLUG.fullmatch(text):
        raise BadSlug(
            f"{_quoted(text)} cannot be a slug.",
            hint="Use 1 to 63 lower-case letters a-z, digits and hyphens, with a letter or digit at both ends.",
        )
    if text in RESERVED_SLUGS:
        raise BadSlug(f"The slug {text!r} is reserved for the platform.", hint="Choose another one.")
    if text[2:4] == "--":
        # RFC 5890, 2.3.1: such labels are reserved for encoded names (xn--...), which can look like another tenant's.
        raise BadSlug(f"{text!r} has two hyphens in the third and fourth place.", hint="Choose a slug without them.")
    return text


def checked_name(text: str, what: str) -> str:
    """`text` without white space around it, if it has 1 to 200 printable characters.

    what: names the field in the message, such as "tenant's name".

    Raises:
        BadInput: it is empty, too long, or has control characters.
    """
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadInput(f"The {what} must have 1 to {LONGEST_NAME} printable characters.")
    return name


def checked_email(text: str) -> str:
    """`text` if it is one plain e-mail address without a display name.

    Raises:
        BadInput: it is not.
    """
    if not is_email(text):
        raise BadInput(f"{_quoted(text)} is not an e-mail address.", hint="Write it as name@example.com.")
    return text


def is_email(text: str) -> bool:
    """Whether `text` is one plain e-mail address: no display name, no list, no quoting, no control characters."""
    return _ADDRESS.fullmatch(text) is not None and text.isprintable() and len(text) <= 320


def checked_domain(text: str) -> str:
    """The domain in its ASCII form, lower case, without a final dot (RFC 5890).

    Raises:
        BadInput: it is not a host name of at least two labels.
    """
    try:
        domain = text.strip().rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        domain = ""
    labels = domain.split(".")
    if len(domain) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadInput(
            f"{_quoted(text)} is not a domain.", hint="Write it as example.com, without @ and without https://."
        )
    if labels[-1].isdigit():
        raise BadInput(f"{_quoted(text)} is an address, not a domain.", hint="Write the domain's name.")
    return domain


def checked_time_zone(text: str, known: AbstractSet[str]) -> str:
    """`text` if it is among the `known` IANA names, exactly as spelt there.

    Raises:
        BadInput: it is not.
    """
    if text not in known:
        raise BadInput(f"{_quoted(text)} is not a time zone.", hint="Use an IANA name such as Europe/Berlin or UTC.")
    return text


def checked_new_tenant(new: NewTenant, known_zones: AbstractSet[str]) -> NewTenant:
    """`new` with its texts checked and in their stored form.

    Raises:
        BadSlug, BadInput: saying which part cannot be accepted.
    """
    return replace(
        new,
        slug=checked_slug(new.slug),
        name=checked_name(new.name, "tenant's name"),
        time_zone=checked_time_zone(new.time_zone, known_zones),
        owner_name=None if new.owner_name is None else checked_name(new.owner_name, "owner's name"),
        owner_email=None if new.owner_email is None else checked_email(new.owner_email),
        domains=tuple(sorted({checked_domain(domain) for domain in new.domains})),
    )


def checked_accent(text: str) -> str:
    """The colour as `#rrggbb` in lower case. `#rgb` and a missing # are understood.

    Raises:
        BadInput: it is no such colour.
    """
    found = _ACCENT.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{_quoted(text)} is not a colour.", hint="Write it as #rrggbb, for example #0f766e.")
    digits = found[1].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def checked_change(change: TenantChange, known_zones: AbstractSet[str]) -> TenantChange:
    """`change` with its texts checked and in their stored form.

    Raises:
        BadFields: naming every field that cannot be accepted.
    """
    wrong: dict[str, BadInput] = {}

    def checked(name: str, check: Callable[[str], str]) -> str | None:
        given: str | None = getattr(change, name)
        try:
            return None if given is None else check(given)
        except BadInput as problem:
            wrong[name] = problem
            return given

    fresh = TenantChange(
        name=checked("name", lambda text: checked_name(text, "tenant's name")) or "",
        time_zone=checked("time_zone", lambda text: checked_time_zone(text, known_zones)) or "",
        owner_name=checked("owner_name", lambda text: checked_name(text, "owner's name")),
        owner_email=checked("owner_email", checked_email),
        accent=checked("accent", checked_accent),
    )
    if wrong:
        raise BadFields(wrong)
    return fresh


def checked_new_connection(new: NewConnection) -> NewConnection:
    """`new` with its name in the stored form.

    Raises:
        BadInput: the name or the connector's name cannot be accepted.
    """
    if not _CONNECTOR.fullmatch(new.connector):
        raise BadInput(f"{_quoted(new.connector)} is not a connector's name.")
    return replace(new, name=checked_name(new.name, "connection's name"))


def moved_offset(offset: timedelta, delta: timedelta) -> timedelta:
    """The clock offset after a move by `delta`.

    Raises:
        BadInput: the move goes backwards, where leases, schedules and events already are, or farther than a hundred
            years.
    """
    if delta < timedelta(0):
        raise BadInput("A clock can only be moved forward.", hint="To go back, start with a new sandbox tenant.")
    if delta > FARTHEST_OFFSET or offset + delta > FARTHEST_OFFSET:
        raise BadInput("A clock can be moved by a hundred years at most.")
    return offset + delta


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def chain_cron(tenant_id: TenantId) -> str:
    """When a tenant's audit log is checked: daily between 1 and 5 o'clock, not all tenants at once."""
    minute = tenant_id.int % 240
    return f"{minute % 60} {1 + minute // 60} * * *"
