"""JumpCloud's screens (support.jumpcloud.com: "Identity Management using a Custom SCIM Integration")."""

from typing import Final

from stoa.identity.scim.walks.model import ADDRESS, TOKEN, WORK_EMAIL, Field, Mapping, Need, Walk, enterprise

WALK: Final = Walk(
    key="jumpcloud",
    title="JumpCloud",
    about="Sends people and their groups within minutes of a change.",
    begin=(
        (
            "SSO Applications, Add New Application, Custom Application: choose Export users to this app (Identity "
            "Management), and Save Application."
        ),
        "Configure Application, Identity Management. If there is a SCIM Version, choose SCIM 2.0.",
    ),
    fields=(
        Field("Base URL", ADDRESS),
        Field("Token Key", TOKEN),
        Field("Test User Email", "test.user@example.com"),
    ),
    test=(
        (
            "Test Connection. JumpCloud makes a user of the test address, and a group, and deletes both: use an "
            "address that nobody has."
        ),
        "Activate, then Save.",
    ),
    map_at="Identity Management, Attribute Mapping. Most attributes are sent as they are.",
    mappings=(
        Mapping("email", "userName", "user_name", Need.REQUIRED),
        Mapping("activated", "active", "active", Need.REQUIRED),
        Mapping("firstname", "name.givenName", "given_name", Need.ADVISED),
        Mapping("lastname", "name.familyName", "family_name", Need.ADVISED),
        Mapping("email", WORK_EMAIL, "email", Need.ADVISED),
        Mapping("employeeIdentifier", enterprise("employeeNumber"), "employee_id", Need.ADVISED),
        Mapping("displayname", "displayName", "display_name"),
        Mapping("jobTitle", "title", "title"),
        Mapping("department", enterprise("department"), "department"),
        Mapping("costCenter", enterprise("costCenter"), "cost_center"),
        Mapping("company", enterprise("organization"), "organization"),
    ),
    groups=(
        (
            "Identity Management: Enable management of User Groups and Group Membership in this application. Empty "
            "groups are not sent."
        ),
    ),
    people=("User Groups: choose the groups whose people are to have the application, and Save.",),
    leavers=(
        "Whoever leaves the groups of the application, or is suspended, is sent as inactive, and loses access here."
    ),
    guide="scim-other",
)
