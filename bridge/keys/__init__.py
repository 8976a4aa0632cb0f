"""What the keys of the configuration may hold, and what their sections have in common."""
