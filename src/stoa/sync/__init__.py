"""Feeds: contract, quarantine, drift, plan, and the connectors that read them. Knows its targets by a protocol."""
