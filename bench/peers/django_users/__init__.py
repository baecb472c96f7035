"""Users of django-scim2 in PostgreSQL: an application of Django with one model."""
