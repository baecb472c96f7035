"""Ping's ways: PingOne and PingFederate's SCIM provisioner (docs.pingidentity.com).

- The filter that finds a user before one is made is free text of the administrator's. Its documented examples write
  `username Eq "%s"` and `email Co "%s"`; `email` is no attribute of SCIM 2.0, `emails` is ("SCIM filter expressions").
  PingFederate's choice "workEmail" asks `emails eq "..."`, which is the value of an e-mail by the RFC's own rule.
- PingFederate updates users by PUT and groups by PUT or PATCH, and looks for a group by reading all of them ("SCIM
  Provisioner", its table of features).
- Leavers are disabled or deleted, as the connection says. A group of the same name on our side is taken over, its
  members merged or overwritten ("Configuring outbound group provisioning").
"""

from dataclasses import replace
from typing import Final, assert_never

from stoa.identity.scim.dialects.clients import KnownClient
from stoa.kernel.filters import And, AttrPath, Compare, Expr, Not, Or, Present, ValuePath

CLIENT: Final = KnownClient(
    "PingOne and PingFederate",
    (
        "https://docs.pingidentity.com/integrations/scim/pf_scim_connector.html",
        "https://docs.pingidentity.com/pingone/integrations/p1_scim_filter_expressions.html",
        "https://docs.pingidentity.com/pingone/integrations/p1_provisioning_configuring_outbound_group_provisioning.html",
    ),
    quirks=True,
)


def normalised_filter(expr: Expr) -> Expr:
    """The filter with `emails` for `email`."""
    match expr:
        case Compare() | Present():
            return replace(expr, path=_path(expr.path))
        case ValuePath():
            return replace(expr, path=_path(expr.path))
        case Not():
            return replace(expr, term=normalised_filter(expr.term))
        case And() | Or():
            return replace(expr, terms=tuple(normalised_filter(term) for term in expr.terms))
        case _:
            assert_never(expr)


def _path(path: AttrPath) -> AttrPath:
    return replace(path, name="emails") if path.urn is None and path.name.lower() == "email" else path
