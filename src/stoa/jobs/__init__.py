"""Background jobs: a lease queue that is fair between tenants and fenced, and schedules. No wake-up is lost."""
