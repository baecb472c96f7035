"""PingOne's screens (docs.pingidentity.com: "Creating a SCIM connection", "Configuring group provisioning")."""

from typing import Final

from stoa.identity.scim.walks.model import ADDRESS, TOKEN, WORK_EMAIL, Field, Mapping, Need, Walk, enterprise

WALK: Final = Walk(
    key="ping",
    title="PingOne",
    about="Sends people and groups as its rules say. PingFederate's SCIM connector asks for the same values.",
    begin=(
        "Integrations, Provisioning, +, New connection, Identity Store: choose SCIM Outbound.",
        "Enter a name, then Next: Configure authentication.",
    ),
    fields=(
        Field("SCIM base URL", ADDRESS),
        Field("Users resource", "/Users"),
        Field("Groups resource", "/Groups"),
        Field("SCIM version", "2.0"),
        Field("Authentication method", "OAuth 2 Bearer Token"),
        Field("OAuth Access Token", TOKEN),
        Field("Auth Type Header", "Bearer"),
        Field("User Filter Expression", 'username Eq "%s"'),
        Field("User identifier", "userName"),
    ),
    test=("Test connection, Continue, then Save. Enable the connection with its switch.",),
    map_at="Integrations, Provisioning, Rules: a rule from PingOne to this connection, Attribute mapping.",
    mappings=(
        Mapping("Username", "userName", "user_name", Need.REQUIRED),
        Mapping("Enabled", "active", "active", Need.REQUIRED),
        Mapping("User ID", "externalId", None, Need.ADVISED),
        Mapping("Given Name", "name.givenName", "given_name", Need.ADVISED),
        Mapping("Family Name", "name.familyName", "family_name", Need.ADVISED),
        Mapping("Email Address", WORK_EMAIL, "email", Need.ADVISED),
        Mapping("External ID", enterprise("employeeNumber"), "employee_id", Need.ADVISED),
        Mapping("Title", "title", "title"),
        Mapping("Locale", "locale", "locale"),
        Mapping("Timezone", "timezone", "time_zone"),
    ),
    groups=("In the rule, Group provisioning: choose the groups, and Save.",),
    people=("In the rule, User filter: say who is sent, for example Enabled equals true. Then switch the rule on.",),
    leavers=(
        "Whoever is disabled or no longer fits the filter is disabled or deleted, as the connection's preferences "
        "say. Either ends their access here."
    ),
    guide="scim-other",
)
