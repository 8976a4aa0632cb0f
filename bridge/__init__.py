"""Rotates Docker Swarm secrets from HashiCorp Vault, with no downtime."""

__version__ = "0.1.0"
