"""Okta's screens (help.okta.com: "Add SCIM provisioning to app integrations", "Group Push"; developer.okta.com: "SCIM
2.0").
"""

from typing import Final

from stoa.identity.scim.walks.model import ADDRESS, TOKEN, WORK_EMAIL, Field, Mapping, Need, Walk, enterprise

WALK: Final = Walk(
    key="okta",
    title="Okta",
    about="Sends people within seconds, and groups that you push.",
    begin=(
        "Applications, Applications: open the application that people sign in with.",
        (
            "General, App Settings, Edit: set Provisioning to SCIM, then Save. A tab Provisioning appears. An OIDC "
            "application of the classic editor has no such choice: make a SAML or SWA application for the "
            "provisioning."
        ),
        "Provisioning, Integration, Edit.",
    ),
    fields=(
        Field("SCIM connector base URL", ADDRESS),
        Field("Unique identifier field for users", "userName"),
        Field("Supported provisioning actions", "Push New Users, Push Profile Updates, Push Groups"),
        Field("Authentication Mode", "HTTP Header"),
        Field("Authorization", TOKEN),
    ),
    test=(
        "Test Connector Configuration. Okta asks for a page of two users; an empty page is a good answer.",
        (
            "Save. Then Provisioning, To App, Edit: enable Create Users, Update User Attributes and Deactivate Users, "
            "and Save."
        ),
    ),
    map_at=(
        "Provisioning, To App, Attribute Mappings. What is missing there is added under Go to Profile Editor, Add "
        "Attribute: the external name is the last part of ours, and the external namespace is what stands before it."
    ),
    mappings=(
        Mapping("login", "userName", "user_name", Need.REQUIRED),
        Mapping("firstName", "name.givenName", "given_name", Need.ADVISED),
        Mapping("lastName", "name.familyName", "family_name", Need.ADVISED),
        Mapping("email", WORK_EMAIL, "email", Need.ADVISED),
        Mapping("employeeNumber", enterprise("employeeNumber"), "employee_id", Need.ADVISED),
        Mapping("displayName", "displayName", "display_name"),
        Mapping("title", "title", "title"),
        Mapping("department", enterprise("department"), "department"),
        Mapping("division", enterprise("division"), "division"),
        Mapping("costCenter", enterprise("costCenter"), "cost_center"),
        Mapping("organization", enterprise("organization"), "organization"),
        Mapping("managerId", enterprise("manager.value"), None),
        Mapping("primaryPhone", "phoneNumbers", "phone"),
        Mapping("userType", "userType", "worker_type"),
        Mapping("preferredLanguage", "preferredLanguage", "locale"),
        Mapping("timezone", "timezone", "time_zone"),
    ),
    groups=(
        "Push Groups, Push Groups, Find groups by name: choose the group, and Save.",
        "Assign its people to the application by another group: Okta does not support one group for both.",
    ),
    people=(
        "Assignments, Assign: choose people or groups. They arrive within seconds.",
        (
            "Somebody who was assigned before provisioning was enabled is sent by Provision User, or when they are "
            "assigned again."
        ),
    ),
    leavers=(
        "Okta never deletes. Whoever is unassigned or deactivated there is sent as inactive, and loses access here; "
        "assigned again, they are the same person."
    ),
    guide="scim-okta",
)
