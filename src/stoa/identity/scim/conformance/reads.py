"""Checks that only read: they run against the connection's own source, in every tenant."""

from typing import Any, Final

from stoa.identity.scim.conformance.bench import Bench, Came
from stoa.identity.scim.conformance.model import Check, NotApplicable, found, require
from stoa.identity.scim.dialects import entra, okta, ping
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, ERROR_SCHEMA, LIST_SCHEMA, USER_SCHEMA
from stoa.kernel.ids import new_id

# Okta's specification test lets /Groups take this long; a look-up of users is held to it too.
MOST_MILLISECONDS: Final = 600
_SPEC: Final = "Okta: SCIM 2.0 specification test"
_SPEC_PAGE: Final = "https://developer.okta.com/docs/guides/scim-provisioning-integration-test/main/"
_OKTA: Final = okta.CLIENT.pages[0]
_ENTRA: Final = entra.CLIENT.pages[0]
_RFC: Final = "https://www.rfc-editor.org/rfc/rfc7644"
GROUP_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"


# ------------------------------------------------------------------ what Okta's specification test asserts


async def _numbers(bench: Bench) -> None:
    listed = await bench("GET", "/Users?count=1&startIndex=1")
    require(listed.status == 200, f"The status was {listed.status}.")
    require(found(listed.body, "schemas") == [LIST_SCHEMA], "The list does not name the schema of lists.")
    for name in ("itemsPerPage", "startIndex", "totalResults"):
        value = found(listed.body, name)
        require(isinstance(value, int) and not isinstance(value, bool), f'"{name}" was no number.')


async def _first_user(bench: Bench) -> None:
    listed = await bench("GET", "/Users?count=1&startIndex=1")
    first: Any = found(listed.body, "Resources", 0)
    if first is None:
        raise NotApplicable("Nobody was pushed yet. Okta's test needs one user: assign somebody first, then run again.")
    missing = [
        name
        for name, there in (
            ("id", bool(found(first, "id"))),
            ("userName", bool(found(first, "userName"))),
            ("name.givenName", bool(found(first, "name", "givenName"))),
            ("name.familyName", bool(found(first, "name", "familyName"))),
            ("active", isinstance(found(first, "active"), bool)),
            ("emails", bool(found(first, "emails", 0, "value"))),
        )
        if not there
    ]
    named = ", ".join(missing)
    require(not missing, f"The first user lacks {named}. The provider never sent it: look at its attribute mapping.")


async def _nobody_by_name(bench: Bench) -> None:
    is_empty(await bench.find("Users", f'userName eq "{new_id()}"', more="&startIndex=1&count=100"))


async def _nobody_by_id(bench: Bench) -> None:
    is_error(await bench("GET", f"/Users/{new_id()}"), 404)


async def _stranger(bench: Bench) -> None:
    refused = await bench("GET", "/Users", authorised=False)
    is_error(refused, 401)
    require("www-authenticate" in refused.headers, "The answer names no way to authenticate.")


async def _groups_in_time(bench: Bench) -> None:
    _in_time(await bench("GET", "/Groups?startIndex=1&count=100"))


async def _users_in_time(bench: Bench) -> None:
    _in_time(await bench.find("Users", f'userName eq "{new_id()}"'))


# ------------------------------------------------------------------ what Entra asks before it does anything


async def _connection_test(bench: Bench) -> None:
    for flagged in (False, True):
        for attribute in ("userName", "externalId", 'emails[type eq "work"].value'):
            is_empty(await bench.find("Users", f'{attribute} eq "{new_id()}"', flagged=flagged))


async def _group_look_up(bench: Bench) -> None:
    excluding = "&excludedAttributes=members"
    is_empty(await bench.find("Groups", f'displayName eq "{new_id()}"', more=excluding))
    listed = await bench("GET", "/Groups?count=1&excludedAttributes=members")
    require(listed.status == 200, f"The status was {listed.status}.")
    require(found(listed.body, "Resources", 0, "members") is None, "The group came with its members.")


# ------------------------------------------------------------------ others, and the RFC


async def _ping_filters(bench: Bench) -> None:
    for text in (f'username Eq "{new_id()}"', f'emails eq "{new_id()}"', f'email Co "{new_id()}"'):
        is_empty(await bench.find("Users", text))


async def _discovery(bench: Bench) -> None:
    config = await bench("GET", "/ServiceProviderConfig")
    require(config.status == 200, f"The status of /ServiceProviderConfig was {config.status}.")
    require(found(config.body, "patch", "supported") is True, "PATCH is not announced.")
    require(found(config.body, "filter", "supported") is True, "Filters are not announced.")
    named = _listed((await bench("GET", "/Schemas")).body, "id")
    lacking = [urn for urn in (USER_SCHEMA, ENTERPRISE_SCHEMA, GROUP_SCHEMA) if urn not in named]
    require(not lacking, f"/Schemas does not list {', '.join(lacking)}.")
    kinds = _listed((await bench("GET", "/ResourceTypes")).body, "name")
    require({"User", "Group"} <= kinds, "/ResourceTypes does not list User and Group.")


def _listed(document: Any, name: str) -> set[Any]:
    resources: list[Any] = found(document, "Resources") or []
    return {found(one, name) for one in resources}


async def _only_what_is_asked_for(bench: Bench) -> None:
    listed = await bench("GET", "/Users?count=1&attributes=userName")
    first: Any = found(listed.body, "Resources", 0)
    if first is None:
        raise NotApplicable("Nobody was pushed yet. Assign somebody in the provider, then run again.")
    besides = ", ".join(sorted(set(first) - {"id", "schemas", "userName"}))
    require(not besides, f"The user came with {besides} too.")


async def _bad_filter(bench: Bench) -> None:
    refused = await bench.find("Users", "userName eq")
    is_error(refused, 400)
    require(found(refused.body, "scimType") == "invalidFilter", "The error does not say invalidFilter.")


# ------------------------------------------------------------------ shared


def is_empty(listed: Came) -> None:
    """Raises Unmet unless it is a list of nothing."""
    require(listed.status == 200, f"The status was {listed.status}.")
    require(found(listed.body, "totalResults") == 0, "The list is not empty.")
    require(found(listed.body, "Resources") == [], "The list has no empty Resources.")


def is_error(answer: Came, status: int) -> None:
    """Raises Unmet unless it is an error of this status, in the RFC's form."""
    require(answer.status == status, f"The status was {answer.status}.")
    require(found(answer.body, "schemas") == [ERROR_SCHEMA], "The body is not in the schema of errors.")
    require(found(answer.body, "status") == str(status), "The body's status is not the text of the answer's.")
    require(bool(found(answer.body, "detail")), "The body has no detail.")


def _in_time(answer: Came) -> None:
    require(answer.status == 200, f"The status was {answer.status}.")
    require(answer.milliseconds < MOST_MILLISECONDS, f"The answer took {answer.milliseconds} milliseconds.")


def _check(code: str, expectation: str, stands_for: str, page: str, look: Any) -> Check:
    return Check(code, expectation, stands_for, page, writes=False, look=look)


READS: Final = (
    _check("okta_numbers", "A list of users tells its numbers as numbers.", _SPEC, _SPEC_PAGE, _numbers),
    _check(
        "okta_first_user",
        "The first user of the list has id, userName, given and family name, active, and an e-mail.",
        *(_SPEC, _SPEC_PAGE, _first_user),
    ),
    _check("okta_nobody", "A user name that nobody has gives an empty list.", _SPEC, _SPEC_PAGE, _nobody_by_name),
    _check("okta_unknown", "An unknown id is answered 404 in the schema of errors.", _SPEC, _SPEC_PAGE, _nobody_by_id),
    _check("okta_stranger", "A request without a token is answered 401.", _SPEC, _SPEC_PAGE, _stranger),
    _check("okta_groups_in_time", "A list of groups comes within 600 ms.", _SPEC, _SPEC_PAGE, _groups_in_time),
    _check("okta_users_in_time", "A user is looked up within 600 ms.", "Okta: pre-check", _OKTA, _users_in_time),
    _check(
        "entra_connection_test",
        "The connection test finds nobody, with and without the flag, by any matching attribute.",
        *("Entra ID: Test Connection", _ENTRA, _connection_test),
    ),
    _check(
        "entra_group_look_up",
        "A group is looked up by its name, and comes without members when they are excluded.",
        *("Entra ID: groups", _ENTRA, _group_look_up),
    ),
    _check(
        "ping_filters",
        "The filters that Ping's documentation gives as examples are understood.",
        *("PingOne and PingFederate: filter expressions", ping.CLIENT.pages[1], _ping_filters),
    ),
    _check(
        "rfc_discovery",
        "Discovery lists users and groups, their schemas, and that PATCH and filters are served.",
        *("RFC 7644, 4", f"{_RFC}#section-4", _discovery),
    ),
    _check(
        "rfc_attributes",
        "Only the attributes that are asked for are returned.",
        *("RFC 7644, 3.9", f"{_RFC}#section-3.9", _only_what_is_asked_for),
    ),
    _check(
        "rfc_bad_filter",
        "A filter that cannot be read is answered 400 with invalidFilter.",
        *("RFC 7644, 3.12", f"{_RFC}#section-3.12", _bad_filter),
    ),
)
