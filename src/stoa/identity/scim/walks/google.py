"""Google's screens (support.google.com/a/answer/7681608, on automated user provisioning)."""

from typing import Final

from stoa.identity.scim.walks.model import ADDRESS, TOKEN, WORK_EMAIL, Field, Mapping, Need, Walk, enterprise

WALK: Final = Walk(
    key="google",
    title="Google Workspace",
    about="Sends people every few hours, and no groups.",
    begin=(
        "Admin console, Apps, Web and mobile apps: open the application that people sign in with over SAML.",
        (
            "Autoprovisioning, Configure autoprovisioning. Google offers it for applications of its catalogue; where "
            "yours has no such section, it cannot send people."
        ),
    ),
    fields=(Field("Access token", TOKEN), Field("Endpoint URL", ADDRESS)),
    test=("Continue. Google tries the address and the token before it shows the mapping.",),
    map_at="The step Attribute mapping of the same window.",
    mappings=(
        Mapping("Basic Information > Primary Email", "userName", "user_name", Need.REQUIRED),
        Mapping("Basic Information > First Name", "name.givenName", "given_name", Need.ADVISED),
        Mapping("Basic Information > Last Name", "name.familyName", "family_name", Need.ADVISED),
        Mapping("Basic Information > Primary Email", WORK_EMAIL, "email", Need.ADVISED),
        Mapping("Employee Details > Employee ID", enterprise("employeeNumber"), "employee_id", Need.ADVISED),
        Mapping("Employee Details > Title", "title", "title"),
        Mapping("Employee Details > Department", enterprise("department"), "department"),
        Mapping("Employee Details > Cost Center", enterprise("costCenter"), "cost_center"),
    ),
    groups=(),
    people=(
        "Scope: the groups whose people are sent; without one, everybody who may use the application.",
        "Switch Autoprovisioning to Active. The first people arrive after some hours.",
    ),
    leavers=(
        "Deprovisioning says what is sent of whoever is suspended, deleted or out of scope, and after how many days: "
        "within 24 hours is the safest. Archived users are left out altogether."
    ),
    guide="scim-other",
)
