"""/Groups: the endpoint, its shapes, what filters may ask, and memberships on a path of their own."""
