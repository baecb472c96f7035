"""Google Workspace's ways (support.google.com/a/answer/7681608, on automated user provisioning).

It provisions users alone, no groups, every few hours, from those who are active, suspended or deleted; archived users
are left out. What happens to a user who is suspended, deleted or out of scope is set for each application.

Its requests are not documented by Google. Known from a server that meets them: it calls itself
`Google-Auto-Provisioning` and sends `application/json` (github.com/pond/scimitar, issue 142). Both are understood
anyway, so that nothing is changed here; the fixtures keep it so.
"""

from typing import Final

from stoa.identity.scim.dialects.clients import KnownClient

CLIENT: Final = KnownClient(
    "Google Workspace",
    ("https://support.google.com/a/answer/7681608", "https://github.com/pond/scimitar/issues/142"),
    quirks=False,
)
