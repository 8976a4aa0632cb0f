"""Projections of what a cycle saw and decided; they read, and change nothing."""
