"""Versions of a KV v2 path."""
