"""Three rotations on real servers, for people to watch: ``make demo``."""
