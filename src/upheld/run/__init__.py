"""A run: plan the promises, play the dialogues, fuzz, judge."""
