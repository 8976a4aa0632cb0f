"""Passwords of static roles of the database engine, which Vault rotates."""
