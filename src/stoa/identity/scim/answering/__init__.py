"""How an identity provider's requests about groups are answered, as its tenant chooses."""
