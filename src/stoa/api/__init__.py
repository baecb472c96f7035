"""What every machine-facing route shares: trace ids, health, metrics, and answers for whatever nobody handled."""
