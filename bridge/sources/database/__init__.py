"""Credentials of a dynamic role of the database engine, each with a lease."""
