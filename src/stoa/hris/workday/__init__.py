"""Workday, read through a custom report that is enabled as a web service (RaaS)."""
