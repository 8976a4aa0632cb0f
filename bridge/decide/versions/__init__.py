"""Which version should a name have: the target, what was confirmed gone, marks, pruning."""
