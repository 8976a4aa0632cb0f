"""Pure verbs, one question each; ``cycle.decide`` joins their answers into one plan."""
