"""Webhooks: the event log sent to a tenant's own addresses, signed, in order, by Standard Webhooks."""
