"""Pools, tenant and platform transactions, migrations, and the embedded server.

Nothing else in Stoa opens a database connection.
"""
