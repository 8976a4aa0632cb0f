"""Where does each service stand, and what moves next: wants, progress, judgement, turns."""
