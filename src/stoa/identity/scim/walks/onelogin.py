"""OneLogin's screens (onelogin.service-now.com, KB0013904, on the SCIM custom connector)."""

from typing import Final

from stoa.identity.scim.walks.model import ADDRESS, TOKEN, WORK_EMAIL, Field, Mapping, Need, Walk, enterprise

WALK: Final = Walk(
    key="onelogin",
    title="OneLogin",
    about="Sends people by a template of JSON that you fill, and groups by rules.",
    begin=(
        (
            "Applications, Add App: search for SCIM Provisioner, and choose SCIM Provisioner with SAML (SCIM V2 "
            "Enterprise). The Core Schema v1.1 speaks an older protocol that is refused here."
        ),
        "Save, then the tab Configuration.",
    ),
    fields=(Field("SCIM Base URL", ADDRESS), Field("SCIM Bearer Token", TOKEN)),
    test=("API Connection, Enable. OneLogin asks for a user who does not exist; an empty list is a good answer.",),
    map_at="Configuration, SCIM JSON Template: each attribute gets the macro beside it.",
    mappings=(
        Mapping("{$parameters.scimusername}", "userName", "user_name", Need.REQUIRED),
        Mapping("{$user.active}", "active", "active", Need.REQUIRED),
        Mapping("{$user.firstname}", "name.givenName", "given_name", Need.ADVISED),
        Mapping("{$user.lastname}", "name.familyName", "family_name", Need.ADVISED),
        Mapping("{$user.email}", WORK_EMAIL, "email", Need.ADVISED),
        Mapping("{$user.custom_fields.employee_number}", enterprise("employeeNumber"), "employee_id", Need.ADVISED),
        Mapping("{$user.display_name}", "displayName", "display_name"),
        Mapping("{$parameters.title}", "title", "title"),
        Mapping("{$parameters.department}", enterprise("department"), "department"),
        Mapping("{$parameters.external_manager_id}", enterprise("manager.value"), None),
    ),
    groups=(
        (
            "Parameters, Groups: Include in User Provisioning. Then Rules: Set Groups from the roles or departments "
            "that you choose."
        ),
    ),
    people=(
        "Provisioning: Enable provisioning, and what is to happen when people are created, changed and deleted.",
        (
            "Users, or Access for a role: assign the application. Changes that need approval wait under Users, "
            "Provisioning."
        ),
    ),
    leavers=(
        "Whoever loses the application is deleted, or sent as inactive, as Provisioning says. Either ends their "
        "access here; sent again, they are the same person."
    ),
    guide="scim-other",
)
