"""Comparisons: configurations of `trpo-gail train` side by side on equal terms, and the statistics of what they reach."""
