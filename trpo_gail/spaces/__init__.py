"""Spaces as rows of numbers: layouts, units of actions, and what is known of an environment."""
