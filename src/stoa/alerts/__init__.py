"""What needs a person's attention: once for each cause, with an owner, and told by mail."""
