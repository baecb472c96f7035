"""Phase 5: what other systems learn of a tenant. One folder for each way."""
