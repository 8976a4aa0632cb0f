"""One folder for each kind of source: what it is, and how Vault is spoken to about it."""
