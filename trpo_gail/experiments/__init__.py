"""Experiments of many runs: the runner that the paper's grid and comparisons share."""
