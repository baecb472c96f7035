"""Runs and their changes, for records of any kind: plan, guards, apply in fenced batches, journal, rollback."""
