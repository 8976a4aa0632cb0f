"""From the fields of a Vault version to the bytes of a Docker secret."""
