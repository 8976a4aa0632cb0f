"""Pure nouns: what is desired, what was seen, what is planned; no SDK, clock or I/O."""
