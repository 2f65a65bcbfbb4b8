"""Spaces as rows of numbers: layouts, units of actions, and the spec of an environment."""
