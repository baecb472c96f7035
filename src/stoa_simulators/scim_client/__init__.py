"""Identity providers that push people to a SCIM 2.0 server, request for request as their products do."""

from stoa_simulators.scim_client.cycle import Progress, run_cycle
from stoa_simulators.scim_client.dialect import Dialect
from stoa_simulators.scim_client.entra import Entra
from stoa_simulators.scim_client.groups import Group
from stoa_simulators.scim_client.memory import CycleReport, Directory, GroupMode, Mode
from stoa_simulators.scim_client.okta import Okta, OktaMode
from stoa_simulators.scim_client.wire import Refused, ScimWire

__all__ = [
    "CycleReport",
    "Dialect",
    "Directory",
    "Entra",
    "Group",
    "GroupMode",
    "Mode",
    "Okta",
    "OktaMode",
    "Progress",
    "Refused",
    "ScimWire",
    "run_cycle",
]
