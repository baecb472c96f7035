"""Workday as an integration sees it: one custom report as a web service (RaaS), and what can go wrong with it."""

from stoa_simulators.workday.faults import Fault, FaultKind
from stoa_simulators.workday.report import OWNER, REPORT
from stoa_simulators.workday.service import ReportService, workday_routes

__all__ = ["OWNER", "REPORT", "Fault", "FaultKind", "ReportService", "workday_routes"]
