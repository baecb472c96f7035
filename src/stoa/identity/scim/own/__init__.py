"""Schemas that a tenant has described itself: kept, offered in discovery, and what holds for a request."""
