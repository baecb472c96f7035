"""Stoa: a multi-tenant learning platform built integrations first. `docs/architecture.md` is the plan of the house."""
