"""Entra's screens (learn.microsoft.com: "Tutorial: Develop and plan provisioning for a SCIM endpoint", "Configure
automatic user provisioning", "On-demand provisioning").
"""

from typing import Final

from stoa.identity.scim.walks.model import (
    ADDRESS,
    TOKEN,
    WORK_EMAIL,
    WORK_PHONE,
    Field,
    Mapping,
    Need,
    Walk,
    enterprise,
)

WALK: Final = Walk(
    key="entra",
    title="Microsoft Entra ID",
    about="Sends people and assigned groups in cycles of about 40 minutes, and one person at once on demand.",
    begin=(
        (
            "Microsoft Entra admin center, Enterprise applications: open the application that people sign in with, or "
            "New application, Create your own application, Integrate any other application you don't find in the "
            "gallery."
        ),
        (
            "Provisioning, New configuration. In the older pages: Get started, Provisioning Mode Automatic, Admin "
            "Credentials."
        ),
    ),
    fields=(Field("Tenant URL", ADDRESS), Field("Secret Token", TOKEN)),
    test=(
        "Test Connection. Entra asks for a user who cannot exist; an empty list is a good answer.",
        "Create, or Save in the older pages.",
    ),
    map_at=(
        "Provisioning, Attribute mapping, Provision Microsoft Entra ID Users. In the older pages it is called Mappings."
    ),
    mappings=(
        Mapping("userPrincipalName", "userName", "user_name", Need.REQUIRED),
        Mapping('Switch([IsSoftDeleted], , "False", "True", "True", "False")', "active", "active", Need.REQUIRED),
        Mapping("objectId", "externalId", None, Need.ADVISED),
        Mapping("mail", WORK_EMAIL, "email", Need.ADVISED),
        Mapping("employeeId", enterprise("employeeNumber"), "employee_id", Need.ADVISED),
        Mapping("givenName", "name.givenName", "given_name", Need.ADVISED),
        Mapping("surname", "name.familyName", "family_name", Need.ADVISED),
        Mapping("displayName", "displayName", "display_name"),
        Mapping("jobTitle", "title", "title"),
        Mapping("department", enterprise("department"), "department"),
        Mapping("manager", enterprise("manager"), "manager_id"),
        Mapping("telephoneNumber", WORK_PHONE, "phone"),
        Mapping("preferredLanguage", "preferredLanguage", "locale"),
    ),
    groups=(
        (
            "Provisioning, Attribute mapping, Provision Microsoft Entra ID Groups: Enabled is Yes; displayName, "
            "objectId to externalId, and members are mapped."
        ),
        (
            "Users and groups, Add user/group: assign the groups. Only their direct members are sent, not those of "
            "groups within them."
        ),
    ),
    people=(
        (
            "Users and groups, Add user/group: assign people or groups. Under Settings, Scope is Sync only assigned "
            "users and groups."
        ),
        (
            "Overview, Start provisioning. The first cycle may take hours, later ones begin about every 40 minutes. "
            "Provision on demand sends one person at once."
        ),
    ),
    leavers=(
        "Whoever is unassigned, disabled or deleted in Entra is sent as inactive, and loses access here. 30 days "
        "after somebody was deleted there, Entra deletes them here too: the history stays."
    ),
    guide="scim-entra",
)
