"""The canonical person: source records, the one resolver, field authority, effective values."""
