"""The event log: written in the transaction of the change, numbered after it, read by cursor."""
