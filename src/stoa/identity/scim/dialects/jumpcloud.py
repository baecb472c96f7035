"""JumpCloud's ways (support.jumpcloud.com, "Identity Management using a Custom SCIM Integration", and its articles on
single applications).

As far as they are documented they follow the RFC, or a known client, so that nothing is changed here; the fixtures
keep it so:

- Activating a connection makes a test user and a test group and removes both by DELETE; where users cannot be deleted
  the test user is deactivated.
- PATCH of a user has one operation for each attribute, with a path and real booleans. Members are added as
  `[{"value": id}]`, and taken away by the same list in the operation's value, as Entra does.
- Empty groups are not made. A group of the same name on our side is taken over. A group that is no longer associated
  is left as it is and its members are deactivated, unless another group of the application has them.
"""

from typing import Final

from stoa.identity.scim.dialects.clients import KnownClient

CLIENT: Final = KnownClient(
    "JumpCloud",
    ("https://support.jumpcloud.com/s/article/Custom-SCIM-Identity-Management",),
    quirks=False,
)
