"""Who may come in: credentials and what they permit."""
