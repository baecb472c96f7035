"""Pages that cross slices: the board of tenants, and the overview of one."""
