"""Tenants: their sources and connections, sealed secrets, proven domains, and a sandbox tenant's clock."""
