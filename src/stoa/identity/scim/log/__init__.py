"""The log of requests: written after the answer, read on pages, searched for who was skipped, and done once more."""
