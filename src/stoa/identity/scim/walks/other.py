"""A provider that nobody described: what the RFC leaves it to choose."""

from typing import Final

from stoa.identity.scim.walks.model import ADDRESS, TOKEN, WORK_EMAIL, Field, Mapping, Need, Walk, enterprise

WALK: Final = Walk(
    key="other",
    title="",
    about="Whatever speaks SCIM 2.0 with a bearer token.",
    begin=("Look for provisioning, or SCIM 2.0, in the settings of the application that people sign in with.",),
    fields=(
        Field("Base URL", ADDRESS),
        Field("Authentication", "Bearer token"),
        Field("Token", TOKEN),
        Field("Unique identifier of users", "userName"),
    ),
    test=(
        "Start the provider's test of the connection. One that has none sends its first request with the first person.",
    ),
    map_at="Where the provider says which of its attributes becomes which of SCIM's.",
    mappings=(
        Mapping("user name", "userName", "user_name", Need.REQUIRED),
        Mapping("active", "active", "active", Need.REQUIRED),
        Mapping("lasting id", "externalId", None, Need.ADVISED),
        Mapping("first name", "name.givenName", "given_name", Need.ADVISED),
        Mapping("last name", "name.familyName", "family_name", Need.ADVISED),
        Mapping("work e-mail", WORK_EMAIL, "email", Need.ADVISED),
        Mapping("employee number", enterprise("employeeNumber"), "employee_id", Need.ADVISED),
        Mapping("title", "title", "title"),
        Mapping("department", enterprise("department"), "department"),
        Mapping("manager", enterprise("manager.value"), None),
    ),
    groups=("Have the provider send the groups that are to give roles, with their members.",),
    people=("Assign a few people first, and look at what came of them here. Then assign the others.",),
    leavers=(
        "Have leavers sent with active: false rather than deleted: both end their access here, and a deleted user is "
        "lost to the provider."
    ),
    guide="scim-other",
)
